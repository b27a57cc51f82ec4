import {
  ADMIN,
  compareShardedStates,
  compareStates,
  type DatabaseState,
  PBM_USER,
  type ReplicaSet,
  type ShardedCluster,
  type ShardedState,
  serverVersion,
  snapshotShardedState,
  snapshotState,
  startReplicaSet,
  startShardedCluster,
} from '@pbmkit/conformance/testbed'
import type { Document, MongoClient } from 'mongodb'
import { databaseRole } from '../../control/roles.js'
import { ensureControlCollections } from '../../control/setup.js'
import { connectLeader, connectNode } from '../../mongo/connect.js'
import { ELSEWHERE, guardedDifferences, guardedState, plantGuarded } from './guarded-state.support.js'

export const OWN_USERS = [`admin.${PBM_USER.user}`, `admin.${ADMIN.user}`]

export interface TargetPart {
  readonly rs: string
  readonly host: string
  /** As its agent connects. */
  readonly node: MongoClient
  readonly uri: string
  /** Who may do everything. */
  readonly admin: MongoClient
}

export type TargetState = { readonly set: DatabaseState } | { readonly cluster: ShardedState }

/** Where crafted backups are restored: a replica set of one, or a sharded cluster of three. */
export interface CraftedTarget {
  /** That of the control collections is the first. */
  readonly parts: readonly TargetPart[]
  readonly leader: MongoClient
  /** Who may do everything, where the control collections are. */
  readonly admin: MongoClient
  readonly isSharded: boolean
  state(): Promise<TargetState>
  /** What no backup has, so that no restore may touch it. To be called when all backups have been made. */
  plant(): Promise<void>
  /** As if nothing had ever been restored, but for a little data that a refused restore must leave. */
  reset(): Promise<void>
  /** What no restore may change, however its backup was forged. */
  guarded(): Promise<ReadonlyMap<string, string>>
  stop(): Promise<void>
}

export function differences(expected: TargetState, actual: TargetState): string[] {
  const options = { ignoreUsers: OWN_USERS }
  if ('set' in expected && 'set' in actual) return compareStates(expected.set, actual.set, options)
  if ('cluster' in expected && 'cluster' in actual)
    return compareShardedStates(expected.cluster, actual.cluster, options)
  throw new TypeError('these are states of two kinds')
}

export { guardedDifferences }

export async function startReplicaSetTarget(): Promise<CraftedTarget> {
  const set = await startReplicaSet({ name: 'rs0', auth: true })
  const admin = await set.client()
  await admin.db('admin').command({ grantRolesToUser: ADMIN.user, roles: ['__system'], ...MAJORITY })
  const user = await set.createUser(databaseRole('agent', { physical: true, version: await serverVersion(admin) }))
  const part = await partOf(set, user)
  const { client: leader } = await connectLeader(set.uri({ user }), { appName: 'pbmkit-test' })
  await ensureControlCollections(leader)
  return {
    parts: [part],
    leader,
    admin,
    isSharded: false,
    plant: () => plantGuarded(admin),
    state: async () => ({ set: await snapshotState(admin) }),
    reset: async () => {
      await emptyPart(part)
      await plantOrdinary(admin, 'shop', ['orders', 'other'])
    },
    guarded: () => guardedState(admin, OWN_USERS),
    stop: async () => {
      await Promise.all([part.node.close(), leader.close()])
      await set.stop()
    },
  }
}

/** The names are those of the fixture. */
export async function startShardedTarget(): Promise<CraftedTarget> {
  const cluster = await startShardedCluster({ auth: true })
  const admin = await cluster.config.client()
  const user = await cluster.createUser(databaseRole('agent', { sharded: true, version: await serverVersion(admin) }))
  const parts = await Promise.all(cluster.replsets.map((set) => partOf(set, user)))
  const [shard] = cluster.shards
  const uri = (shard?.set ?? cluster.config).uri({ user })
  const { client: leader } = await connectLeader(uri, { appName: 'pbmkit-test' })
  await ensureControlCollections(leader)
  return {
    parts,
    leader,
    admin,
    isSharded: true,
    plant: async () => {
      for (const { admin: own } of parts) await plantGuarded(own, own === admin ? ['config', 'local'] : undefined)
      await cluster.createDatabase(ELSEWHERE, 's1')
      await cluster.shardCollection(`${ELSEWHERE}.routed`)
    },
    state: async () => ({ cluster: await snapshotShardedState(cluster) }),
    reset: () => resetCluster(cluster, parts),
    guarded: () => guardedOfCluster(parts, admin),
    stop: async () => {
      await Promise.all([...parts.map(({ node }) => node.close()), leader.close()])
      await cluster.stop()
    },
  }
}

const MAJORITY = { writeConcern: { w: 'majority' } } as const

async function partOf(set: ReplicaSet, user: string): Promise<TargetPart> {
  const uri = set.uri({ user, member: 0, direct: true })
  const node = await connectNode(uri, { appName: 'pbmkit-test' })
  return { rs: set.name, host: set.members[0]?.host ?? '', node, uri, admin: await set.client() }
}

async function emptyPart({ admin: client }: TargetPart): Promise<void> {
  const admin = client.db('admin')
  const { databases } = await admin.admin().listDatabases({ nameOnly: true })
  for (const { name } of databases)
    if (!['admin', 'config', 'local', ELSEWHERE].includes(name)) await client.db(name).dropDatabase()
  await admin.collection<{ _id: string }>('system.users').deleteMany({ _id: { $nin: OWN_USERS } })
  for (const collection of ['pbmBackups', 'pbmRestores', 'pbmPITRChunks', 'pbmPITR', 'pbmLock'])
    await admin.collection(collection).deleteMany({})
  for (const { name } of await admin.listCollections({}, { nameOnly: true }).toArray())
    if (!/^(pbm|system\.)/.test(name)) await admin.collection(name).drop()
}

async function plantOrdinary(client: MongoClient, db: string, names: readonly string[]): Promise<void> {
  for (const name of names) await client.db(db).collection<{ _id: string }>(name).insertOne({ _id: 'before' })
}

type Table = { _id: string } & Document

/** By the servers' own command first; what a refused or broken restore has left is taken away by hand. */
async function resetCluster(cluster: ShardedCluster, parts: readonly TargetPart[]): Promise<void> {
  const config = (await cluster.config.client()).db('config')
  await cluster.setBalancer('off')
  for (const { _id, primary, version } of await config.collection<Table>('databases').find().toArray()) {
    if (_id === ELSEWHERE) continue
    const shard = cluster.shards.find(({ id }) => id === primary)
    await (await shard?.set.client())
      ?.db(_id)
      .command({ _shardsvrDropDatabase: 1, databaseVersion: version, ...MAJORITY })
      .catch(() => undefined)
  }
  const known = await config.collection<Table>('collections').findOne({ _id: `${ELSEWHERE}.routed` })
  const sessions = await config.collection<Table>('collections').findOne({ _id: 'config.system.sessions' })
  const kept = [known?.uuid, sessions?.uuid].filter((uuid) => uuid !== undefined)
  await config.collection<Table>('databases').deleteMany({ _id: { $ne: ELSEWHERE } }, MAJORITY)
  await config.collection<Table>('collections').deleteMany({ uuid: { $nin: kept } }, MAJORITY)
  await config.collection('chunks').deleteMany({ uuid: { $nin: kept } }, MAJORITY)
  await config.collection('tags').deleteMany({}, MAJORITY)
  for (const part of parts) {
    await emptyPart(part)
    const own = part.admin.db('config')
    await own.collection<Table>('cache.databases').deleteMany({ _id: { $ne: ELSEWHERE } })
    await own.collection<Table>('cache.collections').deleteMany({ _id: { $ne: `${ELSEWHERE}.routed` } })
    await own.collection('rangeDeletions').deleteMany({})
    await part.admin.db('admin').command({ flushRouterConfig: 1 })
  }
  for (const db of ['bank', 'side']) await cluster.createDatabase(db, db === 'bank' ? 's1' : 's2')
  await plantOrdinary(await cluster.shard('s1').set.client(), 'bank', ['accounts', 'other'])
  await plantOrdinary(await cluster.shard('s2').set.client(), 'side', ['other'])
}

async function guardedOfCluster(parts: readonly TargetPart[], admin: MongoClient): Promise<Map<string, string>> {
  const state = new Map<string, string>()
  for (const { rs, admin: own } of parts)
    for (const [name, text] of await guardedState(own, OWN_USERS)) state.set(`${rs}: ${name}`, text)
  const config = admin.db('config')
  const read = async (table: string, filter: Document, projection: Document = {}) => {
    const found = await config
      .collection(table)
      .find(filter, { projection, sort: { _id: 1 } })
      .toArray()
    state.set(`${table} that are the target's own`, JSON.stringify(found))
  }
  const routed = await config.collection<Table>('collections').findOne({ _id: `${ELSEWHERE}.routed` })
  await read('databases', { _id: ELSEWHERE })
  await read('collections', { _id: { $regex: `^${ELSEWHERE}\\.` } })
  await read('chunks', { uuid: routed?.uuid }, { history: 0 })
  await read('settings', { _id: 'balancer' })
  // Which zones a shard is in is restored.
  await read('shards', {}, { tags: 0, topologyTime: 0 })
  await read('version', {})
  return state
}
