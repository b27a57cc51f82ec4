import {
  CALM_SLICING_POLL_MS,
  CLOCK,
  errorText,
  LEADER,
  type LogContext,
  NODE,
  nodeInfo,
  type ObjectStore,
  OPERATION_LOG,
  type OperationLog,
  readSlicingView,
  SELF,
  SLICING_POLL_MS,
  Slicer,
  SlicingLeader,
  type SlicingView,
  SlicingWorker,
  STORE,
} from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import { leadsCluster } from './leadership.js'
import type { AgentContext } from './operations/context.js'
import { openSealed } from './storages.js'

/**
 * Slicing beside the command loop: looks at what the control collections say, and lets the two parts do what is due, the
 * cluster leader's and every agent's own. The first goes on in the background, since an election takes its time, and a
 * mongod that hangs must not keep an agent from letting go.
 */
export class Slicing {
  readonly #context: AgentContext
  readonly #log: (context: LogContext) => OperationLog
  readonly #worker: SlicingWorker
  #epoch: Timestamp | undefined

  /** `onFailing` is told each time that storing fails. */
  constructor(context: AgentContext, log: (context: LogContext) => OperationLog, onFailing: () => void) {
    this.#context = context
    this.#log = log
    const { leader, node, withPrimary, self, host, clock } = context
    this.#worker = new SlicingWorker({
      ...{ leader, node, withPrimary, self, host, clock, log },
      openStore: (config, jobLog) => openSealed({ leader, host, self, config, log: jobLog }),
      makeSlicer: (store, jobLog) => makeSlicer(context, store, jobLog),
      onFailing,
    })
  }

  /** Of the configuration, as it was at the last look. */
  get epoch(): Timestamp | undefined {
    return this.#epoch
  }

  /** Until the signal aborts. Never rejects: what fails is tried again. */
  async runUntil(signal: AbortSignal): Promise<void> {
    const { leader, host, clock } = this.#context
    const duties = new SlicingLeader({ leader, host, clock, log: this.#log })
    const [work, lead] = [this.#attempt(signal), this.#attempt(signal)]
    let leading: Promise<void> | undefined
    let pause = SLICING_POLL_MS
    while (!signal.aborted) {
      await work(async () => {
        const view = await readSlicingView(leader)
        this.#epoch = view.config?.epoch ?? this.#epoch
        await this.#worker.step(view)
        const isOn = view.config?.pitr?.enabled === true
        pause = this.#worker.isBusy(view) ? SLICING_POLL_MS : CALM_SLICING_POLL_MS
        if (leading !== undefined || !(isOn || view.document?.resume === true)) return
        leading = lead(() => this.#lead(duties, view, signal)).finally(() => {
          leading = undefined
        })
      })
      await clock.sleep(pause, signal).catch(() => undefined)
    }
  }

  /** A last chunk where this agent slices, if it is stored within `patienceMs`; then the lock is free for another. */
  async stop(patienceMs: number): Promise<void> {
    await this.#worker.stop(patienceMs)
  }

  async #lead(duties: SlicingLeader, view: SlicingView, signal: AbortSignal): Promise<void> {
    const info = await nodeInfo(this.#context.node)
    if (await leadsCluster(this.#context, info)) await duties.step(view, signal)
  }

  /** Runs work that may fail; each fault is told once. */
  #attempt(signal: AbortSignal): (work: () => Promise<void>) => Promise<void> {
    const log = this.#log({ event: 'pitr' })
    let told = ''
    return async (work) => {
      try {
        await work()
        told = ''
      } catch (error) {
        const text = errorText(error)
        if (!signal.aborted && text !== told) log.warning(`slicing: ${text}`)
        told = text
      }
    }
  }
}

function makeSlicer(context: AgentContext, store: ObjectStore, log: OperationLog): Slicer {
  const container = context.host.container.createChildContainer()
  container.registerInstance(NODE, context.node)
  container.registerInstance(LEADER, context.leader)
  container.registerInstance(SELF, context.self)
  container.registerInstance(OPERATION_LOG, log)
  container.registerInstance(CLOCK, context.clock)
  container.registerInstance(STORE, store)
  return container.resolve(Slicer)
}
