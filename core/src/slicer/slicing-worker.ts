import { isDeepStrictEqual } from 'node:util'
import type { MongoClient } from 'mongodb'
import type { Config } from '../config/document.js'
import type { LogContext } from '../control/log-writer.js'
import { PITR_TOOL, reportPitrReplset } from '../control/pitr.js'
import type { PitrDocument } from '../control/pitr-document.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Member } from '../mongo/topology.js'
import { nodeInfo } from '../mongo/topology.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { WithPrimary } from '../protocol/tokens.js'
import type { Clock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { delaysSlicing, stopsSlicing } from './blockers.js'
import type { Slicer } from './slicer.js'
import { SlicingJob } from './slicing-job.js'
import { startingPoint } from './starting-point.js'
import type { SlicingView } from './view.js'

export interface SlicingWorkerOptions {
  readonly leader: MongoClient
  readonly node: MongoClient
  readonly withPrimary: WithPrimary
  readonly self: Member
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: (context: LogContext) => OperationLog
  readonly openStore: (config: Config, log: OperationLog) => Promise<ObjectStore>
  readonly makeSlicer: (store: ObjectStore, log: OperationLog) => Slicer
  /** Each time that storing fails. */
  readonly onFailing: () => void
}

/** For the last chunk when slicing is switched off; a restore waits for 120 s. */
const OFF = { patienceMs: 60_000, isEnd: true }
/** When another member goes on anyhow. */
const HANDOVER = { patienceMs: 15_000 }
/** A mongod that does not answer does not slice. */
const ANSWER_MS = 10_000

/**
 * Every agent's part of slicing: it answers elections, slices when it was chosen, and follows the configuration while it
 * does. What it does depends on nothing but the view of the moment, so that it finds its way after any interruption.
 */
export class SlicingWorker {
  readonly #options: SlicingWorkerOptions
  #job: SlicingJob | undefined
  #isStopping = false

  constructor(options: SlicingWorkerOptions) {
    this.#options = options
  }

  /** Whether this agent slices, or may be asked to in a moment. */
  isBusy({ config, document, slicers }: SlicingView): boolean {
    if (this.#job !== undefined) return true
    if (config?.pitr?.enabled !== true) return false
    if (document?.status === 'ready') return true
    return document?.status === 'running' && !slicers.some(({ replset }) => replset === this.#options.self.rs)
  }

  async step(view: SlicingView): Promise<void> {
    if (this.#job !== undefined) return await this.#follow(this.#job, view)
    const { config, document, operations, slicers } = view
    const { self } = this.#options
    if (config?.pitr?.enabled !== true || delaysSlicing(operations) !== undefined || document === undefined) return
    if (slicers.some(({ replset }) => replset === self.rs)) return
    if (document.status === 'ready') return await this.#answer(config, document)
    const nomination = document.n.find(({ rs }) => rs === self.rs)
    if (document.status !== 'running' || nomination?.ack !== '' || !nomination.n.includes(self.node)) return
    this.#start(config)
  }

  /** Stores a last chunk, within `patienceMs`, and releases the lock. */
  async stop(patienceMs: number): Promise<void> {
    this.#isStopping = true
    this.#job?.finish('the agent stops', { patienceMs })
    await this.#job?.ended
  }

  #start(config: Config): void {
    if (this.#isStopping) return
    const { openStore, makeSlicer, ...rest } = this.#options
    const log = rest.log({ event: 'pitr', epoch: config.epoch })
    const job = new SlicingJob({
      ...rest,
      log,
      config,
      openStore: () => openStore(config, log),
      makeSlicer: (store) => makeSlicer(store, log),
    })
    this.#job = job
    void job.ended.then(() => {
      if (this.#job === job) this.#job = undefined
    })
  }

  async #follow(job: SlicingJob, { config, document, operations }: SlicingView): Promise<void> {
    if (config?.pitr?.enabled !== true) return job.finish('point-in-time recovery is off', OFF)
    // The chunks of the old storage are no longer listed, so a last one there would be lost or, worse, listed.
    if (!isDeepStrictEqual(config.storage, job.config.storage)) return job.abort('the storage has changed')
    // Keys are looked for when slicing begins.
    if (!isDeepStrictEqual(config.encryption, job.config.encryption))
      return job.finish('the encryption has changed', HANDOVER)
    const operation = stopsSlicing(operations)
    if (operation?.type === 'resync') return job.abort('the storage is being read anew')
    if (operation !== undefined) return job.finish(`a ${operation.type} begins`, OFF)
    // Another member may do what this one can't.
    if (document?.status === 'reconfig' && job.isFailing) return job.abort('a new election')
    if (document?.status === 'reconfig') return job.finish('a new election', HANDOVER)
    if (document?.status === 'error') return job.finish('slicing failed on another replica set', HANDOVER)
    if (config.pitr.oplogOnly !== job.config.pitr?.oplogOnly) return job.finish('oplogOnly has changed', HANDOVER)
    await job.change(config)
  }

  /**
   * `ready`, or why not. A cluster leader of PBM waits for `ready` from everybody, able or not, and hears of the reason
   * when the nominee fails.
   */
  async #answer(config: Config, document: PitrDocument): Promise<void> {
    const { leader, node, self, host } = this.#options
    if (document.replsets.some((one) => one.name === self.rs && one.node === self.node)) return
    const answer = { name: self.rs, node: self.node }
    const silent = () => new PbmError('NODE_SILENT', 'the mongod does not answer')
    const reason =
      document.tool === PITR_TOOL ? await inTime(this.#unable(config, host, node), ANSWER_MS, silent) : undefined
    const entry =
      reason === undefined
        ? { ...answer, status: 'ready' as const }
        : { ...answer, status: 'error' as const, error: reason }
    await reportPitrReplset(leader, entry, 'ready')
  }

  async #unable(config: Config, host: PluginHost, node: MongoClient): Promise<string | undefined> {
    const { leader, self } = this.#options
    try {
      const info = await nodeInfo(node)
      if (info.isArbiter) return 'an arbiter has no oplog'
      if (info.delaySecs > 0) return 'its replication is delayed'
      const point = await startingPoint({ leader, node, rs: self.rs, config, host })
      return 'waits' in point ? point.reason : undefined
    } catch (error) {
      return errorText(error)
    }
  }
}
