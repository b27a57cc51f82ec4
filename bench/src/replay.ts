import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { awaitMajority, readDocuments } from '@pbmkit/core'
import type { AnyBulkWriteOperation, MongoClient, Timestamp } from 'mongodb'
import { type Cost, runMeasured } from './measure.js'
import { lastStored, lastWrite, makeBase } from './slicing.js'
import { pbmkit, type RunningSystem, type SystemPrograms, startSystem, until } from './system.js'

export interface ReplayRow {
  readonly name: string
  readonly operations: number
  readonly cost: Cost
}

export interface ReplayPeers {
  readonly pbm: SystemPrograms | undefined
  readonly mongorestore: string | undefined
}

const DATABASE = 'replayed'
const COLLECTIONS = ['accounts', 'events', 'orders']
const ROUND = 1_000

type Uri = { readonly node: string; readonly cluster: string }

/**
 * The same stored oplog (half inserts, four tenths updates, a tenth deletes) replayed by each, onto the backup before it.
 * Fails where the outcome is not what the oplog led to.
 */
export async function measureReplay(
  client: MongoClient,
  uri: Uri,
  folder: string,
  operations: number,
  peers: ReplayPeers,
): Promise<ReplayRow[]> {
  const storage = join(folder, 'replay-storage')
  const work = await prepare(client, uri, join(folder, 'replay'), storage, operations)
  const rows: ReplayRow[] = []
  const add = (row: ReplayRow) => {
    rows.push(row)
    // A peer may take long; what is known is known.
    console.error(`… ${row.name}: ${row.cost.wall.toFixed(1)} s`)
  }
  const systems = [pbmkit(), ...(peers.pbm === undefined ? [] : [peers.pbm])]
  for (const programs of systems) {
    const cost = await withSystem(programs, async (system) => {
      await system.restore(work.base)
      return await system.replay(work.start, work.end)
    })
    await check(programs.name)
    add({ name: programs.name, operations, cost })
  }
  const { mongorestore } = peers
  if (mongorestore !== undefined) {
    await withSystem(pbmkit(), (system) => system.restore(work.base))
    const args = [`--uri=${uri.cluster}`, '--oplogReplay', `--dir=${work.dump}`]
    const cost = await runMeasured(mongorestore, args)
    await check('mongorestore')
    add({ name: 'mongorestore', operations, cost })
  }
  await client.db(DATABASE).dropDatabase()
  await rm(storage, { recursive: true, force: true })
  return rows

  async function withSystem<T>(programs: SystemPrograms, use: (system: RunningSystem) => Promise<T>): Promise<T> {
    console.error(`… replay with ${programs.name}`)
    const system = await startSystem(programs, client, uri, join(folder, programs.name), { storage })
    try {
      await until('the backup is known', async () => {
        const found = await client.db('admin').collection('pbmBackups').findOne({ name: work.base })
        return found !== null && (await lastStored(client))?.greaterThanOrEqual(work.end) === true
      })
      return await use(system)
    } finally {
      await system.stop()
    }
  }

  async function check(name: string): Promise<void> {
    const found = await hashOf(client)
    if (found !== work.hash) throw new Error(`${name} replayed to ${found} instead of ${work.hash}`)
  }
}

interface Work {
  readonly base: string
  /** Of the writes; the chunks may hold more. */
  readonly start: Timestamp
  readonly end: Timestamp
  /** What there is afterwards. */
  readonly hash: string
  /** A folder with the same oplog as mongorestore takes it. */
  readonly dump: string
}

/** Makes a backup, does the work and stores its oplog. */
async function prepare(
  client: MongoClient,
  uri: Uri,
  folder: string,
  storage: string,
  operations: number,
): Promise<Work> {
  console.error('… an oplog to replay')
  await mkdir(storage, { recursive: true })
  for (const name of COLLECTIONS) await client.db(DATABASE).createCollection(name)
  const config = `pitr:\n  enabled: true\n  oplogSpanMin: ${5 / 60}\n  compression: s2\n`
  const system = await startSystem(pbmkit(), client, uri, folder, { config, storage })
  try {
    const base = await makeBase(system)
    await awaitMajority(client)
    const start = await lastWrite(client)
    await write(client, operations)
    await awaitMajority(client)
    const end = await lastWrite(client)
    await until('all is stored', async () => (await lastStored(client))?.greaterThanOrEqual(end) === true)
    await system.setConfig('pitr.enabled', 'false')
    const noSlicer = async () => (await client.db('admin').collection('pbmLockOp').findOne({})) === null
    await until('nobody stores the oplog', noSlicer)
    const dump = join(storage, '..', 'replay-dump')
    await mkdir(dump, { recursive: true })
    const filter = { ts: { $gt: start, $lte: end }, ns: { $regex: `^${DATABASE}\\.` } }
    const entries = readDocuments(client, 'local', 'oplog.rs', { filter, hint: { $natural: 1 } })
    await pipeline(entries, createWriteStream(join(dump, 'oplog.bson')))
    return { base, start, end, hash: await hashOf(client), dump }
  } finally {
    await system.stop()
  }
}

interface Written {
  readonly _id: number
  readonly n: number
  readonly text: string
  readonly tags: string[]
  readonly at?: number
}

async function write(client: MongoClient, operations: number): Promise<void> {
  let inserted = 0
  const next = COLLECTIONS.map(() => 0)
  for (let done = 0, round = 0; done < operations; done += ROUND, round++) {
    const place = round % COLLECTIONS.length
    const collection = client.db(DATABASE).collection<Written>(COLLECTIONS[place] ?? '')
    const first = next[place] ?? 0
    const changes: AnyBulkWriteOperation<Written>[] = []
    for (let index = 0; index < ROUND; index++) {
      const kind = index % 10
      const some = Math.floor(((index * 7919) % ROUND) / 2) + Math.max(0, first - ROUND / 2)
      if (kind < 5) {
        const _id = (next[place] ?? 0) + 1
        next[place] = _id
        changes.push({
          insertOne: { document: { _id, n: inserted++, text: `a document of ${round}`.repeat(4), tags: ['a', 'b'] } },
        })
      } else if (kind < 9)
        changes.push({ updateOne: { filter: { _id: some }, update: { $inc: { n: 1 }, $set: { at: round } } } })
      else changes.push({ deleteOne: { filter: { _id: some } } })
    }
    await collection.bulkWrite(changes, { ordered: false, writeConcern: { w: 1 } })
  }
}

async function hashOf(client: MongoClient): Promise<string> {
  const { collections } = await client.db(DATABASE).command({ dbHash: 1 })
  return COLLECTIONS.map((name) => collections[name]).join(' ')
}

export function replayMarkdown(rows: readonly ReplayRow[]): string {
  const head = ['replaying the oplog', 'operations/s', 'wall s', 'CPU s', 'peak RSS MB']
  const lines = rows.map(({ name, operations, cost }) => [
    name,
    (operations / cost.wall).toFixed(0),
    cost.wall.toFixed(1),
    cost.cpu.toFixed(1),
    cost.rss.toFixed(0),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `${rows[0]?.operations ?? 0} operations: half inserts, four tenths updates, a tenth deletes.\n\n${table}\n`
}
