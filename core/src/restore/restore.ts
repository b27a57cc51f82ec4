import type { MongoClient } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { BackupReplset } from '../control/backup-document.js'
import type { CommandDocument, RestoreCommand } from '../control/command-document.js'
import { readConfig, readEpoch, resetEpoch } from '../control/config.js'
import { type LockHeader, listSlicerLocks } from '../control/locks.js'
import { suspendPitr } from '../control/pitr-suspension.js'
import type { RestoreStatus } from '../control/restore-document.js'
import {
  addRestoreReplset,
  beatRestore,
  insertRestore,
  setRestoreReplsetProgress,
  setRestoreReplsetStatus,
  setRestoreStatus,
} from '../control/restores.js'
import { unixSeconds } from '../control/wire.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import { clusterMembers, type NodeInfo, nodeInfo } from '../mongo/topology.js'
import { PluginHost } from '../plugin/host.js'
import type { ObjectStore } from '../plugin/storage.js'
import { awaitRestoreReplsets, awaitRestoreState } from '../protocol/convergence.js'
import { startHeartbeat } from '../protocol/heartbeat.js'
import { acquireLock, isHeld } from '../protocol/lock.js'
import type { Clock } from '../time/clock.js'
import { CLOCK, LEADER, type Member, NODE, OPERATION_LOG, SELF, STORE } from '../tokens.js'
import { emptyReplset, emptyRestore } from './documents.js'
import { findRestorable } from './find-backup.js'
import { chunksUpTo } from './point-in-time.js'
import { ProgressPublisher } from './progress.js'
import { type RestoreTuning, restoreReplset } from './replset.js'
import { refuseUnsupported, replsetOfBackup } from './select.js'

/** What became of a command. `not-primary`: another agent's work. `refused`: another operation has the lock. */
export type RestoreOutcome = 'done' | 'not-primary' | 'refused'

const SLICER_WAIT_MILLIS = 120_000
const SLICER_POLL_MILLIS = 200

/**
 * A logical restore, on the primary of a replica set (PBM: control-plane.md §5.3). The lock is taken here, so that a
 * command that reaches several agents runs once. Whatever goes wrong ends in the restore's document, with the reason.
 */
@injectable()
export class Restore {
  constructor(
    @inject(NODE) private readonly node: MongoClient,
    @inject(LEADER) private readonly leader: MongoClient,
    @inject(SELF) private readonly self: Member,
    @inject(OPERATION_LOG) private readonly log: OperationLog,
    @inject(CLOCK) private readonly clock: Clock,
    @inject(STORE) private readonly store: ObjectStore,
    @inject(PluginHost) private readonly host: PluginHost,
  ) {}

  /** Rejects with what the restore failed with; it is written to the document before. */
  async run(
    command: CommandDocument & { cmd: 'restore' },
    { signal }: { signal: AbortSignal },
  ): Promise<RestoreOutcome> {
    const info = await nodeInfo(this.node)
    if (!info.isPrimary) return 'not-primary'
    const { leader, log, clock } = this
    const opid = command._id.toHexString()
    const epoch = (await readEpoch(leader)) ?? (await clusterTime(leader))
    const header = { type: 'restore' as const, replset: this.self.rs, node: this.self.node, opid, epoch }
    const lock = await acquireLock({ leader, header, clock, log })
    if (!isHeld(lock)) {
      // `done` and `taken`: this very command runs or ran; only a different operation is worth a record.
      if (lock.refused === 'concurrent') await this.#refuse(command.restore, opid, info, lock.by)
      else log.debug('this restore was taken by another node')
      return 'refused'
    }
    try {
      const run = new RestoreRun(this, command.restore, opid, info, AbortSignal.any([signal, lock.signal]))
      await run.execute()
      return 'done'
    } finally {
      await lock.release()
    }
  }

  /** Whoever waits for the restore learns at once that it will not begin. */
  async #refuse(command: RestoreCommand, opid: string, info: NodeInfo, by: LockHeader | undefined): Promise<void> {
    const error = `another operation runs on ${this.self.rs}: ${by?.type ?? 'unknown'} ${by?.opid ?? ''}`.trimEnd()
    this.log.error(`the restore does not begin: ${error}`)
    if (!info.isClusterLeader) return
    await insertRestore(this.leader, emptyRestore(command, opid, unixSeconds(), await clusterTime(this.leader)))
    await setRestoreStatus(this.leader, command.name, 'error', { error })
  }

  /** The parts a run works with; the class itself is only what the container makes. */
  get parts() {
    const { node, leader, self, log, clock, store, host } = this
    return { node, leader, self, log, clock, store, host }
  }
}

type Parts = Restore['parts']

/** One run of the command, with the lock held. */
class RestoreRun {
  readonly #parts: Parts
  readonly #command: RestoreCommand
  readonly #opid: string
  readonly #info: NodeInfo
  readonly #stopped: AbortSignal
  /** Once true, a failure leaves the target with part of the data. */
  #touched = false

  constructor(restore: Restore, command: RestoreCommand, opid: string, info: NodeInfo, stopped: AbortSignal) {
    this.#parts = restore.parts
    this.#command = command
    this.#opid = opid
    this.#info = info
    this.#stopped = stopped
  }

  async execute(): Promise<void> {
    const { leader, self, log, clock } = this.#parts
    const { name, backupName } = this.#command
    log.info(`restore of ${backupName} begins`)
    await this.#announce()
    const heartbeat = startHeartbeat({
      clock,
      beat: () => (this.#info.isClusterLeader ? beatRestore(leader, name) : Promise.resolve(true)),
      reason: (why, cause) =>
        why === 'gone'
          ? new PbmError('OPERATION_GONE', 'the record of the restore is gone')
          : new PbmError('HEARTBEAT_LOST', 'no heartbeat of the restore could be written in time', { cause }),
      onFailure: (error) => log.warning(`the heartbeat of the restore can't be written: ${errorText(error)}`),
    })
    // Ends what is still under way beside a step that failed.
    const work = new AbortController()
    const signal = AbortSignal.any([this.#stopped, heartbeat.signal, work.signal])
    const progress = new ProgressPublisher(clock, (told) => setRestoreReplsetProgress(leader, name, self.rs, told))
    try {
      await this.#restore(signal, progress)
      await progress.settle()
      await this.#reach('done', signal)
      if ((await readConfig(leader)) !== undefined && this.#info.isClusterLeader) await resetEpoch(leader)
      log.info('the restore is done')
    } catch (error) {
      work.abort(error)
      await progress.settle()
      const failure = this.#explained(signal.aborted && this.#stopped.aborted ? this.#stopped.reason : error)
      await this.#fail(failure)
      throw failure
    } finally {
      await heartbeat.stop()
    }
  }

  async #restore(signal: AbortSignal, progress: ProgressPublisher): Promise<void> {
    const { node, leader, self, log, store, host } = this.#parts
    refuseUnsupported(this.#command)
    const config = await readConfig(leader)
    if (this.#info.isClusterLeader && config?.pitr?.enabled === true) {
      await suspendPitr(leader)
      log.warning(
        'point-in-time recovery was on and is off now: make a full backup when the restore is done, then it goes on by itself',
      )
    }
    await this.#awaitSlicerGone(signal)
    const backup = await findRestorable(leader, store, this.#command.backupName, signal)
    const part: BackupReplset = replsetOfBackup(backup, self.rs, this.#command.rsMap)
    const pointInTime = await chunksUpTo({ leader, host, rs: part.name, backup, target: this.#command.oplogTS })
    const compression = await host.compression(backup.compression)
    await restoreReplset({
      client: node,
      store,
      backup,
      part,
      compression,
      tuning: tuningOf(this.#command, config?.restore ?? {}),
      pointInTime,
      signal,
      log,
      progress,
      reach: async (state) => {
        await this.#reach(state, signal)
        if (state === 'cleanupCluster') this.#touched = true
      },
    })
  }

  /** The documents that everybody waits for, first of all. */
  async #announce(): Promise<void> {
    const { leader, self, clock } = this.#parts
    const { name } = this.#command
    if (this.#info.isClusterLeader) {
      const restore = emptyRestore(this.#command, this.#opid, unixSeconds(), await clusterTime(leader))
      if (!(await insertRestore(leader, restore))) {
        throw new PbmError('RESTORE_EXISTS', `There is a restore ${name} already`)
      }
    }
    await awaitRestoreState({ leader, name, state: 'starting', signal: this.#stopped, clock, timeoutMillis: 30_000 })
    await addRestoreReplset(leader, name, { ...emptyReplset(self.rs, unixSeconds()), node: self.node })
  }

  /** This replica set has come so far; waits until all have. */
  async #reach(state: Exclude<RestoreStatus, 'error'>, signal: AbortSignal): Promise<void> {
    const { leader, self, log, clock } = this.#parts
    const { name } = this.#command
    signal.throwIfAborted()
    await setRestoreReplsetStatus(leader, name, self.rs, state, { by: 'nominee' })
    if (this.#info.isClusterLeader) {
      const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
      await awaitRestoreReplsets({ leader, name, replsets, state, signal, clock })
      await setRestoreStatus(leader, name, state, { by: 'leader' })
    } else {
      await awaitRestoreState({ leader, name, state, signal, clock })
    }
    log.debug(`state ${state}`)
  }

  /** A slicer that still runs would store what the restore does. It stops by itself once it sees the new epoch. */
  async #awaitSlicerGone(signal: AbortSignal): Promise<void> {
    const { leader, self, clock } = this.#parts
    const until = clock.now() + SLICER_WAIT_MILLIS
    for (;;) {
      const now = await clusterTime(leader)
      const live = (await listSlicerLocks(leader, { replset: self.rs })).filter(({ hb }) => !isStale(hb, now))
      if (live.length === 0) return
      if (clock.now() > until) {
        throw new PbmError('SLICER_RUNS', `The oplog of ${self.rs} is still being stored by ${live[0]?.node ?? ''}`, {
          hint: 'Turn point-in-time recovery off and see that the agent there is alive, then restore again.',
        })
      }
      await clock.sleep(SLICER_POLL_MILLIS, signal)
    }
  }

  #explained(error: unknown): PbmError {
    const code = error instanceof PbmError ? error.code : 'RESTORE_FAILED'
    const after = this.#touched
      ? 'The data of the cluster is incomplete now: repeat the restore.'
      : 'Nothing of the data was changed.'
    const lost = isNotPrimary(error) ? 'this node is no longer the primary: ' : ''
    return new PbmError(code, `${lost}${errorText(error)}`, { hint: after, cause: error })
  }

  /** Best effort: where not even this can be written, the watch of the cluster leader marks the restore later. */
  async #fail(failure: PbmError): Promise<void> {
    const { leader, self, log } = this.#parts
    const { name } = this.#command
    const error = errorText(failure)
    log.error(error)
    try {
      await setRestoreReplsetStatus(leader, name, self.rs, 'error', { error })
      await setRestoreStatus(leader, name, 'error', { error })
    } catch (cause) {
      log.error(`the failure can't be written to the record of the restore: ${errorText(cause)}`)
    }
  }
}

function tuningOf(
  command: RestoreCommand,
  config: {
    verify?: boolean
    numParallelCollections?: number
    numInsertionWorkers?: number
    indexCommitQuorum?: string
  },
): RestoreTuning {
  return {
    verify: config.verify,
    numParallelCollections: command.numParallelColls || config.numParallelCollections || undefined,
    numInsertionWorkers: command.numInsertionWorkers || config.numInsertionWorkers || undefined,
    commitQuorum: command.indexCommitQuorum || config.indexCommitQuorum || undefined,
  }
}

const NOT_PRIMARY_CODES: ReadonlySet<unknown> = new Set([10107, 11600, 11602, 13435, 13436, 189, 91])

function isNotPrimary(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (NOT_PRIMARY_CODES.has((current as { code?: unknown }).code)) return true
  }
  return false
}
