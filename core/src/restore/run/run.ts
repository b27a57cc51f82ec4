import type { MongoClient } from 'mongodb'
import { readConfig, resetEpoch } from '../../control/config.js'
import { emptyReplset } from '../../control/new-restore.js'
import type { RestoreDocument, RestoreStatus } from '../../control/restore-document.js'
import {
  addRestoreReplset,
  beatRestore,
  findRestore,
  hasChangedData,
  insertRestore,
  setRestoreReplsetFields,
  setRestoreReplsetStatus,
  setRestoreStatus,
} from '../../control/restores.js'
import { unixSeconds } from '../../control/wire.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import type { Member } from '../../mongo/topology.js'
import { clusterMembers, type NodeInfo } from '../../mongo/topology.js'
import { awaitRestoreReplsets, awaitRestoreState, watchRestore } from '../../protocol/convergence.js'
import { startHeartbeat } from '../../protocol/heartbeat.js'
import type { Clock } from '../../time/clock.js'
import { inTime } from '../../time/deadline.js'
import { judgedBy, throwIfStopped } from '../../time/deadline-guard.js'
import { ProgressPublisher } from '../data/progress.js'
import { ALL_BUT_INDEXES, refuseUnbuilt } from './unbuilt-indexes.js'

/** How long the primaries' agents are given to join: a little longer than one that comes into office takes. */
const JOIN_MILLIS = 45_000
/** How long it is tried to write down why it failed, and how often. */
const MARK_MILLIS = 20_000
const MARK_PAUSE_MILLIS = 500
/** How long what was told last of the progress may take. */
const SETTLE_MILLIS = 20_000

/** What a run works with. */
export interface RunContext {
  readonly leader: MongoClient
  readonly self: Member
  readonly log: OperationLog
  readonly clock: Clock
}

/** The operation as its record has it. */
export interface RunDescription {
  readonly name: string
  /** For messages. */
  readonly kind: 'restore' | 'replay'
  readonly info: NodeInfo
  readonly stopped: AbortSignal
  record(now: number, hb: RestoreDocument['hb']): RestoreDocument
}

/** What the work itself is given. */
export interface RunSteps {
  readonly signal: AbortSignal
  readonly progress: ProgressPublisher
  /**
   * This replica set has come so far; resolves when all have. Of the first state on, a failure leaves the data incomplete.
   * The cluster leader calls `before` when all have come and none goes on yet.
   */
  reach(state: Exclude<RestoreStatus, 'error'>, before?: () => Promise<void>): Promise<void>
}

/**
 * One run of a restore or a replay, with the lock held: announces it, keeps its heartbeat, moves its states and says in
 * its record how it ended (PBM: control-plane.md §5.3, §5.5).
 */
export class RestoreRun {
  readonly #context: RunContext
  readonly #run: RunDescription
  /** `maybe`: the others could go on from here, and nobody has said yet that they do. */
  #changes: 'no' | 'maybe' | 'yes' = 'no'
  #reached: RestoreStatus = 'starting'

  constructor(context: RunContext, run: RunDescription) {
    this.#context = context
    this.#run = run
  }

  /** Rejects with what the work failed with; it is written to the record before. */
  async execute(work: (steps: RunSteps) => Promise<void>): Promise<void> {
    const { leader, self, log, clock } = this.#context
    const { name, kind, info, stopped } = this.#run
    await this.#announce()
    const heartbeat = startHeartbeat({
      clock,
      beat: () => (info.isClusterLeader ? beatRestore(leader, name) : Promise.resolve(true)),
      reason: (why, cause) =>
        why === 'gone'
          ? new PbmError('OPERATION_GONE', `the record of the ${kind} is gone`)
          : new PbmError('HEARTBEAT_LOST', `no heartbeat of the ${kind} could be written in time`, { cause }),
      onFailure: (error) => log.warning(`the heartbeat of the ${kind} can't be written: ${errorText(error)}`),
    })
    // Ends what is still under way beside a step that failed.
    const ending = new AbortController()
    // One set alone has nobody else to fail.
    const watch = info.isSharded ? watchRestore({ leader, name, clock, leads: info.isClusterLeader }) : undefined
    const signals = [stopped, heartbeat.signal, ending.signal, ...(watch ? [watch.signal] : [])]
    const signal = judgedBy(AbortSignal.any(signals), heartbeat.assertAlive)
    const progress = new ProgressPublisher(clock, (told, op) =>
      setRestoreReplsetFields(leader, name, self.rs, { progress: told, ...(op === undefined ? {} : { op }) }),
    )
    try {
      await this.#awaitOthers(signal)
      await work({
        signal,
        progress,
        reach: (state, before) => this.#reach(state, signal, before),
      })
      await this.#settle(progress)
      await this.#reach('done', signal, () => refuseUnbuilt(leader, name))
      if (info.isClusterLeader && (await readConfig(leader)) !== undefined) await resetEpoch(leader)
      log.info(`the ${kind} is done`)
    } catch (error) {
      ending.abort(error)
      await this.#settle(progress)
      // Whatever a stage says of being stopped: the reason is why it was stopped.
      const stop = [stopped, watch?.signal].find((reason) => reason?.aborted === true)
      throw await this.#fail(stop === undefined ? error : stop.reason)
    } finally {
      watch?.stop()
      await heartbeat.stop()
    }
  }

  /** A write without an answer must not keep the end of the operation from being told. */
  async #settle(progress: ProgressPublisher): Promise<void> {
    const late = () => new Error('the progress could not be written in time')
    await inTime(progress.settle(), SETTLE_MILLIS, late).catch((error: unknown) =>
      this.#context.log.warning(errorText(error)),
    )
  }

  /** The documents that everybody waits for, first of all. */
  async #announce(): Promise<void> {
    const { leader, self, clock } = this.#context
    const { name, kind, info, stopped, record } = this.#run
    if (info.isClusterLeader && !(await insertRestore(leader, record(unixSeconds(), await clusterTime(leader))))) {
      throw new PbmError('RESTORE_EXISTS', `There is a ${kind} ${name} already`)
    }
    await awaitRestoreState({ leader, name, state: 'starting', signal: stopped, clock, timeoutMillis: 30_000 })
    await addRestoreReplset(leader, name, { ...emptyReplset(self.rs, unixSeconds()), node: self.node })
  }

  /** A shard without an agent beside its primary would be waited for in vain, after the others have done all their checks. */
  async #awaitOthers(signal: AbortSignal): Promise<void> {
    const { leader, clock } = this.#context
    const { name, info } = this.#run
    if (!info.isClusterLeader || !info.isSharded) return
    const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
    await awaitRestoreReplsets({ leader, name, replsets, state: 'starting', signal, clock, timeoutMillis: JOIN_MILLIS })
  }

  async #reach(
    state: Exclude<RestoreStatus, 'error'>,
    signal: AbortSignal,
    before?: () => Promise<void>,
  ): Promise<void> {
    const { leader, self, log, clock } = this.#context
    const { name, info } = this.#run
    throwIfStopped(signal)
    // Nobody goes on before the cluster leader says so.
    if (!info.isClusterLeader) this.#mayChange()
    this.#reached = state
    await setRestoreReplsetStatus(leader, name, self.rs, state, { by: 'nominee' })
    if (info.isClusterLeader) {
      const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
      await awaitRestoreReplsets({ leader, name, replsets, state, signal, clock })
      await before?.()
      throwIfStopped(signal)
      this.#mayChange()
      await setRestoreStatus(leader, name, state, { by: 'leader' })
    } else {
      await awaitRestoreState({ leader, name, state, signal, clock })
    }
    this.#changes = 'yes'
    log.debug(`state ${state}`)
  }

  #mayChange(): void {
    if (this.#changes === 'no') this.#changes = 'maybe'
  }

  /** Whether data was changed on any replica set; undefined where nobody can tell. */
  async #isChanged(): Promise<boolean | undefined> {
    if (this.#changes !== 'maybe') return this.#changes === 'yes'
    const { leader } = this.#context
    const record = await findRestore(leader, this.#run.name).catch(() => undefined)
    return record === undefined ? undefined : hasChangedData(record)
  }

  #explained(error: unknown, isChanged: boolean | undefined): PbmError {
    const code =
      error instanceof PbmError ? error.code : this.#run.kind === 'restore' ? 'RESTORE_FAILED' : 'REPLAY_FAILED'
    const repeat = this.#run.kind === 'restore' ? 'repeat the restore' : 'replay from the same start again, or restore'
    const after =
      isChanged === undefined
        ? `Nobody can tell whether data was changed: ${repeat} unless all of it is there.`
        : isChanged
          ? `The data of the cluster is incomplete now: ${repeat}.`
          : 'Nothing of the data was changed.'
    const lost = isNotPrimary(error) ? 'this node is no longer the primary: ' : ''
    const text = errorText(error)
    // Another replica set's words say so already.
    return new PbmError(code, `${lost}${text}`, {
      ...(text.includes(after) || text.includes(ALL_BUT_INDEXES) ? {} : { hint: after }),
      cause: error,
    })
  }

  /**
   * Somebody dropped the control collections under it: without a record, nobody could see that the data is incomplete, nor
   * that it failed at all.
   */
  async #putBack(error: string, reached: RestoreStatus): Promise<void> {
    const { leader, self } = this.#context
    const now = unixSeconds()
    const part = { ...emptyReplset(self.rs, now), node: self.node, status: 'error' as const, error }
    await insertRestore(leader, {
      ...this.#run.record(now, await clusterTime(leader)),
      ...{ status: 'error', error, conditions: [{ timestamp: now, status: reached }], replsets: [part] },
    })
  }

  /**
   * Gives the failure as it is told. Best effort: where it can't be written, the watch of the cluster leader marks the
   * restore later.
   */
  async #fail(cause: unknown): Promise<PbmError> {
    const { leader, self, log, clock } = this.#context
    const { name, kind, stopped, info } = this.#run
    const isChanged = await this.#isChanged()
    let failure = this.#explained(cause, isChanged)
    const mark = (ifStatus?: 'starting') =>
      setRestoreStatus(leader, name, 'error', {
        error: errorText(failure),
        ...(ifStatus === undefined ? {} : { ifStatus }),
      })
    const write = async () => {
      // That nothing was changed is written only where it holds at that moment: the others may just be going on.
      const marked = await mark(isChanged === false ? 'starting' : undefined)
      // Without a record only the cluster leader's word would let the others go on.
      const isCertain = marked.changed || isChanged !== false || (marked.status === undefined && info.isClusterLeader)
      if (!isCertain) {
        this.#changes = 'maybe'
        failure = this.#explained(cause, await this.#isChanged())
        await mark()
      }
      await setRestoreReplsetStatus(leader, name, self.rs, 'error', { error: errorText(failure) })
      if (info.isClusterLeader && (await findRestore(leader, name)) === undefined) {
        await this.#putBack(errorText(failure), isChanged === false ? 'starting' : this.#reached)
      }
    }
    const until = clock.now() + MARK_MILLIS
    for (;;) {
      // Without an answer the heartbeat has to end, so that others see that nobody is at work.
      const late = () => new Error(`no answer within ${MARK_MILLIS / 1000} s`)
      const fault = await inTime(write(), MARK_MILLIS, late).then(
        () => undefined,
        (reason: unknown) => new Error(errorText(reason)),
      )
      if (fault === undefined) break
      // Where the server is just starting again, nobody has to wait until the restore counts as dead.
      if (clock.now() < until && !stopped.aborted) {
        await clock.sleep(MARK_PAUSE_MILLIS, stopped).catch(() => undefined)
        continue
      }
      log.error(`the failure can't be written to the record of the ${kind}: ${fault.message}`)
      // Nobody keeps the others from going on then.
      if (isChanged === false && this.#changes === 'maybe') failure = this.#explained(cause, undefined)
      break
    }
    log.error(errorText(failure))
    return failure
  }
}

const NOT_PRIMARY_CODES: ReadonlySet<unknown> = new Set([10107, 11600, 11602, 13435, 13436, 189, 91])

function isNotPrimary(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (NOT_PRIMARY_CODES.has((current as { code?: unknown }).code)) return true
  }
  return false
}
