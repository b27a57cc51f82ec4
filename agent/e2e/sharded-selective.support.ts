import {
  compareStates,
  type DatabaseState,
  type Random,
  type ShardedCluster,
  snapshotShardedState,
} from '@pbmkit/conformance/testbed'
import { BSON, type Document, type UUID } from 'mongodb'

/** What selective restores have to bring back or to leave alone. */
export interface RoutedState {
  /** By shard. */
  readonly shards: Readonly<Record<string, DatabaseState['dbs']>>
  readonly databases: readonly unknown[]
  /** Of each sharded collection everything that the routing tables have of it, as text. */
  readonly exact: Readonly<Record<string, string>>
  /** The same without what each sharding makes anew: ids, versions and times. */
  readonly shown: Readonly<Record<string, string>>
}

/** Reads shards and routing tables. Consistent only while nobody writes. */
export async function routedState(cluster: ShardedCluster): Promise<RoutedState> {
  const { shards, databases } = await snapshotShardedState(cluster)
  const config = (await cluster.config.client()).db('config')
  const read = (table: string, filter: Document, sort: Document) =>
    config.collection(table).find(filter, { sort, promoteValues: false }).toArray()
  const [exact, shown]: Record<string, string>[] = [{}, {}]
  for (const collection of await read('collections', {}, { _id: 1 })) {
    const ns = String(collection._id)
    if (ns === 'config.system.sessions') continue
    const chunks = await read('chunks', { uuid: collection.uuid as UUID }, { min: 1 })
    const zones = await read('tags', { ns }, { min: 1 })
    if (exact !== undefined) exact[ns] = BSON.EJSON.stringify({ collection, chunks, zones }, { relaxed: false })
    if (shown === undefined) continue
    const { key, unique } = collection
    shown[ns] = BSON.EJSON.stringify({
      ...{ key, unique },
      chunks: chunks.map(({ min, max, shard }) => ({ min, max, shard })),
      zones: zones.map(({ min, max, tag }) => ({ min, max, tag })),
    })
  }
  return { shards, databases, exact: exact ?? {}, shown: shown ?? {} }
}

/** What differs after `nss` were restored to `then` in a cluster that was `before`; empty when it is as it must be. */
export function compareChosen(
  nss: readonly string[],
  { before, then, after }: Readonly<Record<'before' | 'then' | 'after', RoutedState>>,
): string[] {
  const isChosen = (ns: string) =>
    nss.includes(ns.replace('.system.buckets.', '.')) || nss.includes(`${ns.split('.')[0]}.*`)
  const differences: string[] = []
  const names = new Set([before, then, after].flatMap(({ exact }) => Object.keys(exact)))
  for (const ns of names) {
    const [expected, found] =
      isChosen(ns) && isThen(then, ns) ? [then.shown[ns], after.shown[ns]] : [before.exact[ns], after.exact[ns]]
    if (expected !== found) differences.push(`routing of ${ns}: ${expected} became ${found}`)
  }
  for (const shard of Object.keys(after.shards)) {
    const expected: Record<string, Record<string, unknown>> = structuredClone(before.shards[shard] ?? {})
    for (const state of [before, then]) {
      for (const [db, collections] of Object.entries(state.shards[shard] ?? {})) {
        for (const [name, collection] of Object.entries(collections)) {
          const ns = `${db}.${name}`
          if (!isChosen(ns) || !isThen(then, ns)) continue
          const own = { ...expected[db] }
          if (state === then) own[name] = collection
          else delete own[name]
          expected[db] = own
          if (Object.keys(own).length === 0) delete expected[db]
        }
      }
    }
    const nobody = { users: [], roles: [] }
    const one: DatabaseState = { dbs: expected as DatabaseState['dbs'], ...nobody }
    const other: DatabaseState = { dbs: after.shards[shard] ?? {}, ...nobody }
    const found = compareStates(one, other).filter((line) => {
      const [, ns = ''] = /^(\S+): uuid /.exec(line) ?? []
      return !isChosen(ns)
    })
    differences.push(...found.map((line) => `shard ${shard}: ${line}`))
  }
  return differences
}

/** Whether any shard had it. */
function isThen({ shards }: RoutedState, ns: string): boolean {
  const dot = ns.indexOf('.')
  return Object.values(shards).some((dbs) => dbs[ns.slice(0, dot)]?.[ns.slice(dot + 1)] !== undefined)
}

const COLLECTIONS = ['a', 'b', 'c']

/** What a mongos would send to the primary shard of a database. */
export async function ofDatabase(cluster: ShardedCluster, db: string, command: Document, to = db): Promise<void> {
  const databases = (await cluster.config.client()).db('config').collection<{ _id: string } & Document>('databases')
  const found: Document | null = await databases.findOne({ _id: db })
  const shard = await cluster.shard(found?.primary).set.client()
  await shard.db(to).command({ ...command, databaseVersion: found?.version, writeConcern: { w: 'majority' } })
}

/** What users do to sharded collections of a database, `steps` times; what can't be done then is passed over. */
export async function shardedWork(
  cluster: ShardedCluster,
  db: string,
  { random, steps }: { readonly random: Random; readonly steps: number },
): Promise<void> {
  const config = (await cluster.config.client()).db('config')
  const id = () => random(1000)
  const shards = cluster.shards.map((shard) => shard.id)
  const another = () => shards[random(shards.length)] ?? ''
  for (let step = 0; step < steps; step++) {
    const name = COLLECTIONS[random(COLLECTIONS.length)] ?? ''
    const ns = `${db}.${name}`
    const listed = await config.collection<{ _id: string; uuid: UUID }>('collections').findOne({ _id: ns })
    if (listed === null) {
      await cluster.shardCollection(ns, { key: { _id: 1 } }).catch(() => undefined)
      continue
    }
    const chunks = await config.collection<Document>('chunks').find({ uuid: listed.uuid }).sort({ min: 1 }).toArray()
    const ownerOf = (_id: number) =>
      String(chunks.findLast(({ min }) => typeof min._id !== 'number' || min._id <= _id)?.shard)
    const at = async (_id: number) =>
      (await cluster.shard(ownerOf(_id)).set.client()).db(db).collection<{ _id: number }>(name)
    const kind = random(12)
    try {
      if (kind < 6) {
        for (let n = 0; n < 8; n++) {
          const _id = id()
          await (await at(_id)).updateOne({ _id }, { $set: { at: step } }, { upsert: true })
        }
      } else if (kind < 7) {
        const _id = id()
        await (await at(_id)).deleteMany({ _id: { $gte: _id, $lt: _id + 50 } })
      } else if (kind < 10) {
        const min = id()
        await cluster.moveRange(ns, another(), {
          min: { _id: min },
          max: { _id: min + 1 + random(300) },
          waitForDelete: true,
        })
      } else if (kind < 11) {
        await ofDatabase(cluster, db, { _shardsvrDropCollection: name })
      } else {
        const to = `${db}.${COLLECTIONS[random(COLLECTIONS.length)]}`
        await ofDatabase(cluster, db, { _shardsvrRenameCollection: name, to, dropTarget: true, stayTemp: false })
      }
    } catch {
      // Within one chunk only, onto itself, and the like.
    }
  }
}
