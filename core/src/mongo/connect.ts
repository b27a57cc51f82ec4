import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { MongoClient, ReadPreference } from 'mongodb'
import type { ConnectionString } from 'mongodb-connection-string-url'
import { PbmError } from '../errors.js'
import { clientOptions } from './client-options.js'
import { explainConnectError } from './connect-errors.js'
import { CONTROL_DATABASE, LOCKS } from './control-names.js'
import { giveUpUnreachable } from './lost-connections.js'
import { tellSlowWrites } from './slow-writes.js'
import { type Hello, hello, shardIdentity, splitConnectionString } from './topology.js'
import { parseUri, takeOption } from './uri.js'

export interface ConnectOptions {
  /** Shown in the server's log and currentOp. */
  appName: string
}

export interface LeaderOptions extends ConnectOptions {
  /** Told what a write waits for that is not acknowledged soon, and when writes are acknowledged again. */
  onWaiting?: (text: string) => void
  /** Keeps up locks and heartbeats, which a short `wtimeoutMS` in the URI would lose. Default false. */
  isLasting?: boolean
}

/**
 * A connection to the one mongod this agent serves, whatever its role. Where the URI names several hosts, the one that
 * is on this machine is meant.
 * Rejects with PbmError: URI_*, NODE_AMBIGUOUS, MONGOS, STANDALONE, NOT_INITIATED, REPLICA_SET_NAME, TLS, TLS_FILE,
 * AUTHENTICATION, UNAUTHORIZED, UNREACHABLE, CONNECTION.
 */
export async function connectNode(uri: string, options: ConnectOptions): Promise<MongoClient> {
  const target = parseUri(uri)
  const host = await localHost(target)
  const name = takeOption(target, 'replicaSet')
  target.hosts = [host]
  const client = await open(target, uri, { ...options, directConnection: true })
  return guarded(client, host, uri, async () => {
    const greeting = await refuseWrongServer(client, host)
    if (name !== undefined && greeting.setName !== name) {
      throw new PbmError('REPLICA_SET_NAME', `${host} belongs to replica set ${greeting.setName}, not ${name}`, {
        hint: 'Correct replicaSet in the URI, or leave it out',
      })
    }
    if (greeting.arbiterOnly !== true) await probePrivileges(client)
    return client
  })
}

/**
 * A connection to the primary of the leader replica set (the config servers of a sharded cluster, else the only set),
 * found from the URI of any member, which may be direct. It follows elections. Reads majority, writes majority, always
 * from the primary, see {@link clientOptions}; a write that the majority does not acknowledge in time fails.
 * Rejects like {@link connectNode}, and with NO_PRIMARY.
 */
export async function connectLeader(
  uri: string,
  { onWaiting, ...options }: LeaderOptions,
): Promise<{ client: MongoClient; replset: string }> {
  const target = parseUri(uri)
  takeOption(target, 'directConnection')
  const wanted = takeOption(target, 'replicaSet')
  const found = await anyMember(target, uri, options)
  if (wanted !== undefined && found.configServers === undefined && found.setName !== wanted) {
    throw new PbmError('REPLICA_SET_NAME', `${found.host} belongs to replica set ${found.setName}, not ${wanted}`, {
      hint: 'Correct replicaSet in the URI, or leave it out',
    })
  }
  const leader = found.configServers ?? { rs: found.setName, hosts: target.hosts }
  target.hosts = leader.hosts
  const where = leader.hosts.join(',')
  const telling = onWaiting === undefined ? {} : { onWaiting }
  const client = await open(target, uri, { ...options, ...telling, replicaSet: leader.rs }).catch((error: PbmError) => {
    // A member did answer just now.
    throw error.code === 'UNREACHABLE' ? noPrimary(leader.rs, where, error) : error
  })
  return guarded(client, where, uri, async () => {
    await probePrivileges(client)
    return { client, replset: leader.rs }
  })
}

/**
 * A connection to the primary of the replica set of the member that the URI names, also of one that is a shard. Rejects like
 * {@link connectLeader}.
 */
export async function connectPrimary(uri: string, options: ConnectOptions): Promise<MongoClient> {
  const target = parseUri(uri)
  takeOption(target, 'directConnection')
  takeOption(target, 'replicaSet')
  const { host, setName } = await anyMember(target, uri, options)
  target.hosts = [host]
  return open(target, uri, { ...options, isLasting: true, replicaSet: setName }).catch((error: PbmError) => {
    throw error.code === 'UNREACHABLE' ? noPrimary(setName, host, error) : error
  })
}

/**
 * A connection to the one mongod of the URI as nobody: enough to ask whether it serves. It is connected when first used, and
 * gives up soon.
 */
export async function greetNode(uri: string): Promise<Hello> {
  const target = parseUri(uri)
  target.hosts = [await localHost(target)]
  target.username = ''
  target.password = ''
  for (const option of ['replicaSet', 'authSource', 'authMechanism', 'authMechanismProperties', 'directConnection']) {
    takeOption(target, option)
  }
  if (!target.searchParams.has('proxyHost')) await refuseClosedPort(target.hosts[0] ?? '')
  const timing = { serverSelectionTimeoutMS: GREET_MS, connectTimeoutMS: GREET_MS, socketTimeoutMS: GREET_MS }
  const client = new MongoClient(target.toString(), { ...timing, directConnection: true, appName: 'pbm-agent' })
  client.on('error', () => undefined)
  try {
    return await hello(client)
  } finally {
    await client.close()
  }
}

const GREET_MS = 3_000

/** At once: the driver would try again for as long as it may. Whatever else is the matter is for it to find out. */
async function refuseClosedPort(host: string): Promise<void> {
  const { hostname, port } = URL.canParse(`tcp://${host}`) ? new URL(`tcp://${host}`) : { hostname: '', port: '' }
  if (hostname === '' || host.endsWith('.sock')) return
  const socket = connectSocket({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || 27_017,
    timeout: GREET_MS,
  })
  try {
    await Promise.race([once(socket, 'connect'), once(socket, 'timeout')])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') throw error
  } finally {
    socket.destroy()
  }
}

function noPrimary(rs: string, where: string, cause: PbmError): PbmError {
  return new PbmError('NO_PRIMARY', `replica set ${rs} has no primary that can be reached (${where})`, {
    hint: 'Check rs.status(); its members must be reachable from here under the names in rs.conf()',
    cause: cause.cause,
  })
}

/** How long a host may take to answer at all when connecting. */
const REACH_MS = 5_000

async function open(
  target: ConnectionString,
  uri: string,
  { onWaiting, isLasting, ...options }: LeaderOptions & ({ directConnection: true } | { replicaSet: string }),
): Promise<MongoClient> {
  const isNode = 'directConnection' in options
  const client = guardedSync(target, uri, () => {
    const driver = clientOptions(target, isNode ? 'patient' : isLasting === true ? 'lasting' : 'bounded')
    if (isNode && driver.serverSelectionTimeoutMS !== undefined) driver.serverSelectionTimeoutMS = REACH_MS
    const monitorCommands = onWaiting !== undefined
    return new MongoClient(target.toString(), {
      ...{ ...driver, ...options, monitorCommands },
      readPreference: ReadPreference.primary,
    })
  })
  // Without a listener the driver's error events would end the process.
  client.on('error', () => undefined)
  if (onWaiting !== undefined) tellSlowWrites(client, onWaiting)
  giveUpUnreachable(client)
  return guarded(client, target.hosts.join(','), uri, () => client.connect())
}

interface FoundMember {
  host: string
  setName: string
  configServers?: { rs: string; hosts: string[] }
}

/** The first host of the URI that answers. Only when none does, the fault of the first is told. */
async function anyMember(target: ConnectionString, uri: string, options: ConnectOptions): Promise<FoundMember> {
  const attempts = target.hosts.map((host) => probe(target, host, uri, options))
  try {
    return await Promise.any(attempts)
  } catch (error) {
    const faults = (error as AggregateError).errors as unknown[]
    // A host that answers and refuses tells more than one that does not answer.
    throw faults.find((fault) => fault instanceof PbmError && fault.code !== 'UNREACHABLE') ?? faults[0]
  }
}

async function probe(
  target: ConnectionString,
  host: string,
  uri: string,
  options: ConnectOptions,
): Promise<FoundMember> {
  const single = target.clone()
  single.hosts = [host]
  const client = await open(single, uri, { ...options, directConnection: true })
  try {
    return await guarded(client, host, uri, async () => {
      const { setName = '', configsvr, arbiterOnly } = await refuseWrongServer(client, host)
      if (configsvr === 2 || arbiterOnly === true) return { host, setName }
      const configServers = await configServersOf(client)
      return configServers === undefined ? { host, setName } : { host, setName, configServers }
    })
  } finally {
    await client.close()
  }
}

/** Where a shard's config servers are; undefined on a member of a plain replica set (PBM: control-plane.md §1.1). */
async function configServersOf(client: MongoClient): Promise<{ rs: string; hosts: string[] } | undefined> {
  const identity = await shardIdentity(client)
  return identity === undefined ? undefined : splitConnectionString(identity.configsvrConnectionString)
}

async function refuseWrongServer(client: MongoClient, host: string): Promise<Hello> {
  const greeting = await hello(client)
  if (greeting.msg === 'isdbgrid') {
    throw new PbmError('MONGOS', `${host} is a mongos`, {
      hint: 'Connect to a mongod: the agent to the one beside it, the CLI to any config server or shard',
    })
  }
  if (greeting.setName !== undefined) return greeting
  if (greeting.isreplicaset === true) {
    throw new PbmError('NOT_INITIATED', `${host} waits for its replica set to be initiated`, {
      hint: 'Run rs.initiate() there, or wait until its configuration arrives',
    })
  }
  throw new PbmError('STANDALONE', `${host} is a standalone mongod`, {
    hint: 'Backups need an oplog: restart it with --replSet and run rs.initiate()',
  })
}

/** `hello` and `ping` answer anyone; this read needs what every later step needs too. */
async function probePrivileges(client: MongoClient): Promise<void> {
  await client.db(CONTROL_DATABASE).command({ find: LOCKS, limit: 1, singleBatch: true })
}

/** The host of the URI that is this machine. */
async function localHost(target: ConnectionString): Promise<string> {
  const [first, ...others] = target.hosts
  if (first !== undefined && others.length === 0) return first
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []),
  )
  const local: string[] = []
  for (const host of target.hosts) {
    const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
    const addresses = await lookup(name, { all: true }).catch(() => [])
    if (addresses.some(({ address }) => own.has(address))) local.push(host)
  }
  const [only, ...more] = local
  if (only !== undefined && more.length === 0) return only
  throw new PbmError('NODE_AMBIGUOUS', `the URI names several hosts: ${target.hosts.join(', ')}`, {
    hint: 'An agent serves one mongod: name just the one beside it',
  })
}

/** Closes the client when the work fails and explains the failure. */
async function guarded<T>(client: MongoClient, where: string, uri: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await client.close().catch(() => undefined)
    throw explainConnectError(error, where, uri)
  }
}

function guardedSync<T>(target: ConnectionString, uri: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explainConnectError(error, target.hosts.join(','), uri)
  }
}
