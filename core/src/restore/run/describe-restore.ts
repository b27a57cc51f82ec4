import { posix } from 'node:path'
import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { countDocuments, wholeDocuments } from '../../bson/documents.js'
import type {
  DroppedNamespace,
  PlannedNamespace,
  PlannedObject,
  PlannedOplog,
  RestorePlan,
  Tallied,
} from '../../control/restore-plan.js'
import { BUCKETS_PREFIX, userName } from '../../mongo/time-series.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { isLegacyArchive } from '../../store/layout/pbm-version.js'
import { isData, replacedOf } from '../data/collections.js'
import { objectOfNamespace, type Snapshot } from '../data/snapshot.js'
import { type OplogPiece, objectError } from '../data/stored-objects.js'
import { listTarget, type TargetCollection } from '../data/target.js'
import { isChosen, usersOrRoles } from '../data/users-and-roles.js'
import type { Sharding } from '../sharding/sharding.js'
import { oplogOf, type Prepared, type Preparing } from './prepare.js'

/** Of each list: the document of a plan has room for 16 MiB. */
const MOST_LISTED = 10_000
const WIDTH = 4

/** What a restore would do that is prepared. Reads documents only where the backup does not say how many there are. */
export async function describeRestore(restore: Preparing, prepared: Prepared): Promise<Omit<RestorePlan, 'warnings'>> {
  const { client, guard, tuning } = restore
  const { snapshot, namespaces, chosen, doomed, gained } = prepared
  const counts = await countsOf(snapshot, new Set(namespaces), guard)
  const restored = outcome(prepared, counts).sort((a, b) => (a.ns < b.ns ? -1 : 1))
  const { dropped, staying } = await fates(client, restore.sharding, (there) =>
    chosen?.replaces === false ? { doomed: [], staying: there } : replacedOf(there, namespaces, doomed),
  )
  return {
    namespaces: restored.slice(0, MOST_LISTED),
    dropped: dropped.slice(0, MOST_LISTED),
    totals: { restored: tally(restored), dropped: tally(dropped), staying },
    objects: await objectsOf(restore, prepared),
    oplog: await oplogObjects(restore, prepared.whole),
    usersAndRoles: usersAndRoles(prepared, tuning.withoutUsersAndRoles === true),
    gainedRoles: gained,
  }

  function usersAndRoles({ whole }: Prepared, without: boolean): RestorePlan['usersAndRoles'] {
    if (chosen !== undefined) return chosen.databases.size === 0 ? 'none' : [...chosen.databases]
    return without || !whole.namespaces.some((one) => usersOrRoles(one) !== undefined) ? 'none' : 'all'
  }
}

/** Of a shard that gets nothing, and loses what the backup replaces. */
export async function describeDrops(
  client: MongoClient,
  sharding: Sharding | undefined,
): Promise<Omit<RestorePlan, 'warnings'>> {
  const { dropped, staying } = await fates(client, sharding, (there) => ({ doomed: [], staying: there }))
  return {
    ...{ namespaces: [], dropped, objects: [], oplog: [], usersAndRoles: 'none', gainedRoles: [] },
    totals: { restored: tally([]), dropped: tally(dropped), staying },
  }
}

/** What becomes of what the target has. */
async function fates(
  client: MongoClient,
  sharding: Sharding | undefined,
  judge: (there: TargetCollection[]) => { doomed: TargetCollection[]; staying: TargetCollection[] },
): Promise<{ dropped: DroppedNamespace[]; staying: number }> {
  const { doomed, staying } = judge(await listTarget(client))
  const isDroppedWhole = ({ db }: TargetCollection) => sharding?.drops(db) === true
  const going = [...doomed, ...staying.filter(isDroppedWhole)].filter(({ name }) => !name.startsWith('system.'))
  const limit = pLimit(WIDTH)
  const dropped = await Promise.all(going.map((one) => limit(() => droppedOf(client, one))))
  return { dropped, staying: staying.filter((one) => isData(one) && !isDroppedWhole(one)).length }
}

/** Under the names of the end. What the oplog drops is not among it. */
function outcome(prepared: Prepared, counts: ReadonlyMap<NamespaceMetadata, number>): PlannedNamespace[] {
  const { chosen, history, namespaces } = prepared
  const planned = (ns: string, created: NamespaceMetadata, from: string): PlannedNamespace => ({
    ...{ ns, type: created.type, documents: counts.get(created) ?? 0, bytes: created.size },
    ...(from === ns ? {} : { from }),
  })
  const byOplog = (ns: string): PlannedNamespace => ({
    ...{ ns, type: 'collection', createdByOplog: true, documents: 0, bytes: 0 },
  })
  if (chosen !== undefined) {
    const final = (ns: string) => chosen.staged.get(ns)?.ns ?? ns
    const all = [...chosen.restored].map(([stored, created]) => ({
      ...planned(final(nameOf(created)), created, nameOf(stored)),
      ...(chosen.staged.get(nameOf(created))?.exists === true ? { intoExisting: true as const } : {}),
    }))
    return [...all, ...userNames(chosen.created).map((ns) => byOplog(final(ns)))]
  }
  const alive = [...(history?.alive.values() ?? [])]
  const kept = new Map(alive.map(({ stored, ns }) => [stored, userName(ns)]))
  const all = namespaces.flatMap((one) => {
    const ns = kept.get(one)
    return ns === undefined ? [] : [planned(ns, one, nameOf(one))]
  })
  const created = alive.filter(({ stored }) => stored === undefined).map(({ ns }) => ns)
  return [...all, ...userNames(new Set(created)).map(byOplog)]
}

/** A time series has one name, not that of its buckets too. */
function userNames(names: ReadonlySet<string>): string[] {
  return [...new Set([...names].map(userName))]
}

/** By what the backup says, else by a look at all documents. */
async function countsOf(
  snapshot: Snapshot,
  wanted: ReadonlySet<NamespaceMetadata>,
  { signal }: CallOptions,
): Promise<ReadonlyMap<NamespaceMetadata, number>> {
  const counts = new Map<NamespaceMetadata, number>()
  for (const one of wanted) if (one.count !== undefined) counts.set(one, one.count)
  const select = (one: NamespaceMetadata) => wanted.has(one) && one.type !== 'view' && one.count === undefined
  if (![...wanted].some(select)) return counts
  await snapshot.readNamespaces(
    async (namespace, documents) => {
      let count = 0
      for await (const whole of wholeDocuments(documents)) count += countDocuments(whole)
      counts.set(namespace, count)
    },
    { width: WIDTH, select, signal },
  )
  return counts
}

async function droppedOf(client: MongoClient, { db, name, type }: TargetCollection): Promise<DroppedNamespace> {
  const ns = `${db}.${name}`
  if (type === 'view') return { ns, type, documents: 0, bytes: 0 }
  const stored = type === 'timeseries' ? `${BUCKETS_PREFIX}${name}` : name
  const found = await client.db(db).command({ collStats: stored })
  return { ns, type, documents: Number(found.count ?? 0), bytes: Number(found.size ?? 0) }
}

/** What has documents that are restored. */
async function objectsOf(restore: Preparing, { whole, chosen, namespaces }: Prepared): Promise<PlannedObject[]> {
  const { store, backup, part, compression, guard, files } = restore
  if (files !== undefined) {
    const names = files.objects.map((name) => ({ name }))
    return await sized(store, names, guard)
  }
  const list = part.dump_name ?? ''
  if (isLegacyArchive(backup.pbm_version)) return await sized(store, [{ name: list }], guard)
  const stored = chosen === undefined ? namespaces : [...chosen.restored.keys()]
  const users = whole.namespaces.filter((one) => usersOrRoles(one) !== undefined && isChosen(one, whole.namespaces))
  const read = [...stored, ...(chosen === undefined || chosen.databases.size > 0 ? users : [])]
  const names = read.filter(({ size }) => size > 0).map((one) => objectOfNamespace(one, list, compression.suffix))
  return await sized(
    store,
    names.map((name) => ({ name: posix.normalize(name) })),
    guard,
  )
}

async function oplogObjects(restore: Preparing, whole: Snapshot): Promise<PlannedOplog[]> {
  const own = new Set(whole.oplog)
  const stored = oplogOf(restore, whole).filter(({ read }) => read === undefined)
  const pieces = stored.map((piece: OplogPiece) => ({
    name: piece.object,
    kind: own.has(piece) ? ('backup' as const) : ('chunk' as const),
    start: Number(piece.start >> 32n),
    end: Number(piece.end >> 32n),
  }))
  return await sized(restore.store, pieces, restore.guard)
}

async function sized<T extends { readonly name: string }>(
  store: ObjectStore,
  objects: readonly T[],
  { signal }: CallOptions,
): Promise<(T & { bytes: number })[]> {
  const limit = pLimit(WIDTH)
  const look = async (object: T) => {
    const { size: bytes } = await store.stat(object.name, { signal }).catch((error: unknown) => {
      throw objectError(error, object.name)
    })
    return { ...object, bytes }
  }
  const all = await Promise.all(objects.map((object) => limit(() => look(object))))
  return all.slice(0, MOST_LISTED)
}

function tally(of: readonly { readonly documents: number; readonly bytes: number }[]): Tallied {
  const sum = (field: 'documents' | 'bytes') => of.reduce((total, one) => total + one[field], 0)
  return { namespaces: of.length, documents: sum('documents'), bytes: sum('bytes') }
}

function nameOf({ db, collection }: Pick<NamespaceMetadata, 'db' | 'collection'>): string {
  return `${db}.${collection}`
}
