import { setTimeout as sleep } from 'node:timers/promises'
import { Long, MaxKey, MinKey } from 'bson'
import type { Document, MongoClient } from 'mongodb'
import { runDistributedTransaction, type TransactionWork } from './distributed-transaction.js'
import { type ReplicaSet, type Shard, startReplicaSet } from './replica-set.js'
import { isAtLeast, serverVersion } from './server-version.js'
import { createKeyFile } from './standalone.js'
import { removeTemporaryFolder, temporaryFolder } from './supervisor.js'
import { ADMIN, type TestRole } from './users.js'

export interface ShardOptions {
  /** Name of the replica set. */
  readonly name: string
  /** Default: the name of the replica set. */
  readonly id?: string
  /** Added to the environment of its mongods. */
  readonly environment?: NodeJS.ProcessEnv
  /** It runs, but is no part of the cluster before `addShard`. */
  readonly later?: boolean
}

export interface ShardedClusterOptions {
  /** Path of the mongod to start; default: the one that `findMongod` finds. */
  readonly mongod?: string | undefined
  /** How many, named `s1`, `s2` and so on, or which. Default 2. */
  readonly shards?: number | readonly ShardOptions[]
  /** Of the config servers and of each shard. Default 1. */
  readonly membersPerReplset?: 1 | 2 | 3
  /** Of the config servers, where they are to be more or fewer. */
  readonly configMembers?: 1 | 2 | 3
  /** Keyfile authentication between all members, and users for clients on each replica set. Default false. */
  readonly auth?: boolean
  /** Name of the config servers' replica set. Default `cfg`. */
  readonly configName?: string
  /** More arguments for every mongod. */
  readonly mongodArgs?: readonly string[]
}

export interface ShardedCollectionOptions {
  /** Shard key; default `{_id: 'hashed'}`, whose chunks are spread over all shards. */
  readonly key?: Document
  /** Of a hashed key, over all shards; default two for each shard. A range key begins with one chunk. */
  readonly chunks?: number
}

export interface MoveOptions {
  /** Bounds of the range by the shard key, exclusive at its end; default the lowest and the highest value. */
  readonly min?: Document
  readonly max?: Document
  /** Wait until the donor has deleted the documents. Default false: it does that in its own time. */
  readonly waitForDelete?: boolean
}

/** Config servers and shards, as they are at the moment; there is no mongos, for nothing here needs one. */
export interface ShardedCluster {
  readonly config: ReplicaSet
  readonly shards: readonly Shard[]
  /** All replica sets, the config servers first. */
  readonly replsets: readonly ReplicaSet[]
  shard(id: string): Shard
  /** One that was to come later. */
  addShard(id: string): Promise<Shard>
  /** It must have no chunks, and be no primary shard. */
  removeShard(id: string): Promise<void>
  createDatabase(db: string, primaryShard: string): Promise<void>
  /** The database must be there. */
  shardCollection(namespace: string, options?: ShardedCollectionOptions): Promise<void>
  /** Moves a range to a shard, splitting chunks where it has to. */
  moveRange(namespace: string, toShard: string, options?: MoveOptions): Promise<void>
  /** Lets every shard read a collection's routing table anew: needed before direct writes after a restart. */
  refresh(namespace: string): Promise<void>
  /** Runs statements in one transaction over several shards and commits them on all of them or on none. */
  transaction(work: TransactionWork): Promise<void>
  setBalancer(mode: 'full' | 'off'): Promise<void>
  /** The same as {@link ReplicaSet.createUser}, on every replica set. */
  createUser(role: TestRole, user?: string): Promise<string>
  stop(): Promise<void>
}

const MAJORITY = { writeConcern: { w: 'majority' } } as const

/** Starts config servers and shards, and adds the shards to the cluster. */
export async function startShardedCluster(options: ShardedClusterOptions = {}): Promise<ShardedCluster> {
  const folder = await temporaryFolder('pbmkit-cluster-')
  const keyFile = options.auth === true ? { auth: true, keyFile: await createKeyFile(folder) } : {}
  const given = options.shards ?? 2
  const named = typeof given === 'number' ? Array.from({ length: given }, (_, n) => ({ name: `s${n + 1}` })) : given
  const mongodArgs = options.mongodArgs ?? []
  const common = { mongod: options.mongod, members: options.membersPerReplset ?? 1, mongodArgs, ...keyFile }
  const starting = [
    startReplicaSet({
      ...common,
      members: options.configMembers ?? common.members,
      name: options.configName ?? 'cfg',
      role: 'config',
    }),
    ...named.map(({ name, environment }: ShardOptions) =>
      startReplicaSet({ ...common, name, environment, role: 'shard' }),
    ),
  ]
  const started = (await Promise.allSettled(starting)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = async () => {
    await Promise.all(started.map((set) => set.stop()))
    await removeTemporaryFolder(folder)
  }
  try {
    const [config, ...sets] = await Promise.all(starting)
    if (config === undefined) throw new RangeError('a cluster has config servers')
    const shards = named.map((shard: ShardOptions, index) => {
      const set = sets[index]
      if (set === undefined) throw new RangeError('a shard is a replica set')
      return { id: shard.id ?? shard.name, set, later: shard.later === true }
    })
    if (options.auth === true) await Promise.all(started.map(allowInternalCommands))
    for (const { id, set, later } of shards) if (!later) await addShard(await config.client(), id, set)
    return clusterOf(config, shards, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

/** What mongos says to the servers, the administrator says here; root alone may not. */
async function allowInternalCommands(set: ReplicaSet): Promise<void> {
  const admin = (await set.client()).db('admin')
  await admin.command({ grantRolesToUser: ADMIN.user, roles: ['__system'], ...MAJORITY })
}

async function addShard(config: MongoClient, id: string, set: ReplicaSet): Promise<void> {
  const hosts = set.members.map(({ host }) => host).join(',')
  await config.db('admin').command({ _configsvrAddShard: `${set.name}/${hosts}`, name: id, ...MAJORITY })
}

function clusterOf(
  config: ReplicaSet,
  all: readonly (Shard & { readonly later: boolean })[],
  stop: () => Promise<void>,
): ShardedCluster {
  const shards: Shard[] = all.filter(({ later }) => !later)
  const replsets = [config, ...shards.map(({ set }) => set)]
  const find = (id: string): Shard => {
    const found = shards.find((shard) => shard.id === id)
    if (found === undefined) throw new RangeError(`there is no shard ${id}`)
    return found
  }
  const onConfig = async (command: Document): Promise<Document> =>
    (await config.client()).db('admin').command({ ...command, ...MAJORITY })
  const refresh = async (namespace: string) => {
    for (const { set } of shards) {
      await (await set.client()).db('admin').command({ _flushRoutingTableCacheUpdates: namespace })
    }
  }
  return {
    config,
    shards,
    replsets,
    shard: find,
    addShard: async (id) => {
      const shard = all.find((one) => one.id === id)
      if (shard === undefined || shards.includes(shard)) throw new RangeError(`there is no other shard ${id}`)
      await addShard(await config.client(), id, shard.set)
      shards.push(shard)
      replsets.push(shard.set)
      return shard
    },
    removeShard: async (id) => {
      const { set } = find(id)
      // The first one begins to drain it, the last one removes it.
      while ((await onConfig({ _configsvrRemoveShard: id })).state !== 'completed') await sleep(200)
      shards.splice(shards.indexOf(find(id)), 1)
      replsets.splice(replsets.indexOf(set), 1)
    },
    createDatabase: async (db, primaryShardId) => {
      const version = await serverVersion(await config.client())
      const isOf50 = isAtLeast(version, '5.0') && !isAtLeast(version, '6.0')
      await onConfig({ _configsvrCreateDatabase: db, primaryShardId, ...(isOf50 ? { enableSharding: true } : {}) })
    },
    shardCollection: async (namespace, { key = { _id: 'hashed' }, chunks } = {}) => {
      const [db, collection] = splitNamespace(namespace)
      const database = await (await config.client()).db('config').collection<{ _id: string }>('databases').findOne({
        _id: db,
      })
      if (database === null) throw new RangeError(`there is no database ${db}`)
      const { primary, version } = database as Document
      const isHashed = Object.values(key).includes('hashed')
      const numInitialChunks = isHashed ? { numInitialChunks: Long.fromNumber(chunks ?? 2 * shards.length) } : {}
      // Before 5.0 the config servers take the command of mongos.
      if (!isAtLeast(await serverVersion(await config.client()), '5.0')) {
        await onConfig({ _configsvrEnableSharding: db })
        await onConfig({ _configsvrShardCollection: namespace, key, unique: false, ...numInitialChunks })
        return refresh(namespace)
      }
      await (await find(primary).set.client()).db(db).command({
        _shardsvrCreateCollection: collection,
        shardKey: key,
        ...numInitialChunks,
        presplitHashedZones: false,
        databaseVersion: version,
        ...MAJORITY,
      })
      await refresh(namespace)
    },
    moveRange: async (namespace, toShard, { min, max, waitForDelete = false } = {}) => {
      const found = await (await config.client())
        .db('config')
        .collection<{ _id: string; key: Document }>('collections')
        .findOne({ _id: namespace })
      if (found === null) throw new RangeError(`${namespace} is not sharded`)
      const bound = (value: MinKey | MaxKey) =>
        Object.fromEntries(Object.keys(found.key).map((field) => [field, value]))
      await onConfig({
        _configsvrMoveRange: namespace,
        toShard,
        min: min ?? bound(new MinKey()),
        max: max ?? bound(new MaxKey()),
        waitForDelete,
        secondaryThrottle: {},
        forceJumbo: 0,
      })
    },
    refresh,
    transaction: (work) => runDistributedTransaction(shards, work),
    setBalancer: async (mode) => {
      const admin = (await config.client()).db('admin')
      await admin.command(mode === 'off' ? { _configsvrBalancerStop: 1 } : { _configsvrBalancerStart: 1 })
    },
    createUser: async (role, user) => {
      const [name] = await Promise.all(replsets.map((set) => set.createUser(role, user)))
      return name ?? ''
    },
    stop,
  }
}

function splitNamespace(namespace: string): [db: string, collection: string] {
  const dot = namespace.indexOf('.')
  return [namespace.slice(0, dot), namespace.slice(dot + 1)]
}
