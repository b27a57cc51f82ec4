import 'reflect-metadata'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Settings } from '@pbmkit/agent'
import { type ShardedCluster, startShardedCluster } from '@pbmkit/conformance/testbed'
import {
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
  /** Commands a second that the primary of the config servers was sent. */
  readonly idle: number
  readonly slicing: number
  /** Commands in all that one small backup took, and its seconds. */
  readonly backup: number
  readonly seconds: number
}

const SECONDS = 10
const COUNTS = [3, 30, 300]

/**
 * What the agents ask of the config servers. All of them run in this process, beside the one mongod of a real shard, each
 * under a name of its own; so the work of a shard is done once, and the questions are asked by as many as there are.
 */
export async function measureProtocol(folder: string): Promise<ProtocolRow[]> {
  const cluster = await startShardedCluster({ shards: 1 })
  try {
    const rows: ProtocolRow[] = []
    for (const count of COUNTS) rows.push(await withAgents(cluster, folder, count))
    return rows
  } finally {
    await cluster.stop()
  }
}

async function withAgents(cluster: ShardedCluster, folder: string, count: number): Promise<ProtocolRow> {
  const shard = cluster.shards[0]?.set
  if (shard === undefined) throw new Error('a cluster without a shard')
  const { client: leader, replset: leaderReplset } = await connectLeader(shard.uri(), { appName: 'bench' })
  const stop = new AbortController()
  const agents: { agent: Agent; ended: Promise<void> }[] = []
  try {
    const host = new PluginHost({ resolveFrom: import.meta.resolve('@pbmkit/agent') })
    const config = `storage:\n  type: filesystem\n  filesystem:\n    path: ${folder}\n`
    await writeConfig(leader, await parseConfig(config, host), host)
    const start = async (uri: string, name?: string) => {
      const node = await connectNode(uri, { appName: 'bench' })
      const real = await nodeInfo(node)
      const info = { ...real, me: name ?? real.me }
      const connections = { node, leader, info, leaderReplset, close: () => node.close() }
      const agent = await Agent.start({ settings: SETTINGS, connections, logger: pino({ level: 'silent' }) })
      agents.push({ agent, ended: agent.runUntil(stop.signal) })
    }
    const [config1] = cluster.config.members
    const [member] = shard.members
    await start(config1?.uri() ?? '')
    for (let n = 1; n < count; n++) await start(member?.uri() ?? '', n === 1 ? undefined : `simulated${n}:27017`)
    await until(`${count} agents`, async () => (await listAgents(leader)).length >= count)
    const idle = await commandsPerSecond(leader)
    const name = new Date().toISOString().replace(/\.\d+/, '')
    const before = await commands(leader)
    const begun = performance.now()
    const backup = { type: 'logical' as const, base: false, name, compression: 's2' }
    await sendCommand(leader, { cmd: 'backup', backup })
    await until('the backup', async () => {
      const found = await findBackup(leader, name)
      if (found?.status === 'error') throw new Error(found.error)
      await sleep(100)
      return found?.status === 'done'
    })
    const seconds = (performance.now() - begun) / 1000
    const spent = (await commands(leader)) - before
    await setConfigKeys(leader, [{ key: 'pitr.enabled', value: 'true' }], host)
    await sleep(5_000)
    const slicing = await commandsPerSecond(leader)
    return { agents: count, idle, slicing, backup: spent, seconds }
  } finally {
    stop.abort()
    await Promise.all(agents.map(({ ended }) => ended.catch(() => undefined)))
    await Promise.all(agents.map(({ agent }) => agent.stop('the measurement is over').catch(() => undefined)))
    await leader.close()
  }
}

const SETTINGS: Settings = {
  mongodbUri: '',
  dumpParallelCollections: undefined,
  logPath: '/dev/null',
  logLevel: 'F',
  logJson: false,
  pluginDir: undefined,
  waitForMongod: 0,
  stopGrace: 0,
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
  const head = ['agents', 'idle, commands/s', 'slicing, commands/s', 'a small backup, commands', 'seconds']
  const lines = rows.map(({ agents, idle, slicing, backup, seconds }) => [
    String(agents),
    idle.toFixed(0),
    slicing.toFixed(0),
    String(backup),
    seconds.toFixed(1),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const { read, plan, chunks } = planning
  const text = `A backup of ${SHARDS} shards and ${chunks} chunks: read in ${read.toFixed(0)} ms, planned in ${plan.toFixed(0)} ms.`
  return `What the primary of the config servers is asked.\n\n${table}\n\n${text}\n`
}
