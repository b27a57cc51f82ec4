import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, serviceManager, startCommand, startReplicaSet } from '@pbmkit/conformance/testbed'
import { MongoClient } from 'mongodb'
import { DATABASE, loadShapes, shapes } from './data.js'
import { type Cost, faster, runMeasured } from './measure.js'
import { pbmkit, type RunningSystem, startSystem } from './system.js'

export interface PhysicalRow {
  readonly work: string
  readonly cost: Cost
  /** Bytes. */
  readonly stored?: number
  /** Milliseconds, by the agent. */
  readonly locked?: number
  /** Where it is the quickest that any copying can be. */
  readonly isFloor?: true
}

export interface PhysicalBench {
  readonly folder: string
  readonly megabytes: number
  readonly codec: string
  readonly rounds: number
  readonly mongodump: string | undefined
  readonly mongorestore: string | undefined
  readonly say: (text: string) => void
}

const MARKS = 'marks'
const POLL_MS = 50

/**
 * Physical backups and restores of one member beside logical ones of the same data. A physical restore ends when a
 * majority write is acknowledged, a logical one with its command. Fails where the restored data are not those of the backup.
 */
export async function measurePhysical(bench: PhysicalBench): Promise<PhysicalRow[]> {
  const { folder, megabytes, rounds, say } = bench
  const services = join(folder, 'services')
  await mkdir(services, { recursive: true })
  const set = await startReplicaSet({ members: 1 })
  const stopManager = serviceManager(() => set.members, services)
  const best = new Map<string, PhysicalRow>()
  const add = (row: PhysicalRow) => {
    const { work, cost, locked } = row
    say(`  ${work}: ${cost.wall.toFixed(1)} s${locked === undefined ? '' : `, locked for ${locked} ms`}`)
    const known = best.get(work)
    const least = locked === undefined || known?.locked === undefined ? locked : Math.min(locked, known.locked)
    best.set(work, { ...row, cost: faster(known?.cost, cost), ...(least !== undefined && { locked: least }) })
  }
  try {
    await loadShapes(await set.client(), shapes(megabytes))
    for (let round = 1; round <= rounds; round++) {
      say(`physical and logical, round ${round}`)
      await measureRound(bench, set, services, add)
    }
    return [...best.values()]
  } finally {
    await stopManager()
    await set.stop()
  }
}

async function measureRound(
  { folder, codec, mongodump, mongorestore }: PhysicalBench,
  set: ReplicaSet,
  services: string,
  add: (row: PhysicalRow) => void,
): Promise<void> {
  const client = await set.client()
  const [member] = set.members
  if (member === undefined) throw new TypeError('there is no member')
  const { parsed } = await client.db('admin').command({ getCmdLineOpts: 1 })
  const copy = join(folder, 'copy')
  add({ work: 'cp of the dbPath', isFloor: true, cost: await copied(client, parsed.storage.dbPath, copy) })
  await rm(copy, { recursive: true, force: true })
  const env = { PBM_STATE_FOLDER: join(folder, 'state'), PBM_MONGOD_START: startCommand(services, member.port) }
  const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
  const system = await startSystem(pbmkit(), client, uri, join(folder, 'physical'), { env })
  try {
    const hash = await hashOf(client)
    const logical = await system.backup(codec)
    add({ work: 'logical backup', cost: logical.cost, stored: logical.stored })
    const physical = await system.backup(codec, ['--type', 'physical'])
    const [{ cost, stored }, locked] = [physical, await lockedMs(client)]
    add({ work: 'physical backup', cost, stored, ...(locked !== undefined && { locked }) })
    if (mongodump !== undefined && mongorestore !== undefined) {
      const archive = `--archive=${join(folder, 'archive')}`
      const dumped = await runMeasured(mongodump, [`--uri=${uri.cluster}`, `--db=${DATABASE}`, archive])
      add({ work: 'mongodump', cost: dumped })
      add({ work: 'mongorestore', cost: await runMeasured(mongorestore, [`--uri=${uri.cluster}`, '--drop', archive]) })
      await rm(join(folder, 'archive'))
    }
    const check = async (work: string) => {
      if ((await withClient(uri.cluster, hashOf)) !== hash)
        throw new Error(`the ${work} did not give back what was there`)
    }
    add({ work: 'logical restore', cost: await system.restore(logical.name) })
    await check('logical restore')
    add({ work: 'physical restore', cost: await restoredFiles(system, physical.name, uri.cluster) })
    await check('physical restore')
  } finally {
    await system.stop()
    await set.forgetClient()
  }
}

/** As fast as it goes: blocks are shared where the file system can. Locked, for a server removes files at any time. */
async function copied(client: MongoClient, from: string, to: string): Promise<Cost> {
  const admin = client.db('admin')
  await mkdir(to, { recursive: true })
  await admin.command({ fsync: 1, lock: true })
  try {
    return await runMeasured('cp', ['-r', '--reflink=auto', from, to])
  } finally {
    await admin.command({ fsyncUnlock: 1 })
  }
}

/** Until the restored data take a write of the majority; the command itself ends a little later. */
async function restoredFiles(system: RunningSystem, backup: string, uri: string): Promise<Cost> {
  await withClient(uri, (client) => client.db(MARKS).collection('before').insertOne({ the: 'restore' }))
  const isServing = (client: MongoClient) =>
    client
      .db(MARKS)
      .listCollections()
      .hasNext()
      .then(async (isOld) => {
        if (isOld) return false
        await client
          .db('served')
          .collection('probe')
          .insertOne({}, { writeConcern: { w: 'majority' } })
        return true
      })
  let servedAt: number | undefined
  const watching = new AbortController()
  const watched = (async () => {
    while (!watching.signal.aborted) {
      const isOver = await withClient(uri, isServing).catch(() => false)
      if (isOver) servedAt = performance.now()
      if (isOver) return
      await sleep(POLL_MS)
    }
  })()
  try {
    const cost = await system.restore(backup)
    const ended = performance.now()
    return servedAt === undefined ? cost : { ...cost, wall: cost.wall - (ended - servedAt) / 1000 }
  } finally {
    watching.abort()
    await watched
  }
}

async function lockedMs(client: MongoClient): Promise<number | undefined> {
  const [newest] = await client
    .db('admin')
    .collection('pbmLog')
    .find({ msg: /; locked for \d+ ms/ })
    .sort({ _id: -1 })
    .limit(1)
    .toArray()
  const text = /; locked for (\d+) ms/.exec(String(newest?.msg))?.[1]
  return text === undefined ? undefined : Number(text)
}

async function withClient<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 1_000 })
  return await work(client).finally(() => client.close())
}

async function hashOf(client: MongoClient): Promise<string> {
  const { md5 } = await client.db(DATABASE).command({ dbHash: 1 })
  return String(md5)
}

/** What each is compared with; the first that was measured. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  'physical backup': ['logical backup', 'mongodump', 'cp of the dbPath'],
  'physical restore': ['logical restore', 'mongorestore', 'cp of the dbPath'],
}

export function physicalMarkdown(rows: readonly PhysicalRow[], { megabytes, codec }: PhysicalBench): string {
  const head = ['work', 'wall s', 'CPU s', 'peak RSS MB', 'stored MB', 'locked ms', 'wall ratio']
  const wallOf = (work: string) => rows.find((row) => row.work === work)?.cost.wall
  const lines = rows.map(({ work, cost, stored, locked, isFloor }) => {
    const ratios = (BESIDE[work] ?? []).flatMap((other) => {
      const wall = wallOf(other)
      return wall === undefined ? [] : [`${(cost.wall / wall).toFixed(2)} of ${other}`]
    })
    return [
      ...[work, cost.wall.toFixed(1), cost.cpu.toFixed(1), isFloor ? '' : cost.rss.toFixed(0)],
      ...[stored === undefined ? '' : (stored / 1e6).toFixed(0), String(locked ?? ''), ratios.join(', ')],
    ]
  })
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `Files and documents, ${megabytes} MB of data (${codec}).\n\n${table}\n`
}
