import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MongoClient, Timestamp } from 'mongodb'
import { type Cost, measure } from './measure.js'
import { writeSmall } from './small-writes.js'
import { folderBytes, type RunningSystem, type SystemPrograms, startSystem, until } from './system.js'

export interface SlicingRow {
  readonly name: string
  /** Documents written each second, as it came out. */
  readonly rate: number
  readonly cost: Cost
  readonly stored: number
  /** Seconds that the last stored entry was behind at the most, and the time from the last write until all was stored. */
  readonly worstLag: number
  readonly catchUp: number
}

const RATE = 20_000
const SECONDS = 30
/** Between two chunks. */
const SPAN_SECONDS = 5

/**
 * How storing the oplog keeps up with many small writes: CPU of the agent, and how far behind the storage is. The span is
 * part of the lag: with 5 s between two chunks, nobody is less than 5 s behind at the worst moment.
 */
export async function measureSlicing(
  programs: SystemPrograms,
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
): Promise<SlicingRow> {
  const config = `pitr:\n  enabled: true\n  oplogSpanMin: ${SPAN_SECONDS / 60}\n  compression: s2\n`
  const system = await startSystem(programs, client, uri, join(folder, programs.name), { config })
  try {
    await makeBase(system)
    await until(`${programs.name} stores the oplog`, async () => (await lastStored(client)) !== undefined)
    return await load(system, client)
  } finally {
    await system.stop()
  }
}

/** The first look at the storage may begin only after the agent is ready, and refuses the backup. */
export async function makeBase(system: RunningSystem): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await system.backup('s2')).name
    } catch (error) {
      if (attempt === 10 || !/another operation/.test(String(error))) throw error
      await sleep(1000)
    }
  }
}

async function load(system: RunningSystem, client: MongoClient): Promise<SlicingRow> {
  const target = { database: 'load', collection: 'small' }
  let [rate, worstLag, writing] = [0, 0, true]
  const write = async () => {
    const { written, seconds } = await writeSmall(client, target, { rate: RATE, seconds: SECONDS })
    rate = written / seconds
    writing = false
  }
  const watch = async () => {
    while (writing) {
      const [stored, now] = await Promise.all([lastStored(client), lastWrite(client)])
      if (stored !== undefined) worstLag = Math.max(worstLag, now.t - stored.t)
      await sleep(250)
    }
  }
  let catchUp = 0
  const cost = await measure([system.pid], async () => {
    await Promise.all([write(), watch()])
    const [end, from] = [await lastWrite(client), performance.now()]
    await until('all is stored', async () => (await lastStored(client))?.greaterThanOrEqual(end) === true)
    catchUp = (performance.now() - from) / 1000
  })
  await client.db(target.database).collection(target.collection).drop()
  const stored = await folderBytes(join(system.storage, 'pbmPitr'))
  return { name: system.name, rate, cost, stored, worstLag, catchUp }
}

export async function lastStored(client: MongoClient): Promise<Timestamp | undefined> {
  const chunk = await client
    .db('admin')
    .collection('pbmPITRChunks')
    .findOne({}, { sort: { end_ts: -1 } })
  return chunk?.end_ts as Timestamp | undefined
}

export async function lastWrite(client: MongoClient): Promise<Timestamp> {
  const { lastWrite } = await client.db('admin').command({ hello: 1 })
  return (lastWrite?.majorityOpTime?.ts as Timestamp | undefined) ?? new Timestamp(0n)
}

export function slicingMarkdown(rows: readonly SlicingRow[]): string {
  const head = [
    'storing the oplog',
    'writes/s',
    'CPU s',
    'CPU of one core',
    'peak RSS MB',
    'stored MB',
    'worst lag s',
    'all stored after s',
  ]
  const lines = rows.map(({ name, rate, cost, stored, worstLag, catchUp }) => [
    name,
    rate.toFixed(0),
    cost.cpu.toFixed(1),
    `${((cost.cpu / cost.wall) * 100).toFixed(0)} %`,
    cost.rss.toFixed(0),
    (stored / 1e6).toFixed(1),
    worstLag.toFixed(0),
    catchUp.toFixed(1),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `${SECONDS} s of small inserts, a chunk each ${SPAN_SECONDS} s, s2.\n\n${table}\n`
}
