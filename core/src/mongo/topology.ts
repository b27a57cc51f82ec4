import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { clusterTimeOf } from './cluster-time.js'

/** What a member tells of itself. */
export interface NodeInfo {
  /** Name of its replica set. */
  rs: string
  /** `host:port` as the replica-set configuration has it. */
  me: string
  isPrimary: boolean
  isSecondary: boolean
  isArbiter: boolean
  hidden: boolean
  /** It can never become primary. */
  passive: boolean
  /** Configured replication delay in seconds. */
  delaySecs: number
  /** `host:port` of the primary it knows. */
  primary?: string
  /** Newest entry of its oplog; (0,0) on an arbiter. */
  lastWrite: Timestamp
  majorityLastWrite: Timestamp
  clusterTime: Timestamp
  /** Of the server: `6.0.5`. */
  version: string
  /** Of Percona Server: `6.0.5-4`; absent elsewhere. */
  psmdbVersion?: string
  /** `6.0`; absent where the user may not ask. */
  fcv?: string
  isConfigServer: boolean
  /** Part of a sharded cluster. */
  isSharded: boolean
  /** Id of the shard this member belongs to; absent elsewhere. It need not be the name of the replica set. */
  shardId?: string
  /** Primary of the leader replica set: the agent beside it leads the cluster (PBM: control-plane.md, Terms). */
  isClusterLeader: boolean
}

export type MemberRole = 'primary' | 'secondary' | 'hidden' | 'delayed' | 'arbiter'

export interface ReplsetTopology {
  rs: string
  /** Shard id; `config` for the config servers; the name of the set in a plain replica set. */
  id: string
  members: MemberTopology[]
}

/** What servers call the config servers where they name shards. */
export const CONFIG_SHARD_ID = 'config'

export interface MemberTopology {
  /** `host:port` as the replica-set configuration has it. */
  host: string
  role: MemberRole
}

/** One `hello`, as far as this project uses it. */
export interface Hello extends Document {
  setName?: string
  me?: string
  primary?: string
  hosts?: string[]
  passives?: string[]
  arbiters?: string[]
  isWritablePrimary?: boolean
  secondary?: boolean
  arbiterOnly?: boolean
  hidden?: boolean
  passive?: boolean
  secondaryDelaySecs?: number
  slaveDelay?: number
  msg?: string
  isreplicaset?: boolean
  configsvr?: number
  lastWrite?: { opTime?: { ts?: Timestamp }; majorityOpTime?: { ts?: Timestamp } }
}

export async function hello(client: MongoClient): Promise<Hello> {
  return (await client.db('admin').command({ hello: 1 })) as Hello
}

/** Rejects with NOT_REPLICA_SET_MEMBER where the server is none (any more). */
export async function nodeInfo(client: MongoClient): Promise<NodeInfo> {
  const admin = client.db('admin')
  const [greeting, build, parameter] = await Promise.all([
    hello(client),
    admin.command({ buildInfo: 1 }),
    admin.command({ getParameter: 1, featureCompatibilityVersion: 1 }).catch(() => undefined),
  ])
  const { setName, me } = greeting
  if (setName === undefined || me === undefined) {
    throw new PbmError('NOT_REPLICA_SET_MEMBER', 'the mongod is no member of a replica set now', {
      hint: 'Wait for its start or its removal to end, or initiate the replica set',
    })
  }
  const unset = new Timestamp({ t: 0, i: 0 })
  const isConfigServer = greeting.configsvr === 2
  const isPrimary = greeting.isWritablePrimary === true
  const identity = greeting.arbiterOnly === true || isConfigServer ? undefined : await shardIdentity(client)
  const isSharded = isConfigServer || identity !== undefined
  const fcv = parameter?.featureCompatibilityVersion?.version as string | undefined
  return {
    rs: setName,
    me,
    isPrimary,
    isSecondary: greeting.secondary === true,
    isArbiter: greeting.arbiterOnly === true,
    hidden: greeting.hidden === true,
    passive: greeting.passive === true,
    delaySecs: Number(greeting.secondaryDelaySecs ?? greeting.slaveDelay ?? 0),
    ...(greeting.primary === undefined ? {} : { primary: greeting.primary }),
    lastWrite: greeting.lastWrite?.opTime?.ts ?? unset,
    majorityLastWrite: greeting.lastWrite?.majorityOpTime?.ts ?? unset,
    clusterTime: greeting.arbiterOnly === true ? unset : clusterTimeOf(greeting),
    version: String(build.version),
    ...(build.psmdbVersion === undefined ? {} : { psmdbVersion: String(build.psmdbVersion) }),
    ...(fcv === undefined ? {} : { fcv }),
    isConfigServer,
    isSharded,
    ...(identity === undefined ? {} : { shardId: identity.shardName }),
    isClusterLeader: isPrimary && greeting.primary === me && (!isSharded || isConfigServer),
  }
}

/** What a shard knows of the cluster it was added to. */
export interface ShardIdentity {
  /** Id of the shard. */
  readonly shardName: string
  /** `rs/host:port,host:port`. */
  readonly configsvrConnectionString: string
}

/** A majority read may wait for ever on a member that has lost its primary. */
const LOCAL = { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' } as const

/** Undefined on a member of a plain replica set (PBM: control-plane.md §1.1). */
export async function shardIdentity(client: MongoClient): Promise<ShardIdentity | undefined> {
  const versions = client.db('admin').collection<ShardIdentity & { _id: string }>('system.version', LOCAL)
  return (await versions.findOne({ _id: 'shardIdentity' })) ?? undefined
}

/**
 * Every replica set of the cluster with its members: one for a plain replica set; otherwise the config servers first, then
 * all shards. Roles are known for the leader replica set only; members of shards read as `secondary`, one that is alone as
 * `primary`, and hidden ones and
 * arbiters among them are missing, since asking takes connections of their own: their agents tell (`pbmAgents`).
 */
export async function clusterMembers(leader: MongoClient): Promise<ReplsetTopology[]> {
  const greeting = await hello(leader)
  const own = await replsetMembers(leader, greeting)
  if (greeting.configsvr !== 2) return [own]
  // Not getShardMap, which tells what the server has in memory: after a restart that may be nothing.
  const shards = await leader.db('config').collection<{ _id: string; host: string }>('shards').find().toArray()
  const others = shards
    .map(({ _id: id, host }) => ({ id, ...splitConnectionString(host) }))
    .filter(({ rs }) => rs !== own.rs)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  return [
    { ...own, id: CONFIG_SHARD_ID },
    ...others.map(({ id, rs, hosts }) => ({
      rs,
      id,
      // Arbiters and hidden members, who are not listed, are never primary.
      members: hosts.map((host) => ({
        host,
        role: hosts.length === 1 ? ('primary' as const) : ('secondary' as const),
      })),
    })),
  ]
}

/** `rs/host:port,host:port` as servers write it. */
export function splitConnectionString(text: string): { rs: string; hosts: string[] } {
  const slash = text.indexOf('/')
  return {
    rs: slash < 0 ? '' : text.slice(0, slash),
    hosts: text
      .slice(slash + 1)
      .split(',')
      .filter((host) => host !== ''),
  }
}

interface MemberConfiguration {
  host: string
  arbiterOnly?: boolean
  hidden?: boolean
  secondaryDelaySecs?: number
  slaveDelay?: number
}

async function replsetMembers(leader: MongoClient, greeting: Hello): Promise<ReplsetTopology> {
  const { config } = await leader.db('admin').command({ replSetGetConfig: 1 })
  const { _id: rs, members } = config as { _id: string; members: MemberConfiguration[] }
  return {
    rs,
    id: rs,
    members: members.map((member) => ({ host: member.host, role: roleOf(member, greeting.primary) })),
  }
}

function roleOf(member: MemberConfiguration, primary: string | undefined): MemberRole {
  if (member.arbiterOnly === true) return 'arbiter'
  if (member.host === primary) return 'primary'
  if (Number(member.secondaryDelaySecs ?? member.slaveDelay ?? 0) > 0) return 'delayed'
  return member.hidden === true ? 'hidden' : 'secondary'
}

/** A member of a replica set; `node` is `host:port` as the replica-set configuration has it (`hello.me`). */
export interface Member {
  readonly rs: string
  readonly node: string
}
