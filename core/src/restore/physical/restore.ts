import { type MongoClient, Timestamp } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { Config } from '../../config/document.js'
import type { CommandDocument, RestoreCommand } from '../../control/command-document.js'
import { readConfig, readEpoch, requireConfig } from '../../control/config.js'
import { removeLocksOf } from '../../control/locks.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import {
  beatRestore,
  findRestoreByOpid,
  insertRestore,
  setRestoreFields,
  setRestoreReplsetFields,
  setRestoreStatus,
} from '../../control/restores.js'
import { unixSeconds } from '../../control/wire.js'
import { errorText, PbmError } from '../../errors.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { type NodeInfo, nodeInfo } from '../../mongo/topology.js'
import { toTimestamp } from '../../oplog/entry.js'
import { busyText } from '../../protocol/busy.js'
import { type Heartbeat, startHeartbeat } from '../../protocol/heartbeat.js'
import { type HeldLock, isHeld } from '../../protocol/lock.js'
import { acquireLockAfterResync } from '../../protocol/lock-wait.js'
import { ProgressPublisher } from '../../protocol/progress.js'
import { resumeAfterRestore, suspendOthers } from '../../recovery/suspension.js'
import type { OpenStore } from '../../store/open-store.js'
import { until } from '../../time/until.js'
import { RestoreContext } from '../run/context.js'
import { announceRestore, partyOf, requireAgents } from './announce.js'
import { DEFAULT_PARALLEL_FILES, fetchFiles } from './fetch.js'
import { shardingIdentityOf } from './identity.js'
import { goState, type JournalFile, type TakeOverJournal } from './journal.js'
import type { KeptOplog } from './oplog-file.js'
import { fetchedSize } from './planned-files.js'
import {
  fetchOplog,
  journalOf,
  keptDocuments,
  type Prepared,
  preparePhysical,
  refuseUnitsOwn,
  removeFresh,
} from './prepare.js'
import { type PreparedExternal, prepareExternal } from './prepare-external.js'
import { SyncFiles } from './sync-files.js'

/** What is left to be done when the agent has let go of its mongod. */
export interface PlannedTakeOver {
  readonly journal: TakeOverJournal
  /** Of the coordinator: held until its server goes, which takes it along. */
  readonly lock: HeldLock | undefined
}

/** How long the record may take to be there, and the agents to look whether they can take part. */
const RECORD_MS = 45_000
const JOIN_MS = 120_000
const POLL_MS = 200

type Command = CommandDocument & { cmd: 'restore' }

interface Given {
  readonly backup: OpenStore
  readonly main: OpenStore
  readonly file: JournalFile
  /** This machine's own, of its mongod. */
  readonly startCommand: string | undefined
}

/**
 * A physical restore up to the moment that the servers end: every member looks whether it can, brings the files beside its
 * data, and checks them. Until then nothing is touched, and the database serves.
 */
@injectable()
export class PhysicalRestore {
  readonly #context

  constructor(@inject(RestoreContext) context: RestoreContext) {
    this.#context = context
  }

  /**
   * Undefined where this member has no part. Rejects with what it failed with, which record and storage say before.
   *
   * @param given `backup` has the backup, `main` what the members agree by; `file` is written before any server may end.
   */
  async prepare(command: Command, given: Given, signal: AbortSignal): Promise<PlannedTakeOver | undefined> {
    const { node, leader, self, log, clock } = this.#context
    const info = await nodeInfo(node)
    if (info.isArbiter) return undefined
    if (!info.isPrimary) {
      const record = await this.#findRecord(command, signal)
      if (record === undefined || record.status === 'error') return undefined
      const journal = await this.#takePart(command, record, { ...given, info, signal, isCoordinator: false })
      return { journal, lock: undefined }
    }
    const epoch = (await readEpoch(leader)) ?? (await clusterTime(leader))
    const opid = command._id.toHexString()
    const header = { type: 'restore' as const, replset: self.rs, node: self.node, opid, epoch }
    const lock = await acquireLockAfterResync({ leader, header, clock, log, signal })
    if (!isHeld(lock)) {
      if (lock.refused === 'concurrent') throw new PbmError('OPERATION_RUNNING', busyText(lock.by))
      return undefined
    }
    try {
      const record = await this.#recordOf(command, info, signal)
      const held = AbortSignal.any([signal, lock.signal])
      const journal = await this.#takePart(command, record, { ...given, info, signal: held, isCoordinator: true })
      return { journal, lock }
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async #recordOf(command: Command, info: NodeInfo, signal: AbortSignal): Promise<RestoreDocument> {
    const { leader, self } = this.#context
    const { _id, restore } = command
    if (info.isSharded && !info.isConfigServer) {
      const record = await this.#findRecord(command, signal)
      if (record !== undefined && record.status !== 'error') return record
      throw new PbmError('RESTORE_NODE', `the config servers have not begun the restore: ${record?.error ?? ''}`)
    }
    return await announceRestore(leader, self, { opid: _id.toHexString(), restore })
  }

  async #findRecord({ _id }: Command, signal: AbortSignal): Promise<RestoreDocument | undefined> {
    const { leader, clock } = this.#context
    const find = () => findRestoreByOpid(leader, _id.toHexString())
    return await until(find, { clock, signal, everyMs: POLL_MS, timeoutMs: RECORD_MS })
  }

  async #takePart(
    command: Command,
    record: RestoreDocument,
    given: Given & { info: NodeInfo; signal: AbortSignal; isCoordinator: boolean },
  ): Promise<TakeOverJournal> {
    const { node, leader, self, log, clock, host, ciphers } = this.#context
    const { info, backup: store, main, file, startCommand, signal, isCoordinator } = given
    const { restore } = command
    const party = partyOf(record, self, isCoordinator)
    const sync = new SyncFiles({ store: main, restore: record.name, party, signal, clock })
    const stopBeat = sync.beat()
    const heartbeat = sync.leads ? this.#startHeartbeat(record) : undefined
    let prepared: Prepared | PreparedExternal | undefined
    try {
      log.info(`physical restore of ${restore.backupName} begins`)
      if (sync.leads) await requireAgents(leader, record)
      refuseUnitsOwn(startCommand)
      const allowPartlyDone = mayBePartlyDone(restore, await readConfig(leader))
      const preparing = { node, leader, self, log, host, ciphers, info, store, signal }
      prepared = await (restore.external ? prepareExternal : preparePhysical)(restore, preparing)
      await sync.reach('starting', { timeoutMs: JOIN_MS })
      const setRunning = async () => {
        await setRestoreStatus(leader, record.name, 'running', { by: 'leader' })
      }
      let oplog: KeptOplog | undefined
      if (isFromStorage(prepared)) {
        await sync.reach('running', { before: setRunning })
        await this.#fetch(record, prepared, { isCoordinator, parallel: restore.numParallelFiles })
        oplog = await fetchOplog(prepared)
        log.info('all files of the backup are here, and as they were stored')
      }
      let journal: TakeOverJournal | undefined
      const plan = async () => {
        if (prepared === undefined) throw new Error('unreachable')
        journal = await this.#planned(prepared, { record, party, oplog, info, allowPartlyDone })
        await file.write(journal)
        return journal
      }
      // As soon as the leader has said it, the others go on without it.
      const before = async () => {
        if (restore.external) await setRunning()
        await this.#suspend(record, info, signal)
        await plan()
      }
      await sync.reach(goState({ external: restore.external || undefined }), { before })
      return journal ?? (await plan())
    } catch (error) {
      const text = errorText(error)
      const told = [sync.tell('error', text), ...(isCoordinator ? [sync.tellReplset('error', text)] : [])]
      if (sync.leads) told.push(sync.tellCluster('error', text), this.#fail(record, text))
      for (const { status, reason } of (await Promise.allSettled(told)) as PromiseRejectedResult[])
        if (status === 'rejected') log.warning(errorText(reason))
      await file.remove().catch((fault: unknown) => log.warning(errorText(fault)))
      if (prepared !== undefined) await removeFresh(prepared).catch(() => undefined)
      throw error
    } finally {
      await heartbeat?.stop()
      await stopBeat()
    }
  }

  async #planned(
    prepared: Prepared | PreparedExternal,
    {
      info,
      ...given
    }: Pick<TakeOverJournal, 'record' | 'party' | 'allowPartlyDone'> & { oplog: KeptOplog | undefined; info: NodeInfo },
  ): Promise<TakeOverJournal> {
    const { node, leader } = this.#context
    const [config, kept] = [await requireConfig(leader), await keptDocuments(leader)]
    const sharding = await shardingIdentityOf(node, info)
    const member = { ...given, sharding, node, config, kept }
    if (!isFromStorage(prepared)) {
      const { external } = prepared
      const lastWrite = external.time ?? external.backupEnd ?? new Timestamp({ t: 0, i: 0 })
      return await journalOf(prepared, { ...member, external, lastWrite })
    }
    const { oplog } = given
    const lastWrite = oplog === undefined ? prepared.fetching.part.last_write_ts : toTimestamp(oplog.last)
    return await journalOf(prepared, { ...member, lastWrite })
  }

  #startHeartbeat({ name }: RestoreDocument): Heartbeat {
    const { leader, clock, log } = this.#context
    return startHeartbeat({
      clock,
      beat: () => beatRestore(leader, name),
      reason: () => new PbmError('OPERATION_GONE', `the record of restore ${name} is gone`),
      onFailure: (error) => log.warning(`the heartbeat of the restore can't be written: ${errorText(error)}`),
    })
  }

  async #suspend({ name }: RestoreDocument, { isSharded }: NodeInfo, signal: AbortSignal): Promise<void> {
    const { leader, clock, log } = this.#context
    await suspendOthers({ leader, name, isSharded, signal, clock, log })
  }

  async #fetch(
    { name }: RestoreDocument,
    { fetching, files, folder }: Prepared,
    { isCoordinator, parallel }: { isCoordinator: boolean; parallel: number | undefined },
  ): Promise<void> {
    const { leader, self, clock } = this.#context
    const progress = isCoordinator
      ? new ProgressPublisher(clock, (told) => setRestoreReplsetFields(leader, name, self.rs, { progress: told }))
      : undefined
    const bytes = fetchedSize(files)
    progress?.phase('files', { bytes, documents: 0 })
    const configured = (await readConfig(leader))?.restore?.numParallelFiles
    const width = parallel || configured || DEFAULT_PARALLEL_FILES
    const { signal } = fetching
    await fetchFiles(files, { folder, parallel: width, progress, signal }).finally(() => progress?.settle())
  }

  async #fail({ name }: RestoreDocument, text: string): Promise<void> {
    const { leader, log } = this.#context
    const error = `${text}: Nothing of the data was changed.`
    await setRestoreStatus(leader, name, 'error', { error }).catch((fault: unknown) => log.error(errorText(fault)))
    await resumeAfterRestore(leader, name, log).catch((fault: unknown) => log.warning(errorText(fault)))
  }
}

/**
 * The old files are kept here and come back whatever `fallbackEnabled` says: off, it only says that they need not (PBM: physical.md §5).
 * Throws RESTORE_UNSUPPORTED where both are off. Pure.
 */
export function mayBePartlyDone(
  { fallbackEnabled, allowPartlyDone }: Pick<RestoreCommand, 'fallbackEnabled' | 'allowPartlyDone'>,
  config: Pick<Config, 'restore'> | undefined,
): boolean {
  const mayBe = allowPartlyDone ?? config?.restore?.allowPartlyDone ?? true
  const fallsBack = fallbackEnabled ?? config?.restore?.fallbackEnabled
  if (mayBe || fallsBack !== false) return mayBe
  throw new PbmError('RESTORE_UNSUPPORTED', 'restore.fallbackEnabled and restore.allowPartlyDone are both off', {
    hint: 'Switch one of them on: without both there is no way out where a member fails',
  })
}

function isFromStorage(prepared: Prepared | PreparedExternal): prepared is Prepared {
  return 'fetching' in prepared
}

export interface EndedTakeOver {
  /** As it began. */
  readonly record: RestoreDocument
  readonly status: 'done' | 'partlyDone' | 'error'
  readonly error?: string
}

/** The agent's, when the database serves again: writes down how the restore has ended. */
export async function recordTakeOver(leader: MongoClient, { record, status, error }: EndedTakeOver): Promise<void> {
  if (status === 'error') {
    await setRestoreStatus(leader, record.name, 'error', { error: error ?? '' })
    await removeLocksOf(leader, record.opid)
    return
  }
  const now = unixSeconds()
  await insertRestore(leader, {
    ...record,
    hb: await clusterTime(leader),
    status,
    ...(error === undefined ? {} : { error }),
    conditions: [{ timestamp: record.start_ts, status: 'starting' }],
    replsets: record.replsets.map((replset) => ({ ...replset, status, last_transition_ts: now })),
  })
  await setRestoreFields(leader, record.name, { last_transition_ts: now })
}
