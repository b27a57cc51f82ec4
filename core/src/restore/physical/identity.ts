import { join } from 'node:path'
import type { Document, MongoClient, Timestamp } from 'mongodb'
import { insertEntries } from '../../backup/physical/entries.js'
import { endOplogAt, newestEntry, type StandaloneOptions, withStandalone } from '../../backup/physical/standalone.js'
import { PbmError } from '../../errors.js'
import {
  AGENTS,
  BACKUPS,
  COMMANDS,
  CONFIG,
  CONTROL_DATABASE,
  LOCKS,
  LOG,
  OPERATIONS,
  PITR,
  PITR_CHUNKS,
  RESTORES,
  SLICER_LOCKS,
} from '../../mongo/control-names.js'
import { type NodeInfo, shardIdentity, splitConnectionString } from '../../mongo/topology.js'
import { optime } from '../../oplog/entry.js'
import { restoreFolders } from './folders.js'

/** Documents of control collections, the same for all members. */
export interface KeptDocuments {
  readonly config: readonly Document[]
  /** Says that point-in-time recovery is to go on after the next full backup. */
  readonly pitr: readonly Document[]
}

/** What the files become. */
export interface NewIdentity {
  /** The document of the replica set's configuration. */
  readonly replset: Document
  /** What stays as it is now. */
  readonly kept: KeptDocuments
  /** The last write that is to be in them; told the last that is there where nobody knows it before. */
  readonly lastWrite: Timestamp | ((top: Timestamp) => Promise<Timestamp>)
  /** The file with the oplog that leads there; undefined where they have it. */
  readonly oplog: string | undefined
  /** Of a sharded cluster. */
  readonly sharding: ShardingIdentity | undefined
}

/** What a member knows of the cluster that it belongs to now. */
export type ShardingIdentity =
  | { readonly role: 'config'; readonly shards: readonly { readonly _id: string; readonly host: string }[] }
  | { readonly role: 'shard'; readonly shardName: string; readonly configsvrConnectionString: string }

export async function shardingIdentityOf(
  node: MongoClient,
  { isSharded, isConfigServer }: Pick<NodeInfo, 'isSharded' | 'isConfigServer'>,
): Promise<ShardingIdentity | undefined> {
  if (!isSharded) return undefined
  if (isConfigServer) {
    const shards = await node.db('config').collection<{ _id: string; host: string }>('shards').find().toArray()
    return { role: 'config', shards: shards.map(({ _id, host }) => ({ _id, host })) }
  }
  const own = await shardIdentity(node)
  if (own === undefined) return undefined
  const { shardName, configsvrConnectionString } = own
  return { role: 'shard', shardName, configsvrConnectionString }
}

/** All but the configuration: what they say was so when the backup was made. Agents make them anew. */
const OUTDATED: readonly string[] = [
  ...[AGENTS, BACKUPS, COMMANDS, LOCKS, LOG, OPERATIONS, PITR_CHUNKS, RESTORES, SLICER_LOCKS],
]

/**
 * Starts a server on restored files that nobody else can reach, gives them their new identity, and ends it (PBM: physical.md
 * §5, steps 9 and 12). It listens on a socket in a folder of this user alone, so that it needs no password.
 */
export async function giveIdentity(
  options: StandaloneOptions,
  identity: NewIdentity,
  log = join(restoreFolders(options.dbPath).work, 'standalone.log'),
): Promise<void> {
  await withStandalone(options, log, (client) => rewrite(client, identity))
}

async function rewrite(client: MongoClient, { replset, kept, lastWrite, oplog, sharding }: NewIdentity): Promise<void> {
  const local = client.db('local')
  if (oplog !== undefined) {
    const before = (await newestEntry(client))?.ts
    await insertEntries(client, oplog, optime(before ?? { t: 0, i: 0 }))
  }
  const top = (await newestEntry(client))?.ts
  if (top === undefined) throw new PbmError('OPLOG_EMPTY', 'the oplog is empty')
  await endOplogAt(client, typeof lastWrite === 'function' ? await lastWrite(top) : lastWrite)
  await local.collection('system.replset').deleteMany({})
  await local.collection('system.replset').insertOne(replset)
  const control = client.db(CONTROL_DATABASE)
  const there = new Set((await control.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name))
  for (const name of OUTDATED) if (there.has(name)) await control.dropCollection(name)
  // A collection that is not there would be made with another UUID by each member.
  const put = async (name: string, documents: readonly Document[]) => {
    if (!there.has(name)) return
    await control.collection(name).deleteMany({})
    if (documents.length > 0) await control.collection(name).insertMany([...documents])
  }
  await put(PITR, kept.pitr)
  await put(CONFIG, kept.config)
  if (sharding !== undefined) await joinCluster(client, sharding)
}

/** Where the others are (PBM: physical.md §5, step 12). What is only remembered of them is read anew. */
async function joinCluster(client: MongoClient, sharding: ShardingIdentity): Promise<void> {
  const config = client.db('config')
  const names = (await config.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name)
  const memories =
    sharding.role === 'config' ? ['mongos', 'lockpings'] : names.filter((name) => name.startsWith('cache.'))
  for (const name of memories) if (names.includes(name)) await config.collection(name).deleteMany({})
  if (sharding.role === 'shard') {
    const { shardName, configsvrConnectionString } = sharding
    const versions = client.db('admin').collection<{ _id: string }>('system.version')
    const set = { $set: { shardName, configsvrConnectionString } }
    const { matchedCount } = await versions.updateOne({ _id: 'shardIdentity' }, set)
    if (matchedCount === 0) throw otherCluster('has no shard in this replica set')
    return
  }
  const shards = config.collection<{ _id: string; host: string }>('shards')
  const now = new Map(sharding.shards.map((shard) => [shard._id, shard.host]))
  for (const { _id, host } of await shards.find().toArray()) {
    const current = now.get(_id)
    if (current === undefined || splitConnectionString(current).rs !== splitConnectionString(host).rs)
      throw otherCluster(`has a shard ${_id} in ${host}`)
    await shards.updateOne({ _id }, { $set: { host: current } })
  }
}

function otherCluster(what: string): PbmError {
  return new PbmError('OTHER_CLUSTER', `the backup ${what}, and this cluster has not`, {
    hint: 'Restore it to a cluster with the same shards, or make and restore logical backups',
  })
}
