import {
  CLOCK,
  errorText,
  LEADER,
  type LogContext,
  NODE,
  nodeInfo,
  type ObjectStore,
  OPERATION_LOG,
  type OperationLog,
  openStore,
  readSlicingView,
  SELF,
  SLICING_POLL_MILLIS,
  Slicer,
  SlicingLeader,
  type SlicingView,
  SlicingWorker,
  STORE,
} from '@pbmkit/core'
import { leadsCluster } from './leadership.js'
import type { AgentContext } from './operations/context.js'

/**
 * Slicing beside the command loop: looks at what the control collections say, and lets the two parts do what is due, the
 * cluster leader's and every agent's own. Each has its own loop, since an election takes its time, and a mongod that
 * hangs must not keep an agent from letting go.
 */
export class Slicing {
  readonly #context: AgentContext
  readonly #log: (context: LogContext) => OperationLog
  readonly #worker: SlicingWorker

  constructor(context: AgentContext, log: (context: LogContext) => OperationLog) {
    this.#context = context
    this.#log = log
    const { leader, node, self, host, clock } = context
    this.#worker = new SlicingWorker({
      ...{ leader, node, self, host, clock, log },
      openStore: (config, jobLog) =>
        openStore(host, config.storage, {
          signal: new AbortController().signal,
          warn: (message) => jobLog.warning(message),
          node: self.node,
        }),
      makeSlicer: (store, jobLog) => makeSlicer(context, store, jobLog),
    })
  }

  /** Until the signal aborts. Never rejects: what fails is tried again. */
  async runUntil(signal: AbortSignal): Promise<void> {
    const { leader, node, host, clock } = this.#context
    const duties = new SlicingLeader({ leader, host, clock, log: this.#log })
    await Promise.all([
      this.#loop(signal, (view) => this.#worker.step(view)),
      this.#loop(signal, async (view) => {
        if (await leadsCluster(this.#context, await nodeInfo(node))) await duties.step(view, signal)
      }),
    ])
  }

  /** A last chunk where this agent slices, if it is stored within `patienceMillis`; then the lock is free for another. */
  async stop(patienceMillis: number): Promise<void> {
    await this.#worker.stop(patienceMillis)
  }

  async #loop(signal: AbortSignal, step: (view: SlicingView) => Promise<void>): Promise<void> {
    const { leader, clock } = this.#context
    const log = this.#log({ event: 'pitr' })
    let told = ''
    while (!signal.aborted) {
      try {
        await step(await readSlicingView(leader))
        told = ''
      } catch (error) {
        const text = errorText(error)
        if (!signal.aborted && text !== told) log.warning(`slicing: ${text}`)
        told = text
      }
      await clock.sleep(SLICING_POLL_MILLIS, signal).catch(() => undefined)
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
