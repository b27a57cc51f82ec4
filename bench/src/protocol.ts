import 'reflect-metadata'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Settings } from '@pbmkit/agent'
import { type ShardedCluster, startShardedCluster } from '@pbmkit/conformance/testbed'
import {
  type AgentPlugins,
  type BackupDocument,
  connectLeader,
  connectNode,
  findBackup,
  insertBackup,
  listAgents,
  listBackups,
  listChunks,
  nodeInfo,
  optime,
  PluginHost,
  parseConfig,
  planPointInTime,
  sendCommand,
  setConfigKeys,
  timelines,
  UNSET_TIMESTAMP,
  writeConfig,
} from '@pbmkit/core'
import { type MongoClient, Timestamp } from 'mongodb'
import { pino } from 'pino'
import { until } from './system.js'

export interface ProtocolRow {
  readonly agents: number
  /** Commands a second that the primary of the config servers was sent, less those that come without any agent. */
  readonly idle: number
  readonly slicing: number
  /** Commands in all that one small backup took, and its seconds. */
  readonly backup: number
  readonly seconds: number
}

const SECONDS = 10
const COUNTS = [3, 30, 300]
/** Agents that start at the same moment, and share one pool of connections: each keeps one for the command feed. */
const TOGETHER = 20

/**
 * What the agents ask of the config servers. All of them run in this process, beside the one mongod of a real shard, each
 * under a name of its own; so the work of a shard is done once, and the questions are asked by as many as there are.
 */
export async function measureProtocol(folder: string, say: (text: string) => void): Promise<ProtocolRow[]> {
  const cluster = await startShardedCluster({ shards: 1 })
  try {
    const alone = await commandsPerSecond(await cluster.config.client())
    say(`  no agent: ${alone.toFixed(1)} commands/s`)
    const rows: ProtocolRow[] = []
    for (const count of COUNTS) {
      const row = await withAgents(cluster, folder, count, alone)
      rows.push(row)
      say(`  ${HEAD.map((title, index) => `${title} ${cells(row)[index]}`).join(', ')}`)
    }
    return rows
  } finally {
    await cluster.stop()
  }
}

type LeaderConnection = Awaited<ReturnType<typeof connectLeader>>

interface Simulated {
  readonly agent: Agent
  readonly ended: Promise<void>
}

async function withAgents(cluster: ShardedCluster, folder: string, count: number, alone: number): Promise<ProtocolRow> {
  const nodes = await Promise.all(
    [cluster.config.members[0], cluster.shards[0]?.set.members[0]].map((member) =>
      connectNode(member?.uri() ?? '', { appName: 'bench' }),
    ),
  )
  const connections = async () => {
    const connected = await connectLeader(cluster.config.uri(), { appName: 'bench' })
    clients.push(connected.client)
    return connected
  }
  const clients: MongoClient[] = [...nodes]
  const { client: leader } = await connections()
  const stop = new AbortController()
  const agents: Simulated[] = []
  const host = new PluginHost({ resolveFrom: import.meta.resolve('@pbmkit/agent') })
  const plugins = once(() => loadablePlugins(host))
  const start = async (node: MongoClient, { client, replset }: LeaderConnection, simulated: number) => {
    const real = await nodeInfo(node)
    const info = simulated === 0 ? real : { ...real, me: `simulated${simulated}:27017` }
    const agent = await Agent.start({
      settings: SETTINGS,
      connections: { node, leader: client, info, leaderReplset: replset, close: async () => undefined },
      logger: pino({ level: 'silent' }),
      plugins,
    })
    agents.push({ agent, ended: agent.runUntil(stop.signal).then(() => undefined) })
  }
  try {
    const config = `storage:\n  type: filesystem\n  filesystem:\n    path: ${folder}\n`
    await writeConfig(leader, await parseConfig(config, host), host)
    const [configNode, shardNode] = nodes
    if (configNode === undefined || shardNode === undefined) throw new Error('a cluster without members')
    const first = await connections()
    await Promise.all([start(configNode, first, 0), start(shardNode, first, 0)])
    for (let begun = 2; begun < count; begun += TOGETHER) {
      const shared = await connections()
      const some = Array.from({ length: Math.min(TOGETHER, count - begun) }, (_, n) => begun + n)
      await Promise.all(some.map((number) => start(shardNode, shared, number)))
      await until(`${agents.length} agents`, async () => (await listAgents(leader)).length >= agents.length)
    }
    const { spent, seconds } = await smallBackup(leader)
    const idle = (await commandsPerSecond(leader)) - alone
    await setConfigKeys(leader, [{ key: 'pitr.enabled', value: 'true' }], host)
    await until('the oplog is stored', async () => {
      const locks = await leader.db('admin').collection('pbmLockOp').countDocuments({ type: 'pitr' })
      return locks === nodes.length
    })
    const slicing = (await commandsPerSecond(leader)) - alone
    return { agents: count, idle, slicing, backup: spent, seconds }
  } finally {
    stop.abort()
    await Promise.all(agents.map(({ ended }) => ended.catch(() => undefined)))
    await Promise.all(agents.map(({ agent }) => agent.stop('the measurement is over').catch(() => undefined)))
    await Promise.all(clients.map((client) => client.close()))
  }
}

async function smallBackup(leader: MongoClient): Promise<{ spent: number; seconds: number }> {
  const name = new Date().toISOString().replace(/\.\d+/, '')
  const before = await commands(leader)
  const begun = performance.now()
  const backup = { type: 'logical' as const, base: false, name, compression: 's2' }
  await sendCommand(leader, { cmd: 'backup', backup })
  await until('the backup', async () => {
    const found = await findBackup(leader, name)
    if (found?.status === 'error') throw new Error(found.error)
    return found?.status === 'done'
  })
  return { spent: (await commands(leader)) - before, seconds: (performance.now() - begun) / 1000 }
}

/** What an agent tells of its plugins: the same for all that run from one installation. */
async function loadablePlugins(host: PluginHost): Promise<AgentPlugins> {
  const all = await host.loadable()
  const named = (kind: string) => all.filter((plugin) => plugin.kind === kind).map(({ name }) => name)
  return { storage: named('storage'), compression: named('compression'), encryption: named('encryption') }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

const SETTINGS: Settings = {
  mongodbUri: '',
  dumpParallelCollections: undefined,
  logPath: '/dev/null',
  logLevel: 'F',
  logJson: false,
  pluginDir: undefined,
  localAccess: { folders: [], commands: [] },
  allowNotify: [],
  waitForMongod: 0,
  stopGrace: 0,
  mongodStart: undefined,
  stateFolder: '',
  scratch: { folder: '', cacheGb: '0.25', keepFree: 0 },
  checkUser: 60,
  metrics: undefined,
  file: undefined,
}

async function commandsPerSecond(leader: MongoClient): Promise<number> {
  const [before, begun] = [await commands(leader), performance.now()]
  await sleep(SECONDS * 1000)
  return ((await commands(leader)) - before) / ((performance.now() - begun) / 1000)
}

async function commands(leader: MongoClient): Promise<number> {
  const { opcounters } = await leader.db('admin').command({ serverStatus: 1 })
  const { query, getmore, command, insert, update } = opcounters as Record<string, number>
  return [query, getmore, command, insert, update].reduce<number>((sum, value) => sum + Number(value ?? 0), 0)
}

const SHARDS = 10
const CHUNKS_EACH = 2_000

/** Milliseconds to read and to plan a restore from what ten shards have stored in two weeks, a chunk each 10 min. */
export async function measurePlanning(client: MongoClient): Promise<{ read: number; plan: number; chunks: number }> {
  const names = ['cfg', ...Array.from({ length: SHARDS }, (_, n) => `s${n + 1}`)]
  const at = (seconds: number) => new Timestamp({ t: 1_900_000_000 + seconds, i: 1 })
  const documents = names.flatMap((rs) =>
    Array.from({ length: CHUNKS_EACH }, (_, n) => ({
      ...{ rs, fname: `pbmPitr/${rs}/${n}.oplog.s2`, compression: 's2', size: 1 },
      ...{ start_ts: at(n * 600), end_ts: at((n + 1) * 600) },
    })),
  )
  await client.db('admin').collection('pbmPITRChunks').insertMany(documents)
  const replsets = names.map((name) => ({ name, status: 'done', last_write_ts: at(60), first_write_ts: at(1) }))
  await insertBackup(client, {
    ...{
      type: 'logical',
      opid: '0'.repeat(24),
      name: '2030-03-17T17:46:40Z',
      compression: 's2',
      store: { type: 'none' },
    },
    ...{ size: 0, size_uncompressed: 0, mongodb_version: '6.0.5', fcv: '6.0', start_ts: 1, last_transition_ts: 1 },
    ...{ first_write_ts: at(1), last_write_ts: at(60), hb: UNSET_TIMESTAMP, status: 'done', conditions: [], n: [] },
    ...{ pbm_version: '2.15.0', balancer: 'off', replsets },
  } as unknown as BackupDocument)
  const begun = performance.now()
  const [bases, chunks] = await Promise.all([listBackups(client), listChunks(client)])
  const read = performance.now() - begun
  timelines(chunks, bases)
  planPointInTime({ chunks, bases, target: optime(at(CHUNKS_EACH * 500)) })
  const plan = performance.now() - begun - read
  await Promise.all([
    client.db('admin').collection('pbmPITRChunks').deleteMany({}),
    client.db('admin').collection('pbmBackups').deleteMany({}),
  ])
  return { read, plan, chunks: documents.length }
}

export function protocolMarkdown(
  rows: readonly ProtocolRow[],
  planning: { read: number; plan: number; chunks: number },
): string {
  const lines = [HEAD, HEAD.map(() => '---'), ...rows.map(cells)]
  const table = lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
  const { read, plan, chunks } = planning
  const text = `A backup of ${SHARDS} shards and ${chunks} chunks: read in ${read.toFixed(0)} ms, planned in ${plan.toFixed(0)} ms.`
  return `What the primary of the config servers is asked.\n\n${table}\n\n${text}\n`
}

const HEAD = ['agents', 'idle, commands/s', 'slicing, commands/s', 'a small backup, commands', 'seconds']

function cells({ agents, idle, slicing, backup, seconds }: ProtocolRow): string[] {
  return [String(agents), idle.toFixed(1), slicing.toFixed(1), String(backup), seconds.toFixed(1)]
}
