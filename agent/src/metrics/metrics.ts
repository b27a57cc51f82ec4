import { type AgentDocument, type Clock, History, type Member, readClusterView, VERSION } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Logger } from 'pino'
import { ClusterReader } from './cluster-reader.js'
import { clusterSamples } from './cluster-samples.js'
import { Endpoint } from './endpoint.js'
import { Exposition } from './exposition.js'
import type { Sample } from './families.js'
import type { MetricsSettings } from './settings.js'

/** From when on an agent that reports every 5 s is not connected any more. */
const REPORTED_MS = 30_000
/** Whoever asks within it gets the same: many that ask at once cost what one does. */
const SAME_MS = 1_000

/** The agent that is at work, as far as metrics need it. */
export interface MetricsSource {
  readonly leader: MongoClient
  readonly self: Member
  /** Of its mongod. */
  readonly mongodbVersion: string
  /** What it has reported of itself last, and when (milliseconds since the epoch). */
  readonly lastReport: () => { readonly agent: AgentDocument; readonly at: number } | undefined
}

/** Metrics of this process, also while no agent is at work, as at the start or while files are restored. */
export class Metrics {
  readonly #clock: Clock
  readonly #exposition = new Exposition()
  #endpoint: Endpoint | undefined
  #source: MetricsSource | undefined
  #reader: ClusterReader | undefined
  #written: { readonly at: number; readonly text: Promise<string> } | undefined

  private constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rejects as {@link Endpoint.open} does. */
  static async open(settings: MetricsSettings, { clock, logger }: { clock: Clock; logger: Logger }): Promise<Metrics> {
    const metrics = new Metrics(clock)
    const contentType = metrics.#exposition.contentType
    try {
      metrics.#endpoint = await Endpoint.open({
        ...{ settings, clock },
        log: { info: (text) => logger.info(text), warn: (text) => logger.warn(text) },
        metrics: async () => ({ contentType, text: await metrics.#text() }),
        readiness: () => metrics.#readiness(),
      })
      return metrics
    } catch (error) {
      metrics.#exposition.close()
      throw error
    }
  }

  /** Tells of this agent from now on. */
  follow(source: MetricsSource): void {
    this.#source = source
    const { leader } = source
    const history = new History(leader, this.#clock)
    this.#reader = new ClusterReader({
      view: () => readClusterView(leader),
      history: (view) => history.look(view),
      clock: this.#clock,
      onFault: () => this.#exposition.countFault(),
    })
  }

  /** No agent is at work. */
  leave(): void {
    this.#source = undefined
    this.#reader = undefined
  }

  async close(): Promise<void> {
    await this.#endpoint?.close()
    this.#exposition.close()
  }

  #text(): Promise<string> {
    const now = this.#clock.now()
    if (this.#written === undefined || now - this.#written.at >= SAME_MS)
      this.#written = { at: now, text: this.#samples().then((samples) => this.#exposition.text(samples)) }
    return this.#written.text
  }

  async #samples(): Promise<Sample[]> {
    const facts = await this.#reader?.facts()
    const ready = Object.values(this.#readiness()).every((isWell) => isWell)
    const own: Sample[] = [{ name: 'pbmkit_agent_ready', labels: {}, value: Number(ready) }]
    if (this.#source !== undefined) {
      const { self, mongodbVersion } = this.#source
      const labels = { version: VERSION, mongodb_version: mongodbVersion, replica_set: self.rs, node: self.node }
      own.push({ name: 'pbmkit_agent_info', labels, value: 1 })
    }
    if (facts === undefined) return own
    own.push({ name: 'pbmkit_control_read_timestamp_seconds', labels: {}, value: facts.readAt / 1000 })
    return [...own, ...clusterSamples(facts.view, facts.history)]
  }

  #readiness(): Record<string, boolean> {
    const last = this.#source?.lastReport()
    const isFresh = last !== undefined && this.#clock.now() - last.at < REPORTED_MS
    return {
      database: isFresh && last.agent.pbms.ok && last.agent.nodes.ok,
      storage: isFresh && last.agent.stors.ok,
    }
  }
}
