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
  $configServerState?: Document
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
  const isSharded = isConfigServer || greeting.$configServerState !== undefined
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
    isClusterLeader: isPrimary && greeting.primary === me && (!isSharded || isConfigServer),
  }
}

/**
 * Every replica set of the cluster with its members: one for a plain replica set; the config servers and all shards
 * otherwise. Roles are known for the leader replica set only; members of shards read as `secondary`, since asking them
 * takes connections of their own.
 */
export async function clusterMembers(leader: MongoClient): Promise<ReplsetTopology[]> {
  const greeting = await hello(leader)
  const own = await replsetMembers(leader, greeting)
  if (greeting.configsvr !== 2) return [own]
  const { map } = (await leader.db('admin').command({ getShardMap: 1 })) as unknown as { map: Record<string, string> }
  return Object.entries(map).map(([id, connectionString]) => {
    const { rs, hosts } = splitConnectionString(connectionString)
    if (rs === own.rs) return { ...own, id }
    return { rs, id, members: hosts.map((host) => ({ host, role: 'secondary' as const })) }
  })
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
