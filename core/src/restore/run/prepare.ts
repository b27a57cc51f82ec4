import { availableParallelism } from 'node:os'
import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { GainedRoles } from '../../control/restore-document.js'
import type { OperationLog } from '../../log.js'
import { databaseOf, earlier, optime } from '../../oplog/entry.js'
import { CutTransactions } from '../../oplog/replay/cut-transactions.js'
import { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import { isExcluded } from '../../oplog/replay/namespaces.js'
import type { OperationChoice } from '../../oplog/replay/options.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { comparePbmMajorMinor, isLegacyArchive, isLegacyBackupOplog } from '../../store/layout/pbm-version.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { TOOL_NAME } from '../../version.js'
import { ForeignCollections } from '../data/foreign.js'
import { keptUsers } from '../data/kept-users.js'
import { replayPieces } from '../data/replay-pieces.js'
import { openSnapshot, type Snapshot } from '../data/snapshot.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { listAll, reservedUuids, touchable } from '../data/target.js'
import { TouchedCollections } from '../data/touched.js'
import { type Kept, refuseTooMany, usersOrRoles } from '../data/users-and-roles.js'
import type { OpenedFiles } from '../physical/opened-files.js'
import { type ChosenPart, chooseNamespaces, type OwnPart } from '../selective/choose.js'
import { NamespaceHistory } from '../selective/history.js'
import type { Wanted } from '../selective/plan.js'
import type { RoutingTables } from '../sharding/routing-tables.js'
import type { Sharding } from '../sharding/sharding.js'
import { refuseOtherCase } from '../verify/case-conflicts.js'
import { crossCheckList } from '../verify/cross-check.js'
import { gainedRoles } from '../verify/gained-roles.js'
import { refuseInvalidNamespaces, refuseReservedUuids } from '../verify/namespaces.js'
import { checkPieces, type OplogVerification, verifyPieces } from '../verify/oplog.js'
import { verifySnapshot } from '../verify/verify.js'
import { NOTHING } from './newcomers.js'
import type { PointInTime } from './point-in-time.js'

/** PBM dumps by itself since then, and leaves out index options it does not know (PBM: storage-format.md §3). */
const PBM_WITHOUT_INDEX_FLAGS = '2.8'

const NO_DATA: OperationChoice = { choose: () => undefined }

/** How a restore works; each has a default. */
export interface RestoreTuning {
  /** Reads all objects through before anything is dropped. Default true. */
  readonly verify?: boolean | undefined
  readonly numParallelCollections?: number | undefined
  /** Of a physical backup, fetched at a time. */
  readonly numParallelFiles?: number | undefined
  /** Insert commands under way a collection; at most 4 are of use. */
  readonly numInsertionWorkers?: number | undefined
  /** Documents of one insert command; as many as fit where it is left out. */
  readonly batchSize?: number | undefined
  readonly commitQuorum?: string | undefined
  /** In bytes, see `refuseOpen`. */
  readonly openTransactionBytes?: number | undefined
  /** Leaves the users and roles of the target as they are. */
  readonly withoutUsersAndRoles?: boolean | undefined
}

/** One replica set, and its part of a logical backup. */
export interface Preparing {
  /** Direct connection to the primary. */
  readonly client: MongoClient
  readonly store: ObjectStore
  readonly backup: BackupDocument
  /** Its part of the backup. */
  readonly part: BackupReplset
  readonly compression: CompressionPlugin
  readonly tuning: RestoreTuning
  /** `DB.USER` of those who must not be locked out. */
  readonly usersInUse: readonly string[]
  /** Goes on from the end of the backup, through these chunks (in order of their start), up to `end`, inclusive. */
  readonly pointInTime?: PointInTime | undefined
  readonly guard: DeadlineGuard
  readonly log: OperationLog
  readonly progress: ProgressPublisher
  /** Name of the database for what is put together before it goes where it belongs. */
  readonly staging: string
  /** Set where a part of the data is restored. */
  readonly wanted?: Wanted | undefined
  /** Of a physical backup, which {@link Preparing.store} has the files of. */
  readonly files?: OpenedFiles | undefined
  /** Of a sharded cluster. */
  readonly sharding?: Sharding | undefined
  /** A restore before this one changed data and did not end. Default false. */
  readonly afterInterrupted?: boolean | undefined
  /** See `unfinishedInPlace`. */
  readonly unfinished?: ReadonlyMap<string, ReadonlySet<string>> | undefined
  /** Nothing is restored: the oplog is read through, for what it does, and no data. Default false. */
  readonly isDryRun?: boolean
}

export interface Prepared {
  /** All of the backup. */
  readonly whole: Snapshot
  /** Of the backup what is restored, under the names that it is to have. */
  readonly snapshot: Snapshot
  readonly chosen: ChosenPart | undefined
  /** Those of the snapshot that are collections, time series and views. */
  readonly namespaces: readonly NamespaceMetadata[]
  readonly kept: Kept
  /** What the target has under names that the oplog creates, which goes too. */
  readonly doomed: ReadonlySet<string>
  /** Bytes of oplog on the storage. */
  readonly storedOplog: number
  readonly gained: readonly GainedRoles[]
  /** What all that is restored ends as; in a dry run of a whole backup. */
  readonly history: NamespaceHistory | undefined
  /** What the oplog changes; undefined where not all of it was read. */
  readonly touched: TouchedCollections | undefined
}

/**
 * Reads the part of the backup through and decides what is restored; nothing of the target is touched. Throws whatever
 * speaks against it.
 */
export async function prepareReplset(restore: Preparing): Promise<Prepared> {
  const { client, store, backup, part, compression, guard, log, tuning } = restore
  const isNewcomer = restore.pointInTime?.newcomers.has(part.name) === true
  if (isNewcomer) log.info(`${part.name} came empty after the backup: all that it had is in the stored oplog`)
  const opened = () => restore.files?.snapshot ?? openSnapshot(store, backup, part, compression, guard)
  const whole = isNewcomer ? NOTHING : await opened()
  const chosen = restore.wanted === undefined ? undefined : await choose(restore, restore.wanted, whole)
  const snapshot = chosen?.snapshot ?? whole
  const namespaces = snapshot.namespaces.filter(
    (namespace) => !isExcluded(`${namespace.db}.${namespace.collection}`) && usersOrRoles(namespace) === undefined,
  )
  await refuseInvalidNamespaces(snapshot.namespaces)
  refuseTooMany(snapshot.namespaces)
  const target = await listAll(client)
  const reserved = reservedUuids(target)
  refuseReservedUuids(reserved, namespaces)
  const places = [...(chosen?.staged.values() ?? [])].map(({ ns }) => databaseOf(ns))
  refuseOtherCase(
    target.map(({ db }) => db),
    [...namespaces.map(({ db }) => db), ...places],
  )
  const kept = await keptUsers(client, restore.usersInUse)
  await restore.sharding?.prepare(snapshot)
  const staying = touchable(target).filter(({ db }) => restore.sharding?.drops(db) !== true)
  const { afterInterrupted } = restore
  const foreign = new ForeignCollections(staying, namespaces, reserved, { afterInterrupted })
  const history = restore.isDryRun === true ? new NamespaceHistory(whole.namespaces) : undefined
  const touched = new TouchedCollections()
  const storedOplog = await verify(
    restore,
    { whole, chosen, hasOthers: !foreign.isEmpty },
    {
      onCommand: (command, ts) => {
        foreign.see(command)
        restore.sharding?.lost?.see(command)
        history?.see(command, ts)
      },
      onTouch: (operation) => touched.see(operation),
    },
  )
  foreign.refuse()
  restore.sharding?.lost?.refuse()
  if (!isLegacyArchive(backup.pbm_version)) warnOfLostIndexFlags(snapshot, namespaces, log)
  const changesUsers = tuning.withoutUsersAndRoles !== true
  const gained = changesUsers ? await gainedRoles(client, snapshot, kept, { signal: guard.signal }) : []
  const doomed = chosen?.doomed ?? foreign.doomed
  const isSeen = tuning.verify !== false && chosen === undefined
  return {
    ...{ whole, snapshot, chosen, namespaces, kept, doomed, storedOplog, gained, history },
    touched: isSeen ? touched : undefined,
  }
}

/** The backup's own pieces and then the chunks: one line without a gap, which may overlap. */
export function oplogOf({ pointInTime }: Preparing, snapshot: Snapshot): OplogPiece[] {
  return [...snapshot.oplog, ...(pointInTime?.chunks ?? [])]
}

/** How the oplog is read before anything is touched. */
function oplogRange({ backup, part, guard, pointInTime, progress, tuning }: Preparing, snapshot: Snapshot) {
  // Before PBM 2.4.0 the end of a cluster was that of its latest replica set (PBM: storage-format.md §2).
  const ownEnd = earlier(optime(part.last_write_ts), optime(backup.last_write_ts))
  return {
    signal: guard.signal,
    start: optime(part.first_write_ts),
    end: pointInTime?.end ?? ownEnd,
    exactEnds: !isLegacyBackupOplog(backup.pbm_version),
    mayBeCut: !isOwn(snapshot),
    routing: true,
    asked: pointInTime !== undefined,
    openTransactionBytes: tuning.openTransactionBytes,
    newcomers: pointInTime?.newcomers,
    onBytes: (bytes: number) => progress.add(0, bytes),
  }
}

async function choose(restore: Preparing, wanted: Wanted, whole: Snapshot): Promise<ChosenPart> {
  const { client, store, log, progress, staging, sharding, unfinished } = restore
  progress.phase('verify', { bytes: 0, documents: 0 })
  const range = oplogRange(restore, whole)
  const replay = (tables: RoutingTables) => replayRouting(restore, whole, tables)
  const agreeing = sharding?.agree?.bind(sharding)
  const agree = agreeing && ((own: OwnPart) => agreeing(own, replay))
  const oplog = oplogOf(restore, whole)
  return await chooseNamespaces(whole, { ...range, client, store, wanted, log, staging, unfinished, agree, oplog })
}

/** On config servers: of the oplog, what changed the routing tables. */
async function replayRouting(restore: Preparing, whole: Snapshot, routing: RoutingTables): Promise<void> {
  const { client, store, backup, part, guard, log, progress, pointInTime } = restore
  await replayPieces(
    { client, store, guard, log, progress },
    {
      ...{ pieces: oplogOf(restore, whole), storedBytes: 0, catalog: new IndexCatalog(), kept: 'all' },
      ...{ start: optime(part.first_write_ts), end: pointInTime?.end ?? optime(backup.last_write_ts) },
      ...{ routing, choice: NO_DATA, cut: isOwn(whole) ? undefined : new CutTransactions() },
      transactions: { open: restore.tuning.openTransactionBytes },
    },
  )
}

interface ToVerify {
  readonly whole: Snapshot
  readonly chosen: ChosenPart | undefined
  /** The target has collections that the backup does not have: a restore before this one may have made them from the oplog. */
  readonly hasOthers: boolean
}

/** Nothing of the target has been touched yet. Gives the bytes of oplog on the storage. */
async function verify(
  restore: Preparing,
  { whole, chosen, hasOthers }: ToVerify,
  watchers: Pick<OplogVerification, 'onCommand' | 'onTouch'>,
): Promise<number> {
  const { store, backup, part, compression, guard, log, progress, tuning } = restore
  const oplog = oplogOf(restore, whole)
  const range = oplogRange(restore, whole)
  const sizes = chosen === undefined ? await checkPieces(store, oplog, range) : []
  const stored = chosen?.storedOplog ?? sizes.reduce((sum, size) => sum + size, 0)
  if (restore.isDryRun === true) {
    if (chosen === undefined) await verifyPieces(store, oplog, { ...range, ...watchers })
    return stored
  }
  if (tuning.verify === false) {
    log.warning('restore.verify is off: a damaged object will be found only after data was dropped')
    // The only place that tells whether a replay leads there, and whose those collections are.
    const isAsked = restore.sharding?.routing !== undefined || restore.sharding?.lost?.isEmpty === false
    const isNeeded = isAsked || (hasOthers && chosen === undefined)
    if (isNeeded) await verifyPieces(store, oplog, { ...range, ...watchers })
    return stored
  }
  progress.phase('verify', { bytes: (chosen?.snapshot ?? whole).bytesToVerify, documents: 0 })
  const list = part.dump_name ?? ''
  const isListed = !isLegacyArchive(backup.pbm_version) && part.objects === undefined && part.encryption === undefined
  if (isListed && restore.files === undefined) {
    const warn = (text: string) => log.warning(text)
    await crossCheckList(store, whole, { list, suffix: compression.suffix, warn, signal: guard.signal })
  }
  const width = Math.max(2, Math.min(4, availableParallelism()))
  // The oplog has been read through by then.
  if (chosen !== undefined) await chosen.snapshot.verifyNamespaces({ width, ...range })
  else await verifySnapshot(store, whole, { ...range, oplog, width, ...watchers })
  log.info('the backup is complete: sizes, checksums and oplog are right')
  return stored
}

export function isOwn({ toolVersion }: Snapshot): boolean {
  return toolVersion.startsWith(TOOL_NAME)
}

/** PBM's own backups do not have them anywhere, so the restored indexes are visible and not prepared. */
function warnOfLostIndexFlags(snapshot: Snapshot, namespaces: readonly NamespaceMetadata[], log: OperationLog): void {
  const { toolVersion } = snapshot
  if (isOwn(snapshot) || comparePbmMajorMinor(toolVersion, PBM_WITHOUT_INDEX_FLAGS) < 0) return
  if (!namespaces.some(({ indexes }) => (indexes?.length ?? 0) > 1)) return
  log.warning(`this backup was made by PBM ${toolVersion}: the hidden and prepareUnique flags of indexes are not in it`)
}
