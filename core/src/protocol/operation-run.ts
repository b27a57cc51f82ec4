import type { MongoClient } from 'mongodb'
import { isTerminal } from '../control/state-machine.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Member } from '../mongo/topology.js'
import type { Clock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { type DeadlineGuard, deadlineGuard } from '../time/deadline-guard.js'
import { awaitReplsets, awaitState, watchOperation } from './convergence.js'
import { type Heartbeat, startHeartbeat } from './heartbeat.js'
import type { HeldLock } from './lock.js'
import { type DataChanges, type DataWords, type Failure, failureOf } from './operation-failure.js'
import type { OperationKind, OperationRecord } from './operation-kind.js'
import { ProgressPublisher } from './progress.js'

/** How long it is tried to write down why it failed, and how often. */
const MARK_MS = 20_000
const MARK_PAUSE_MS = 500
/** How long what was told last of the progress may take. */
const SETTLE_MS = 20_000

/** What a run works with. */
export interface RunContext {
  readonly leader: MongoClient
  readonly self: Member
  readonly log: OperationLog
  readonly clock: Clock
}

/** One replica set's part of an operation: what differs between the operations. */
export interface OperationDescription<State extends string> {
  readonly kind: OperationKind<State>
  readonly name: string
  /** For messages: `backup 2031-02-03T04:05:06Z`, `the restore`. */
  readonly title: string
  /** Whether this replica set leads: it moves the whole from state to state, and its heartbeat is the operation's. */
  readonly leads: boolean
  /** All that take part. */
  readonly replsets: readonly string[]
  readonly lock: HeldLock
  /** Aborts when the operation is canceled or the agent stops. */
  readonly signal: AbortSignal
  /** Says that this replica set takes part. What it rejects with is in no record. `stopped`: told to stop, or the lock lost. */
  announce(stopped: AbortSignal): Promise<void>
  /** How long the leader gives the others to announce themselves; left out where the first state tells who is there. */
  readonly joinMs?: number
  /** Set for an operation that changes data: from its first state on a failure leaves that incomplete. */
  readonly data?: { readonly words: DataWords; hasChanged(record: OperationRecord<State>): boolean }
  /** The leader's, before one that failed is marked: deletes what it has stored. */
  discard?(): Promise<void>
  /** The leader's, after one that failed has no record any more: somebody dropped the control collections under it. */
  putBack(failure: { readonly text: string; readonly reached: State | undefined }): Promise<void>
  /** The leader's, after the failure: switches on again what was off for it. */
  resume?(): Promise<void>
}

/** What the work itself is given. */
export interface OperationSteps<State extends string> {
  /** Aborts when the work has to stop. */
  readonly signal: AbortSignal
  readonly guard: DeadlineGuard
  readonly progress: ProgressPublisher
  /**
   * This replica set has come so far; resolves when all have. The last state is reached this way, too: it ends the operation.
   */
  reach(state: State, options?: ReachOptions): Promise<void>
}

export interface ReachOptions {
  /** Says that this replica set has come so far, where its part's state does not. */
  readonly join?: () => Promise<void>
  /** The leader's, when all have come so far and none goes on yet. */
  readonly before?: () => Promise<void>
  /** How long the leader waits for the others, in milliseconds; left out for no limit. */
  readonly timeoutMs?: number
}

/**
 * One replica set's part of an operation, with its lock held: announces it, keeps its heartbeat, looks after the other
 * replica sets, moves its states and says in its record how it failed (PBM: control-plane.md §5.1, §5.3, §5.5).
 */
export class OperationRun<State extends string> {
  readonly #context: RunContext
  readonly #run: OperationDescription<State>
  readonly #progress: ProgressPublisher
  /** `unknown`: the others could go on from here, and nobody has said yet that they do. */
  #changes: DataChanges = 'none'
  #reached: State | undefined

  constructor(context: RunContext, run: OperationDescription<State>) {
    const { leader, self, clock } = context
    this.#context = context
    this.#run = run
    this.#progress = new ProgressPublisher(clock, (told, op) =>
      run.kind.setProgress(leader, run.name, self.rs, told, op),
    )
  }

  /** Rejects with what the work failed with; it is written to the record before. */
  async execute(work: (steps: OperationSteps<State>) => Promise<void>): Promise<void> {
    const { leader, clock } = this.#context
    const { kind, name, replsets, leads, lock, announce, signal: asked } = this.#run
    const stopped = AbortSignal.any([asked, lock.signal])
    await announce(stopped)
    const heartbeat = leads ? this.#startHeartbeat() : undefined
    // One set alone has nobody else to fail.
    const watch = replsets.length > 1 ? watchOperation(kind, { leader, name, clock, leads }) : undefined
    const stop = AbortSignal.any([stopped, ...[heartbeat, watch].flatMap((part) => part?.signal ?? [])])
    // Ends what is still under way beside a step that failed.
    const ending = new AbortController()
    const guard = deadlineGuard(AbortSignal.any([stop, ending.signal]), () => {
      lock.assertHeld()
      heartbeat?.assertAlive()
    })
    const reach: OperationSteps<State>['reach'] = (state, options = {}) => this.#reach(state, guard, options)
    try {
      await this.#awaitOthers(guard.signal)
      await work({ signal: guard.signal, guard, progress: this.#progress, reach })
      return
    } catch (error) {
      // Whatever a stage says of being stopped: the reason is why it was stopped.
      const cause = stop.aborted ? stop.reason : error
      ending.abort(error)
      await this.#settle()
      throw await this.#fail(cause, stopped)
    } finally {
      watch?.stop()
      await heartbeat?.stop()
      if (ending.signal.aborted) await this.#resume()
    }
  }

  #startHeartbeat(): Heartbeat {
    const { leader, log, clock } = this.#context
    const { kind, name, title } = this.#run
    return startHeartbeat({
      clock,
      beat: () => kind.beat(leader, name),
      reason: (why, cause) =>
        why === 'gone'
          ? new PbmError('OPERATION_GONE', `the record of ${title} is gone: was ${kind.collection} dropped?`)
          : new PbmError('HEARTBEAT_LOST', `no heartbeat of ${title} could be written in time`, { cause }),
      onFailure: (error) => log.warning(`the heartbeat of ${title} can't be written: ${errorText(error)}`),
    })
  }

  /** A shard without an agent would be waited for in vain, after the others have done all their checks. */
  async #awaitOthers(signal: AbortSignal): Promise<void> {
    const { leader, clock } = this.#context
    const { kind, name, replsets, leads, joinMs: timeoutMs } = this.#run
    const [state] = kind.replsetMachine.order
    if (!leads || timeoutMs === undefined || state === undefined) return
    await awaitReplsets(kind, { leader, name, replsets, state, signal, clock, timeoutMs })
  }

  async #reach(state: State, guard: DeadlineGuard, options: ReachOptions): Promise<void> {
    const { leader, self, log, clock } = this.#context
    const { kind, name, leads, replsets } = this.#run
    const { signal } = guard
    // So that nothing is written after the operation's end.
    if (isTerminal(kind.machine, state)) await this.#settle()
    guard.throwIfStopped()
    // Nobody goes on before the leader says so.
    if (!leads) this.#mayChange()
    this.#reached = state
    if (options.join !== undefined) await options.join()
    else await kind.setReplsetStatus(leader, name, self.rs, state, { by: 'nominee' })
    if (leads) {
      const { timeoutMs } = options
      await awaitReplsets(kind, { leader, name, replsets, state, signal, clock, timeoutMs })
      guard.throwIfStopped()
      await options.before?.()
      this.#mayChange()
      await kind.setStatus(leader, name, state, { by: 'leader' })
    } else {
      await awaitState(kind, { leader, name, state, signal, clock })
    }
    this.#changes = 'some'
    log.debug(`state ${state}`)
  }

  #mayChange(): void {
    if (this.#changes === 'none') this.#changes = 'unknown'
  }

  /** A write without an answer must not keep the end of the operation from being told. */
  async #settle(): Promise<void> {
    const late = () => new Error('the progress could not be written in time')
    await inTime(this.#progress.settle(), SETTLE_MS, late).catch((error: unknown) =>
      this.#context.log.warning(errorText(error)),
    )
  }

  /**
   * Gives what the operation rejects with, as it is told. Best effort: what can't be written, the watch of the cluster leader
   * marks later.
   */
  async #fail(cause: unknown, stopped: AbortSignal): Promise<unknown> {
    const { leader, self } = this.#context
    const { kind, name, leads, data } = this.#run
    if (data !== undefined) return await this.#failWithData(cause, stopped)
    const failure = failureOf({ cause })
    this.#log(failure)
    const status = failure.isCanceled ? kind.canceled : kind.failed
    const error = failure.text
    await this.#write(stopped, () =>
      kind.setReplsetStatus(leader, name, self.rs, status, { error, by: 'nominee' }).then(() => undefined),
    )
    if (!leads) return failure.error
    // Once it reads as ended, nothing of it is left.
    await this.#run.discard?.()
    await this.#write(stopped, async () => {
      await kind.setStatus(leader, name, status, { error, by: 'leader' })
      await this.#putBack(error, this.#reached)
    })
    return failure.error
  }

  /** Here each replica set marks the whole, for the data of none is whole then. */
  async #failWithData(cause: unknown, stopped: AbortSignal): Promise<unknown> {
    const { leader, self } = this.#context
    const { kind, name, leads } = this.#run
    const changes = await this.#dataChanges()
    let failure = this.#explained(cause, changes)
    const [initial] = kind.machine.order
    const mark = (ifStatus?: State) => {
      const only = ifStatus === undefined ? {} : { ifStatus }
      return kind.setStatus(leader, name, kind.failed, { error: failure.text, ...only })
    }
    const isWritten = await this.#write(stopped, async () => {
      // That nothing was changed is written only where it holds at that moment: the others may just be going on.
      const marked = await mark(changes === 'none' ? initial : undefined)
      // Without a record only the leader's word would let the others go on.
      const isCertain = marked.changed || changes !== 'none' || (marked.status === undefined && leads)
      if (!isCertain) {
        this.#changes = 'unknown'
        failure = this.#explained(cause, await this.#dataChanges())
        await mark()
      }
      await kind.setReplsetStatus(leader, name, self.rs, kind.failed, { error: failure.text })
      if (leads) await this.#putBack(failure.text, changes === 'none' ? initial : this.#reached)
    })
    // Nobody keeps the others from going on then.
    if (!isWritten && changes === 'none' && this.#changes === 'unknown') failure = this.#explained(cause, 'unknown')
    this.#log(failure)
    return failure.error
  }

  #explained(cause: unknown, changes: DataChanges): Failure {
    const { data } = this.#run
    return failureOf({ cause, data: data && { words: data.words, changes } })
  }

  async #dataChanges(): Promise<DataChanges> {
    const { kind, name, data } = this.#run
    if (this.#changes !== 'unknown') return this.#changes
    const record = await kind.find(this.#context.leader, name).catch(() => undefined)
    if (record === undefined || data === undefined) return 'unknown'
    return data.hasChanged(record) ? 'some' : 'none'
  }

  async #putBack(text: string, reached: State | undefined): Promise<void> {
    const { kind, name, putBack } = this.#run
    if ((await kind.find(this.#context.leader, name)) === undefined) await putBack({ text, reached })
  }

  #log({ isCanceled, text }: Failure): void {
    const { log } = this.#context
    const { kind, data } = this.#run
    if (isCanceled) log.warning(`${kind.what} canceled`)
    else log.error(data === undefined ? `${kind.what} failed: ${text}` : text)
  }

  /** False where it could not be written. */
  async #write(stopped: AbortSignal, write: () => Promise<void>): Promise<boolean> {
    const { log, clock } = this.#context
    const until = clock.now() + MARK_MS
    for (;;) {
      // Without an answer the heartbeat has to end, so that others see that nobody is at work.
      const late = () => new Error(`no answer within ${MARK_MS / 1000} s`)
      const fault = await inTime(write(), MARK_MS, late).then(
        () => undefined,
        (reason: unknown) => new Error(errorText(reason)),
      )
      if (fault === undefined) return true
      // Where the server is just starting again, nobody has to wait until the operation counts as dead.
      if (clock.now() >= until || stopped.aborted) {
        log.error(`the failure can't be written to the record of ${this.#run.title}: ${fault.message}`)
        return false
      }
      await clock.sleep(MARK_PAUSE_MS, stopped).catch(() => undefined)
    }
  }

  /** Whoever watches over what died does it where this fails. */
  async #resume(): Promise<void> {
    const { leads, title, resume } = this.#run
    if (!leads) return
    await resume?.().catch((fault: unknown) =>
      this.#context.log.warning(`what ${title} switched off is not on again yet: ${errorText(fault)}`),
    )
  }
}
