import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  ADMIN,
  type CuttableNetwork,
  type MongodProcess,
  type ReplicaSet,
  type ReplicaSetOptions,
  serverVersion,
  spawnSupervised,
  startNetwork,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import {
  type BackupCommand,
  type BackupDocument,
  type Config,
  clusterTime,
  connectLeader,
  databaseRole,
  findBackup,
  findRestore,
  isAgentOk,
  isStale,
  listAgents,
  listLocks,
  PluginHost,
  parseConfig,
  type RestoreCommand,
  type RestoreDocument,
  sendCommand,
  writeConfig,
} from '@pbmkit/core'
import { Binary, Long, type MongoClient, Timestamp } from 'mongodb'

/** Real agents beside a real replica set, for the end-to-end tests. */
export interface Cluster {
  readonly set: ReplicaSet
  /** As the agents' own user. */
  readonly leader: MongoClient
  readonly admin: MongoClient
  /** The folder of the filesystem storage. */
  readonly storage: string
  readonly agents: AgentProcess[]
  startAgent(member: MongodProcess, options?: AgentProcessOptions): Promise<AgentProcess>
  configure(yaml: string): Promise<Config>
  /** Every running agent reports itself, its node and its storage well. */
  agentsWell(): Promise<void>
  backup(options?: Partial<BackupCommand>): Promise<string>
  /** To the end of the backup, or to a time after it. */
  restore(backup: string, time?: Timestamp): Promise<string>
  /** All that run, by SIGKILL. */
  killAgents(): Promise<void>
  stop(): Promise<void>
}

/** A replica set or a sharded cluster. */
export type WithAgents = Pick<Cluster, 'admin' | 'leader' | 'agents'>

export interface AgentProcessOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly args?: readonly string[]
  /** Do not wait for its first status. */
  readonly notReady?: boolean
  /** Whom it connects as; default: the user of all. `rememberUser` must know it. */
  readonly user?: string
  /** Added to its URI: `w=2`. */
  readonly uriOptions?: string
  /** Its working directory. */
  readonly cwd?: string
  /** All it says to any mongod goes through this. */
  readonly network?: CuttableNetwork
}

export interface AgentProcess {
  readonly member: MongodProcess
  /** Its own, where the cluster was started with `networks`. */
  readonly network: CuttableNetwork | undefined
  readonly pid: number
  readonly running: boolean
  output(): string
  /** Sends the signal; resolves with the exit code (null after SIGKILL). */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  signal(signal: NodeJS.Signals): void
}

const BIN = fileURLToPath(new URL('../src/bin.js', import.meta.url))

export async function startCluster(
  options: {
    members?: 1 | 2 | 3
    /** Path of the mongods to start. */
    mongod?: string
    agents?: number
    pluginDir?: string
    storage?: string
    args?: readonly string[]
    mongodArgs?: readonly string[]
    /** Members behind addresses that can be cut off from everybody. */
    cuttable?: boolean
    /** See `startReplicaSet`. */
    memberConfig?: ReplicaSetOptions['memberConfig']
    /** The agents' user has what physical backups and restores need. */
    physical?: boolean
    /** Gives every agent a network of its own, which can be cut. */
    networks?: boolean
  } = {},
): Promise<Cluster> {
  const set = await startReplicaSet({
    members: options.members ?? 3,
    mongod: options.mongod,
    auth: true,
    mongodArgs: options.mongodArgs ?? [],
    cuttable: options.cuttable ?? false,
    ...(options.memberConfig !== undefined && { memberConfig: options.memberConfig }),
  })
  const admin = await set.client()
  await admin
    .db('admin')
    .command({ grantRolesToUser: ADMIN.user, roles: ['__system'], writeConcern: { w: 'majority' } })
  const role = { physical: options.physical === true, version: await serverVersion(admin) }
  const user = await set.createUser(databaseRole('agent', role))
  const { client: leader } = await connectLeader(set.uri({ user }), { appName: 'agent-e2e' })
  const storage = options.storage ?? join(await temporaryFolder('pbmkit-agent-e2e-'), 'backups')
  await mkdir(storage, { recursive: true })
  const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir: options.pluginDir })
  const agents: AgentProcess[] = []
  const networks: CuttableNetwork[] = []

  const cluster: Cluster = {
    set,
    leader,
    admin,
    storage,
    agents,
    startAgent: async (member, given = {}) => {
      const network = given.network ?? (options.networks === true ? await startNetwork() : undefined)
      if (network !== undefined) networks.push(network)
      const agent = spawnAgent(member, member.uri({ user: given.user ?? user }), {
        ...given,
        ...(network !== undefined && { network }),
        args: given.args ?? options.args ?? [],
        env: { ...(options.pluginDir !== undefined && { PBM_PLUGIN_DIR: options.pluginDir }), ...given.env },
      })
      agents.push(agent)
      if (given.notReady !== true) {
        await until(`the agent of ${member.host}`, async () => {
          if (!agent.running) throw new Error(`the agent ended:\n${agent.output()}`)
          return (await listAgents(leader)).some(({ n }) => n === member.host) && /started beside/.test(agent.output())
        })
      }
      return agent
    },
    configure: async (yaml) => {
      const { config } = await writeConfig(leader, await parseConfig(yaml, host), host)
      // Agents look at the storage with their next status.
      await cluster.agentsWell()
      return config
    },
    agentsWell: () =>
      until('every agent to report that it is well', async () => {
        const [reports, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
        const running = new Set(agents.filter((agent) => agent.running).map(({ member }) => member.host))
        const well = reports.filter((agent) => isAgentOk(agent) && !isStale(agent.hb, now))
        return well.filter(({ n }) => running.has(n)).length === running.size
      }),
    backup: (given = {}) => sendBackup(leader, given),
    restore: (backup, time) => sendRestore(leader, backup, time === undefined ? {} : { oplogTS: time }),
    killAgents: async () => {
      await Promise.all(agents.filter(({ running }) => running).map((agent) => agent.stop('SIGKILL')))
    },
    stop: async () => {
      await cluster.killAgents()
      await leader.close()
      await Promise.all(networks.map((network) => network.stop()))
      await set.stop()
      await rm(storage, { recursive: true, force: true })
    },
  }
  const members = set.members.slice(0, options.agents ?? set.members.length)
  await Promise.all(members.map((member) => cluster.startAgent(member)))
  return cluster
}

export async function sendBackup(leader: MongoClient, given: Partial<BackupCommand> = {}): Promise<string> {
  const name = given.name ?? (await freeName(leader))
  await sendCommand(leader, {
    cmd: 'backup',
    backup: { type: 'logical', base: false, name, compression: 's2', ...given },
  })
  return name
}

export async function sendRestore(
  leader: MongoClient,
  backup: string,
  given: Partial<RestoreCommand> = {},
): Promise<string> {
  const name = `${new Date().toISOString().replace('Z', '')}000000Z`
  await sendCommand(leader, {
    cmd: 'restore',
    restore: {
      name,
      backupName: backup,
      fallbackEnabled: null,
      allowPartlyDone: null,
      external: false,
      extConf: null,
      extTS: new Timestamp({ t: 0, i: 0 }),
      exit: false,
      ...given,
    },
  })
  return name
}

export function filesystemConfig(path: string, more = ''): string {
  return `storage:\n  type: filesystem\n  filesystem:\n    path: ${path}\n${more}`
}

export function spawnAgent(
  member: MongodProcess,
  uri: string,
  { env, args = [], network, uriOptions, cwd }: AgentProcessOptions,
): AgentProcess {
  const own = [uri, uriOptions, network?.uriOptions].filter((part) => part !== undefined).join('&')
  const child: ChildProcess = spawnSupervised(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH, PBM_MONGODB_URI: own, PBM_ALLOW_FILES: tmpdir(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const running = () => child.exitCode === null && child.signalCode === null
  return {
    member,
    network,
    pid: child.pid ?? -1,
    get running() {
      return running()
    },
    output: () => output,
    signal: (signal) => {
      child.kill(signal)
    },
    stop: async (signal = 'SIGTERM') => {
      if (!running()) return child.exitCode
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
      return child.exitCode
    },
  }
}

/** Names are seconds; two backups may begin within one. */
async function freeName(leader: MongoClient): Promise<string> {
  for (let time = Math.floor(Date.now() / 1000); ; time++) {
    const name = new Date(time * 1000).toISOString().replace('.000', '')
    if ((await findBackup(leader, name)) === undefined) return name
  }
}

/** Waits until `holds` is true; a rejection ends the wait. */
export async function until(what: string, holds: () => Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await sleep(50)
  }
}

export async function backupEnded(cluster: WithAgents, name: string, seconds = 90): Promise<BackupDocument> {
  let found: BackupDocument | undefined
  await until(
    `the end of backup ${name}`,
    async () => {
      found = await findBackup(cluster.leader, name)
      return found !== undefined && ['done', 'error', 'canceled'].includes(found.status)
    },
    seconds,
  ).catch((error: unknown) => {
    throw new Error(`${error}; it is ${found?.status}\n${outputs(cluster)}`)
  })
  if (found === undefined) throw new Error('unreachable')
  return found
}

export async function restoreEnded(cluster: WithAgents, name: string, seconds = 90): Promise<RestoreDocument> {
  let found: RestoreDocument | undefined
  await until(
    `the end of restore ${name}`,
    async () => {
      found = await findRestore(cluster.leader, name)
      return found !== undefined && ['done', 'error'].includes(found.status)
    },
    seconds,
  ).catch((error: unknown) => {
    throw new Error(`${error}; it is ${found?.status}\n${outputs(cluster)}`)
  })
  if (found === undefined) throw new Error('unreachable')
  return found
}

/**
 * Lets the cluster's time pass: what counts as dead by it is dead at once. Only the servers themselves may set it, and the
 * testbed's admin is made one of them.
 */
export async function passSeconds({ admin, leader }: WithAgents, seconds: number): Promise<void> {
  const now = await clusterTime(leader)
  await admin.withSession(async (session) => {
    session.advanceClusterTime({
      clusterTime: new Timestamp({ t: now.t + seconds, i: 1 }),
      signature: { hash: new Binary(Buffer.alloc(20)), keyId: Long.ZERO },
    })
    await admin.db('admin').command({ ping: 1 }, { session })
  })
}

/** A little of each: enough to see that a restore is exact, and a backup of it takes a moment only. */
export async function loadSmallData(admin: MongoClient): Promise<void> {
  const db = admin.db('work')
  const documents = (count: number) =>
    Array.from({ length: count }, (_, _id) => ({ _id, text: `text ${_id}`, n: _id % 7 }))
  await db.collection<{ _id: number }>('types').insertMany(documents(300))
  await db.collection<{ _id: number }>('orders').insertMany(documents(50))
  await db.collection('orders').createIndex({ n: 1 }, { name: 'by n', hidden: true, commitQuorum: 'majority' })
  await db.createCollection('events', { capped: true, size: 65_536 })
  await db.createCollection('few', { viewOn: 'types', pipeline: [{ $match: { n: 3 } }] })
  await db.command({ createUser: 'clerk', pwd: 'clerk', roles: ['read'] })
}

/** No operation holds a lock. */
export async function unlocked(cluster: WithAgents): Promise<void> {
  await until('locks to be released', async () => (await listLocks(cluster.leader)).length === 0)
}

/** Every file below the storage, relative, sorted; temporary ones too. */
export async function objectsOn(storage: string): Promise<string[]> {
  if (!existsSync(storage)) return []
  const entries = await readdir(storage, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw error
  })
  // A folder was removed meanwhile.
  if (entries === undefined) return objectsOn(storage)
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(storage.length + 1))
    .sort()
}

/** What the agents printed, for the messages of failed tests. */
export function outputs(cluster: WithAgents): string {
  return cluster.agents.map(({ member, output }) => `--- agent of ${member.host}\n${output()}`).join('\n')
}
