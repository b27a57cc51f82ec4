import { availableParallelism } from 'node:os'
import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { GainedRoles } from '../../control/restore-document.js'
import type { OperationLog } from '../../log.js'
import { earlier, optime } from '../../oplog/entry.js'
import { CutTransactions } from '../../oplog/replay/cut-transactions.js'
import type { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import { isExcluded } from '../../oplog/replay/namespaces.js'
import type { Replay } from '../../oplog/replay/replay.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { comparePbmMajorMinor, isLegacyArchive, isLegacyBackupOplog } from '../../store/layout/pbm-version.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { TOOL_NAME } from '../../version.js'
import { createCollections, dropReplaced, insertAll } from '../data/collections.js'
import { setExpiry } from '../data/expiry.js'
import { awaitMajoritySince, electionOf } from '../data/failover.js'
import { ForeignCollections } from '../data/foreign.js'
import { buildIndexes } from '../data/indexes.js'
import { keptUsers } from '../data/kept-users.js'
import { OtherWriters } from '../data/other-writers.js'
import { replayPieces } from '../data/replay-pieces.js'
import { openSnapshot, type Snapshot } from '../data/snapshot.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { catalogOf, listTarget, reservedUuids } from '../data/target.js'
import {
  collectDocuments,
  isChosen,
  type Kept,
  listedUsersAndRoles,
  refuseTooMany,
  restoreUsersAndRoles,
  usersOrRoles,
} from '../data/users-and-roles.js'
import { type ChosenPart, chooseNamespaces } from '../selective/choose.js'
import type { Wanted } from '../selective/plan.js'
import type { ShardedRestore } from '../sharding/sharding.js'
import { refuseOtherCase } from '../verify/case-conflicts.js'
import { crossCheckList } from '../verify/cross-check.js'
import { gainedRoles } from '../verify/gained-roles.js'
import { refuseInvalidNamespaces, refuseReservedUuids } from '../verify/namespaces.js'
import { checkPieces, verifyPieces } from '../verify/oplog.js'
import { verifySnapshot } from '../verify/verify.js'

/** How a restore works; each has a default. */
export interface RestoreTuning {
  /** Reads all objects through before anything is dropped. Default true. */
  readonly verify?: boolean | undefined
  readonly numParallelCollections?: number | undefined
  /** Insert commands under way a collection; at most 4 are of use. */
  readonly numInsertionWorkers?: number | undefined
  readonly commitQuorum?: string | undefined
  /** Leaves the users and roles of the target as they are. */
  readonly withoutUsersAndRoles?: boolean | undefined
}

export interface ReplsetRestore {
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
  readonly pointInTime?: { readonly chunks: readonly OplogPiece[]; readonly end: bigint } | undefined
  readonly guard: DeadlineGuard
  readonly log: OperationLog
  readonly progress: ProgressPublisher
  /** Set where a part of the data is restored. */
  readonly wanted?: Wanted | undefined
  /** Of a sharded cluster. */
  readonly sharding?: ShardedRestore | undefined
  /** Told before anything of the target is touched. */
  onGainedRoles(gained: readonly GainedRoles[]): Promise<void>
  /** Waits until all replica sets are so far. Nothing of the target is touched before `cleanupCluster`. */
  reach(state: 'cleanupCluster' | 'running' | 'dumpDone'): Promise<void>
}

const DEFAULT_INSERTION_WORKERS = 3
const DEFAULT_PARALLEL_COLLECTIONS = 4
/** PBM dumps by itself since then, and leaves out index options it does not know (PBM: storage-format.md §3). */
const PBM_WITHOUT_INDEX_FLAGS = '2.8'

/** Restores one replica set from its part of a logical backup (PBM: control-plane.md §5.3). Gives indexes that can't be built. */
export async function restoreReplset(restore: ReplsetRestore): Promise<string[]> {
  const { client, store, backup, part, compression, guard, log, progress, tuning } = restore
  const whole = await openSnapshot(store, backup, part, compression, { signal: guard.signal })
  const chosen = restore.wanted === undefined ? undefined : await choose(restore, restore.wanted, whole)
  const snapshot = chosen?.snapshot ?? whole
  const namespaces = snapshot.namespaces.filter(
    (namespace) => !isExcluded(`${namespace.db}.${namespace.collection}`) && usersOrRoles(namespace) === undefined,
  )
  refuseInvalidNamespaces(snapshot.namespaces)
  refuseTooMany(snapshot.namespaces)
  const reserved = await reservedUuids(client)
  refuseReservedUuids(reserved, namespaces)
  await refuseOtherCase(client, namespaces)
  const kept = await keptUsers(client, restore.usersInUse)
  await restore.sharding?.prepare(snapshot)
  const staying = (await listTarget(client)).filter(({ db }) => restore.sharding?.drops(db) !== true)
  const foreign = new ForeignCollections(staying, namespaces, reserved)
  const storedOplog = await verify(restore, { whole, chosen }, foreign)
  foreign.refuse()
  if (tuning.withoutUsersAndRoles !== true) {
    const gained = await gainedRoles(client, snapshot, kept, { signal: guard.signal })
    if (gained.length > 0) await restore.onGainedRoles(gained)
  }
  if (!isLegacyArchive(backup.pbm_version)) warnOfLostIndexFlags(snapshot, namespaces, log)

  const election = await electionOf(client)
  await restore.reach('cleanupCluster')
  progress.phase('cleanup')
  await restore.sharding?.cleanUp()
  const { dropped, kept: others } = await dropReplaced(client, namespaces, guard, chosen?.created ?? foreign.doomed)
  log.info(`dropped ${dropped} collections that the backup replaces; ${others} that it does not have stay`)

  await restore.reach('running')
  const catalog = await OtherWriters.watch(client, { namespaces, guard }, (others) =>
    restoreData(restore, snapshot, { namespaces, kept, storedOplog, others, chosen }),
  )
  const wanted = catalog.wanted()
  progress.phase('indexes', { bytes: 0, documents: wanted.reduce((sum, { specs }) => sum + specs.length, 0) })
  const onBuilt = (indexes: number) => progress.add(indexes, 0)
  const unbuilt = await buildIndexes(client, wanted, { guard, log, commitQuorum: tuning.commitQuorum, onBuilt })
  await setExpiry(client, catalog.expiring(), { guard })
  await restore.sharding?.publish()
  progress.phase('majority')
  await awaitMajoritySince(client, election, { guard, log })
  return unbuilt
}

interface DataToRestore {
  readonly namespaces: readonly NamespaceMetadata[]
  readonly kept: Kept
  /** Bytes of it. */
  readonly storedOplog: number
  readonly others: OtherWriters
  readonly chosen: ChosenPart | undefined
}

/** All but the indexes: those that the catalog has are still to be built. */
async function restoreData(restore: ReplsetRestore, snapshot: Snapshot, data: DataToRestore): Promise<IndexCatalog> {
  const { namespaces, kept, others, chosen } = data
  const { client, guard, progress, tuning } = restore
  progress.phase('collections', { bytes: namespaces.reduce((sum, { size }) => sum + size, 0), documents: 0 })
  await createCollections(client, namespaces, guard)
  await others.refuse()
  const usersOf = tuning.withoutUsersAndRoles === true ? [] : snapshot.namespaces
  const stored = listedUsersAndRoles(usersOf)
  const selected = new Set(namespaces)
  const inserted = await insertAll(client, snapshot, {
    guard,
    width: tuning.numParallelCollections ?? DEFAULT_PARALLEL_COLLECTIONS,
    workers: tuning.numInsertionWorkers ?? DEFAULT_INSERTION_WORKERS,
    onProgress: (documents, bytes) => progress.add(documents, bytes),
    select: (namespace) => selected.has(namespace) || (usersOf.length > 0 && isChosen(namespace, usersOf)),
    divert: async (namespace, documents) => {
      const own = usersOrRoles(namespace)
      if (own !== undefined) stored[own.kind] = await collectDocuments(namespace, documents)
      return own !== undefined
    },
  })
  await others.refuseOtherCounts(namespaces, inserted)
  await restore.sharding?.load(snapshot)
  progress.phase('users and roles')
  await restoreUsersAndRoles(client, stored, kept, guard, chosen?.databases)
  await restore.reach('dumpDone')

  return await replayOplog(restore, snapshot, data)
}

/** A shard that the backup does not have: it goes along, and its collections of restored databases are gone. */
export async function restoreNothing({ sharding, reach, log }: Pick<ReplsetRestore, 'sharding' | 'reach' | 'log'>) {
  log.info('the backup has nothing for this replica set')
  await sharding?.prepare(undefined)
  await reach('cleanupCluster')
  await sharding?.cleanUp()
  await reach('running')
  await reach('dumpDone')
  await sharding?.settle(undefined)
}

/** The backup's own pieces and then the chunks: one line without a gap, which may overlap. */
function oplogOf({ pointInTime }: ReplsetRestore, snapshot: Snapshot): OplogPiece[] {
  return [...snapshot.oplog, ...(pointInTime?.chunks ?? [])]
}

/** How the oplog is read before anything is touched. */
function oplogRange({ backup, part, guard, pointInTime, progress }: ReplsetRestore, snapshot: Snapshot) {
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
    onBytes: (bytes: number) => progress.add(0, bytes),
  }
}

async function choose(restore: ReplsetRestore, wanted: Wanted, whole: Snapshot): Promise<ChosenPart> {
  const { client, store, log, progress } = restore
  progress.phase('verify', { bytes: 0, documents: 0 })
  const range = oplogRange(restore, whole)
  return await chooseNamespaces(whole, { ...range, client, store, wanted, log, oplog: oplogOf(restore, whole) })
}

interface ToVerify {
  readonly whole: Snapshot
  readonly chosen: ChosenPart | undefined
}

/** Nothing of the target has been touched yet. Gives the bytes of oplog on the storage. */
async function verify(
  restore: ReplsetRestore,
  { whole, chosen }: ToVerify,
  foreign: ForeignCollections,
): Promise<number> {
  const { store, backup, part, compression, guard, log, progress, tuning } = restore
  const oplog = oplogOf(restore, whole)
  const range = oplogRange(restore, whole)
  const sizes = chosen === undefined ? await checkPieces(store, oplog, range) : []
  const stored = chosen?.storedOplog ?? sizes.reduce((sum, size) => sum + size, 0)
  if (tuning.verify === false) {
    log.warning('restore.verify is off: a damaged object will be found only after data was dropped')
    // Little, and the only place that tells whether a replay leads there.
    if (restore.sharding?.routing !== undefined) await verifyPieces(store, oplog, range)
    return stored
  }
  progress.phase('verify', { bytes: (chosen?.snapshot ?? whole).bytesToVerify, documents: 0 })
  const list = part.dump_name ?? ''
  const isListed = !isLegacyArchive(backup.pbm_version) && part.objects === undefined && part.encryption === undefined
  if (isListed) {
    const warn = (text: string) => log.warning(text)
    await crossCheckList(store, whole, { list, suffix: compression.suffix, warn, signal: guard.signal })
  }
  const width = Math.max(2, Math.min(4, availableParallelism()))
  // The oplog has been read through by then.
  if (chosen !== undefined) await chosen.snapshot.verifyNamespaces({ width, ...range })
  else await verifySnapshot(store, whole, { ...range, oplog, width, onCommand: (command) => foreign.see(command) })
  log.info('the backup is complete: sizes, checksums and oplog are right')
  return stored
}

async function replayOplog(
  restore: ReplsetRestore,
  snapshot: Snapshot,
  { namespaces, kept, storedOplog, others, chosen }: DataToRestore,
) {
  const { client, store, backup, part, guard, log, progress, pointInTime, sharding, tuning } = restore
  const pieces = oplogOf(restore, snapshot)
  const cut = isOwn(snapshot) ? undefined : new CutTransactions()
  // The dump has what is before the start; the oplog may begin earlier, with transactions that end after it.
  const start = optime(part.first_write_ts)
  const end = pointInTime?.end ?? optime(backup.last_write_ts)
  const catalog = await catalogOf(client, namespaces)
  others.follow(catalog)
  const context = { client, store, guard, log, progress }
  const routing = sharding?.routing
  const settle = (replay: Replay) => sharding?.settle(replay)
  const untouched = tuning.withoutUsersAndRoles === true ? 'all' : kept
  const range = { start, end, routing, cut, choice: chosen?.choice }
  await replayPieces(context, { pieces, storedBytes: storedOplog, catalog, kept: untouched, ...range, settle })
  return catalog
}

function isOwn({ toolVersion }: Snapshot): boolean {
  return toolVersion.startsWith(TOOL_NAME)
}

/** PBM's own backups do not have them anywhere, so the restored indexes are visible and not prepared. */
function warnOfLostIndexFlags(snapshot: Snapshot, namespaces: readonly NamespaceMetadata[], log: OperationLog): void {
  const { toolVersion } = snapshot
  if (isOwn(snapshot) || comparePbmMajorMinor(toolVersion, PBM_WITHOUT_INDEX_FLAGS) < 0) return
  if (!namespaces.some(({ indexes }) => (indexes?.length ?? 0) > 1)) return
  log.warning(`this backup was made by PBM ${toolVersion}: the hidden and prepareUnique flags of indexes are not in it`)
}
