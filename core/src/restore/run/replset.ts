import type { NamespaceMetadata } from '../../archive/metadata.js'
import type { GainedRoles, MadeNamespace } from '../../control/restore-document.js'
import { optime } from '../../oplog/entry.js'
import { CutTransactions } from '../../oplog/replay/cut-transactions.js'
import type { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import type { Replay } from '../../oplog/replay/replay.js'
import { dropStaging } from '../../recovery/staging.js'
import type { Clock } from '../../time/clock.js'
import { createCollections, dropReplaced, insertAll } from '../data/collections.js'
import { createEarlyIndexes, type EarlyIndexes, withoutEarly } from '../data/early-indexes.js'
import { setExpiry } from '../data/expiry.js'
import { awaitMajoritySince, electionOf } from '../data/failover.js'
import { buildIndexes } from '../data/indexes.js'
import { OtherWriters } from '../data/other-writers.js'
import { replayPieces } from '../data/replay-pieces.js'
import type { Snapshot } from '../data/snapshot.js'
import { catalogOf } from '../data/target.js'
import type { TouchedCollections } from '../data/touched.js'
import {
  collectDocuments,
  isChosen,
  type Kept,
  listedUsersAndRoles,
  restoreUsersAndRoles,
  usersOrRoles,
} from '../data/users-and-roles.js'
import type { ChosenPart } from '../selective/choose.js'
import { atTheEnd, mergeStaged } from '../selective/merge.js'
import type { Staged } from '../selective/staged.js'
import { isOwn, oplogOf, type Prepared, type Preparing, prepareReplset } from './prepare.js'
import type { Shortcomings } from './shortcomings.js'

export interface ReplsetRestore extends Preparing {
  readonly clock?: Clock | undefined
  /** Told before anything of the target is touched. */
  onGainedRoles(gained: readonly GainedRoles[]): Promise<void>
  /** Told before any of it is made. */
  onMade(made: readonly MadeNamespace[]): Promise<void>
  /** Waits until all replica sets are so far. Nothing of the target is touched before `cleanupCluster`. */
  reach(state: 'cleanupCluster' | 'running' | 'dumpDone'): Promise<void>
}

const DEFAULT_INSERTION_WORKERS = 3
const DEFAULT_PARALLEL_COLLECTIONS = 4

/** Restores one replica set from its part of a logical backup (PBM: control-plane.md §5.3). */
export async function restoreReplset(restore: ReplsetRestore): Promise<Shortcomings> {
  const prepared = await prepareReplset(restore)
  if (prepared.gained.length > 0) await restore.onGainedRoles(prepared.gained)
  try {
    return await restorePrepared(restore, prepared)
  } finally {
    if ((prepared.chosen?.staged.size ?? 0) > 0) await dropStaging(restore.client, restore.staging, restore.log)
  }
}

async function restorePrepared(restore: ReplsetRestore, prepared: Prepared): Promise<Shortcomings> {
  const { client, clock, guard, log, progress, tuning } = restore
  const { snapshot, chosen, namespaces, kept, storedOplog, touched } = prepared
  const election = await electionOf(client)
  await restore.reach('cleanupCluster')
  progress.phase('cleanup')
  await restore.sharding?.cleanUp()
  if (chosen?.replaces !== false) {
    const isDroppedWhole = (db: string) => restore.sharding?.drops(db) === true
    const { dropped, kept: others } = await dropReplaced(client, namespaces, guard, prepared.doomed, isDroppedWhole)
    log.info(`dropped ${dropped} collections that the backup replaces; ${others} that it does not have stay`)
  }

  if (chosen !== undefined && chosen.made.length > 0) await restore.onMade(chosen.made)
  await restore.reach('running')
  const { catalog, early } = await OtherWriters.watch(client, { namespaces, guard }, (others) =>
    restoreData(restore, snapshot, { namespaces, kept, storedOplog, others, chosen, touched }),
  )
  const staged = chosen?.staged ?? new Map<string, Staged>()
  const { query, placeUuids = new Map<string, Buffer>() } = chosen ?? {}
  const routed = restore.sharding?.merge
  const merged = await mergeStaged(client, { staged, query, placeUuids, routed, guard, progress })
  const end = atTheEnd(catalog, staged)
  const indexes = withoutEarly(end.indexes, early)
  progress.phase('indexes', { bytes: 0, documents: indexes.reduce((sum, { specs }) => sum + specs.length, 0) })
  const onBuilt = (indexes: number) => progress.add(indexes, 0)
  const { commitQuorum } = tuning
  const unbuilt = await buildIndexes(client, indexes, { clock, guard, log, commitQuorum, onBuilt })
  await setExpiry(client, end.expiring, { guard })
  await restore.sharding?.publish()
  progress.phase('majority')
  await awaitMajoritySince(client, election, { guard, log })
  return { unbuilt, merged }
}

interface DataToRestore {
  readonly namespaces: readonly NamespaceMetadata[]
  readonly kept: Kept
  /** Bytes of it. */
  readonly storedOplog: number
  readonly others: OtherWriters
  readonly chosen: ChosenPart | undefined
  readonly touched: TouchedCollections | undefined
}

/** All but most indexes: those that the catalog has, but for the early ones, are still to be built. */
async function restoreData(
  restore: ReplsetRestore,
  snapshot: Snapshot,
  data: DataToRestore,
): Promise<{ catalog: IndexCatalog; early: EarlyIndexes }> {
  const { namespaces, kept, others, chosen, touched } = data
  const { client, guard, progress, tuning } = restore
  progress.phase('collections', { bytes: namespaces.reduce((sum, { size }) => sum + size, 0), documents: 0 })
  await createCollections(client, namespaces, guard)
  await others.refuse()
  const catalog = await catalogOf(client, namespaces)
  const early = await createEarlyIndexes(client, catalog.wanted(), { namespaces, touched, guard })
  const usersOf = tuning.withoutUsersAndRoles === true ? [] : snapshot.namespaces
  const stored = listedUsersAndRoles(usersOf)
  const selected = new Set(namespaces)
  const inserted = await insertAll(client, snapshot, {
    guard,
    width: tuning.numParallelCollections ?? DEFAULT_PARALLEL_COLLECTIONS,
    workers: tuning.numInsertionWorkers ?? DEFAULT_INSERTION_WORKERS,
    batchDocuments: tuning.batchSize,
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

  await replayOplog(restore, snapshot, catalog, data)
  return { catalog, early }
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

async function replayOplog(
  restore: ReplsetRestore,
  snapshot: Snapshot,
  catalog: IndexCatalog,
  { kept, storedOplog, others, chosen }: DataToRestore,
) {
  const { client, store, backup, part, guard, log, progress, pointInTime, sharding, tuning } = restore
  const pieces = oplogOf(restore, snapshot)
  const cut = isOwn(snapshot) ? undefined : new CutTransactions()
  // The dump has what is before the start; the oplog may begin earlier, with transactions that end after it.
  const start = optime(part.first_write_ts)
  const end = pointInTime?.end ?? optime(backup.last_write_ts)
  others.follow(catalog)
  const context = { client, store, guard, log, progress }
  const routing = sharding?.routing
  const settle = (replay: Replay) => sharding?.settle(replay)
  const untouched = tuning.withoutUsersAndRoles === true ? 'all' : kept
  const transactions = { open: tuning.openTransactionBytes }
  const range = { start, end, routing, cut, choice: chosen?.choice, transactions }
  await replayPieces(context, { pieces, storedBytes: storedOplog, catalog, kept: untouched, ...range, settle })
}
