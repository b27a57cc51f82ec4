import type { Document, MongoClient } from 'mongodb'
import { compareLists, compareStates } from './compare-states.js'
import type { ShardedCluster } from './sharded-cluster.js'
import { type CanonicalJson, canonical, type DatabaseState, snapshotState } from './state.js'

type Fields = Readonly<Record<string, CanonicalJson>>

/** Everything a backup of a sharded cluster has to bring back; the shape of `expected.*.json` in the fixtures. */
export interface ShardedState {
  /** By shard id, then as {@link DatabaseState} has it. */
  readonly shards: Readonly<Record<string, DatabaseState['dbs']>>
  /** Which shard each database began on. */
  readonly databases: readonly Fields[]
  /** Without `config.system.sessions`, which every cluster makes for itself. */
  readonly collections: readonly Fields[]
  /** In the order of collections and of their lower bounds. */
  readonly chunks: readonly Fields[]
  /** Zones. The fixtures lack them. */
  readonly tags?: readonly Fields[]
  /** Users and roles of each replica set, by its name. The fixtures lack them. */
  readonly users?: Readonly<Record<string, Pick<DatabaseState, 'users' | 'roles'>>>
}

/** Reads the state of all shards and what the config servers know of them. Consistent only while nobody writes. */
export async function snapshotShardedState(cluster: ShardedCluster): Promise<ShardedState> {
  const shards: Record<string, DatabaseState['dbs']> = {}
  const users: Record<string, Pick<DatabaseState, 'users' | 'roles'>> = {}
  for (const { id, set } of cluster.shards) {
    const { dbs, ...own } = await snapshotState(await set.client())
    shards[id] = dbs
    users[set.name] = own
  }
  const config = await cluster.config.client()
  const { dbs: _, ...own } = await snapshotState(config)
  users[cluster.config.name] = own
  return { shards, ...(await routingState(config)), users }
}

/** The routing tables of the config servers, in canonical Extended JSON. */
export async function routingState(config: MongoClient): Promise<Omit<ShardedState, 'shards' | 'users'>> {
  const read = (collection: string, sort: Document) =>
    config.db('config').collection(collection).find({}, { sort, promoteValues: false }).toArray()
  const [databases, collections, chunks, tags] = await Promise.all([
    read('databases', { _id: 1 }),
    read('collections', { _id: 1 }),
    read('chunks', { uuid: 1, min: 1 }),
    read('tags', { ns: 1, min: 1 }),
  ])
  const user = collections.filter(({ _id }) => String(_id) !== 'config.system.sessions')
  const fields = (documents: Document[], names: readonly string[]) =>
    documents.map(
      (document) =>
        canonical(
          Object.fromEntries(names.flatMap((name) => (name in document ? [[name, document[name]]] : []))),
        ) as Fields,
    )
  const ownChunks = user.flatMap(({ uuid }) => chunks.filter((chunk) => String(chunk.uuid) === String(uuid)))
  return {
    databases: fields(databases, ['_id', 'primary']),
    collections: fields(user, ['_id', 'uuid', 'key', 'unique']),
    chunks: fields(ownChunks, ['min', 'max', 'shard']),
    tags: fields(tags, ['ns', 'min', 'max', 'tag']),
  }
}

export interface CompareShardedOptions {
  /** Users (`_id`, such as `admin.pbmuser`) that may be on one side only. */
  readonly ignoreUsers?: readonly string[]
  /** Shard ids of the first state and what they are in the second, where they differ. */
  readonly shardIds?: Readonly<Record<string, string>>
}

/** What differs, one line each; empty when the states are equal. What a side lacks altogether is not compared. */
export function compareShardedStates(
  expected: ShardedState,
  actual: ShardedState,
  options: CompareShardedOptions = {},
): string[] {
  const renamed = (id: string) => options.shardIds?.[id] ?? id
  const onShard = (field: 'primary' | 'shard', list: readonly Fields[]) =>
    list.map((entry) => ({ ...entry, [field]: renamed(String(entry[field])) }))
  const differences: string[] = []
  const nobody = { users: [], roles: [] }
  const ids = new Set([...Object.keys(expected.shards).map(renamed), ...Object.keys(actual.shards)])
  const before = Object.fromEntries(Object.entries(expected.shards).map(([id, dbs]) => [renamed(id), dbs]))
  for (const id of ids) {
    const sides = [
      { dbs: before[id] ?? {}, ...nobody },
      { dbs: actual.shards[id] ?? {}, ...nobody },
    ] as const
    differences.push(...compareStates(...sides).map((difference) => `shard ${id}: ${difference}`))
  }
  differences.push(
    ...compareLists('database', '_id', onShard('primary', expected.databases), actual.databases),
    ...compareLists('sharded collection', '_id', expected.collections, actual.collections),
    ...compareNumbered('chunk', onShard('shard', expected.chunks), actual.chunks),
  )
  if (expected.tags !== undefined && actual.tags !== undefined) {
    differences.push(...compareNumbered('zone', expected.tags, actual.tags))
  }
  for (const [replset, own] of Object.entries(expected.users ?? {})) {
    const other = actual.users?.[replset]
    if (other === undefined) continue
    const sides = [
      { dbs: {}, ...own },
      { dbs: {}, ...other },
    ] as const
    differences.push(...compareStates(...sides, options).map((difference) => `${replset}: ${difference}`))
  }
  return differences
}

function compareNumbered(what: string, expected: readonly Fields[], actual: readonly Fields[]): string[] {
  const numbered = (list: readonly Fields[]) => list.map((entry, index) => ({ '#': String(index), ...entry }))
  return compareLists(what, '#', numbered(expected), numbered(actual))
}
