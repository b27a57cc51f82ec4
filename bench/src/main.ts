#!/usr/bin/env node
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ReplicaSet, startReplicaSet, temporaryFolder } from '@pbmkit/conformance/testbed'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { measureCollections } from './collections.js'
import { DATABASE, load } from './data.js'
import { type Cost, faster, measureScript, runMeasured } from './measure.js'
import { loads, measureMemory, memoryMarkdown } from './memory.js'
import { measureParallel, parallelMarkdown } from './parallel.js'
import { findPeers, type PeerFlags, type Peers } from './peers.js'
import { measurePhysical, physicalMarkdown } from './physical.js'
import { measurePlanning, measureProtocol, protocolMarkdown } from './protocol.js'
import { measureReplay, replayMarkdown } from './replay.js'
import { measureSealing } from './sealing.js'
import { measureSelective, selectiveMarkdown } from './selective.js'
import { measureSlicing, type SlicingRow, slicingMarkdown } from './slicing.js'
import { measureStorages, storageMarkdown } from './storage.js'
import { STORAGES } from './storages.js'
import { pbmkit, type RunningSystem, type SystemPrograms, startSystem } from './system.js'
import { costText, markdown, type Row } from './table.js'

/** Their files fit in the 20,000 that a process may have open. */
const MOST_OPEN_COLLECTIONS = 4000
const PARTS = [
  'dump',
  'backup',
  'restore',
  'smallest',
  'slicer',
  'replay',
  'sealing',
  'protocol',
  'memory',
  'storage',
  'collections',
  'selective',
  'parallel',
  'physical',
] as const
/** Parts that load data of their own, or none. */
const WITHOUT_DATA: readonly string[] = [
  ...['smallest', 'slicer', 'replay', 'protocol', 'memory', 'storage', 'collections', 'selective', 'parallel'],
  'physical',
]
const CODECS = ['none', 's2', 'zstd', 'lz4', 'snappy', 'gzip']

interface Flags extends PeerFlags {
  readonly size: number
  readonly rounds: number
  readonly operations: number
  readonly parts: string[]
  readonly codecs: string[]
  readonly objectSize: number
  readonly collections: number
  readonly largest: number
  readonly storages: string[]
}

const list = (text: string) => text.split(',')
const program = new Command('bench')
  .description('Measures pbmkit beside mongodump, mongorestore, PBM and rclone, and prints Markdown tables.')
  .option('--size <MB>', 'megabytes of data', Number, 700)
  .option(
    '--rounds <number>',
    'how often data is backed up, restored or transferred, in turn with the peers',
    Number,
    2,
  )
  .option('--parts <names>', `of ${PARTS.join(', ')}`, list, [...PARTS])
  .option('--operations <number>', 'in the oplog that is replayed', Number, 100_000)
  .option('--codecs <names>', `of ${CODECS.join(', ')}`, list, CODECS)
  .option('--largest <MB>', 'of the part memory: the data grows from --size to this', Number, 4000)
  .option('--object-size <MB>', 'megabytes of the object that is stored and read', Number, 1000)
  .option('--storages <names>', `of ${Object.keys(STORAGES).join(', ')}`, list, Object.keys(STORAGES))
  .option('--collections <number>', 'of the part collections', Number, 1000)
  .option('--mongodump <file>', 'default: the one on PATH')
  .option('--mongorestore <file>', 'default: the one on PATH')
  .option('--rclone <file>', 'default: the one on PATH')
  .option('--pbm <file>', 'the CLI of PBM; default: a real one on PATH')
  .option('--pbm-agent <file>', 'the agent of PBM; default: a real one on PATH')
  .parse()

await main(program.opts<Flags>())

async function main(flags: Flags): Promise<void> {
  const peers = await findPeers(flags)
  const folder = await temporaryFolder('pbmkit-bench-')
  try {
    if (flags.parts.includes('storage')) await storages(folder, peers, flags)
    if (flags.parts.includes('physical')) await physical(folder, peers, flags)
    if (flags.parts.some((part) => part !== 'storage' && part !== 'physical')) await withMongod(folder, peers, flags)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Storing and reading one object; needs no MongoDB. */
async function storages(folder: string, { rclone }: Peers, flags: Flags): Promise<void> {
  const bytes = flags.objectSize * 1e6
  const rows = await measureStorages({
    folder,
    bytes,
    storages: flags.storages,
    rounds: flags.rounds,
    rclone,
    say,
    sayCost,
  })
  console.log(storageMarkdown(rows, bytes))
}

/** Four files a collection are more than a process may have open on most machines; the server closes idle ones late. */
function closesFilesEarly({ parts, collections }: Flags): string[] {
  if (!parts.includes('collections') || collections <= MOST_OPEN_COLLECTIONS) return []
  const fileManager = 'file_manager=(close_handle_minimum=100,close_idle_time=1,close_scan_interval=1)'
  return ['--wiredTigerEngineConfigString', fileManager, '--syncdelay', '5']
}

/** The server ends and begins again: nobody else may use it. */
async function physical(folder: string, { mongodump, mongorestore }: Peers, flags: Flags): Promise<void> {
  const [codec = 's2'] = flags.codecs.length === CODECS.length ? ['s2'] : flags.codecs
  const { size: megabytes, rounds } = flags
  const bench = { folder, megabytes, codec, rounds, mongodump, mongorestore, say }
  console.log(physicalMarkdown(await measurePhysical(bench), bench))
}

async function withMongod(folder: string, peers: Peers, flags: Flags): Promise<void> {
  const set = await startReplicaSet({ members: 1, mongodArgs: closesFilesEarly(flags) })
  const rows: Row[] = []
  try {
    const client = await set.client()
    if (flags.parts.includes('smallest')) await smallest({ set, client, peers, folder, rows })
    const slicing = flags.parts.includes('slicer') ? await slicers({ set, client, peers, folder, rows }) : []
    const replayed = flags.parts.includes('replay') ? await replays({ set, client, peers, folder, rows }, flags) : []
    if (flags.parts.includes('collections')) {
      const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
      const many = { client, uri, folder: join(folder, 'collections'), count: flags.collections, peers, say }
      rows.push(...(await measureCollections(many)))
    }
    if (flags.parts.includes('protocol')) {
      say('what the protocol asks of the config servers')
      console.log(protocolMarkdown(await measureProtocol(join(folder, 'protocol'), say), await measurePlanning(client)))
    }
    if (flags.parts.includes('memory'))
      console.log(memoryMarkdown(await memory({ set, client, peers, folder, rows }, flags)))
    if (flags.parts.includes('selective')) {
      const { pbm, mongodump, mongorestore } = peers
      const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
      const programs = pbm === undefined ? undefined : real(pbm)
      const bench = { client, uri, folder, megabytes: flags.size, pbm: programs, mongodump, mongorestore }
      say('one collection out of a backup')
      console.log(selectiveMarkdown(await measureSelective(bench), flags.size))
    }
    if (flags.parts.includes('parallel')) {
      const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
      say('collections and workers at a time')
      const options = { megabytes: flags.size, rounds: flags.rounds, say: (text: string) => say(`  ${text}`) }
      console.log(parallelMarkdown(await measureParallel(client, uri, folder, options)))
    }
    const withData = flags.parts.some((part) => !WITHOUT_DATA.includes(part))
    const bytes = withData ? await load(client, flags.size) : 0
    if (flags.parts.includes('dump')) await dump({ set, client, peers, folder, rows }, flags)
    if (flags.parts.includes('backup') || flags.parts.includes('restore')) {
      await systems({ set, client, peers, folder, rows }, flags)
    }
    if (flags.parts.includes('sealing')) {
      const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
      rows.push(...(await measureSealing(client, uri, folder, flags.codecs, sayCost)))
    }
    if (rows.length > 0) console.log(markdown(rows, bytes))
    if (slicing.length > 0) console.log(slicingMarkdown(slicing))
    if (replayed.length > 0) console.log(replayMarkdown(replayed))
  } finally {
    await set.stop()
  }
}

interface Bench {
  readonly set: ReplicaSet
  readonly client: MongoClient
  readonly peers: Peers
  readonly folder: string
  readonly rows: Row[]
}

/** The raw dump beside mongodump: all three collections, and the biggest alone. */
async function dump({ set, peers, folder, rows }: Bench, { rounds }: Flags): Promise<void> {
  const uri = set.uri()
  const script = fileURLToPath(new URL('./dump.js', import.meta.url))
  const { mongodump } = peers
  for (const collection of [undefined, 'middle']) {
    const what = collection === undefined ? 'dump, three collections' : 'dump, one collection'
    const only = collection === undefined ? [] : [collection]
    const out = join(folder, 'dump')
    say(what)
    let cost: Cost | undefined
    let theirs: Cost | undefined
    for (let round = 1; round <= rounds; round++) {
      if (mongodump !== undefined) {
        const names = only.map((name) => `--collection=${name}`)
        const archive = `--archive=${join(folder, 'archive')}`
        const dumped = await runMeasured(mongodump, [`--uri=${uri}`, `--db=${DATABASE}`, ...names, archive])
        sayCost('mongodump', dumped)
        theirs = faster(theirs, dumped)
      }
      const { cost: ours } = await measureScript(script, [uri, out, ...only])
      sayCost('pbmkit', ours)
      cost = faster(cost, ours)
    }
    if (cost !== undefined)
      rows.push({ what, codec: 'none', cost, beside: theirs && { name: 'mongodump', cost: theirs } })
    await rm(out, { recursive: true, force: true })
  }
}

async function systems(bench: Bench, flags: Flags): Promise<void> {
  const { peers, rows } = bench
  const restores = flags.parts.includes('restore')
  let ours = new Map<string, Measured>()
  let theirs = new Map<string, Measured>()
  let plain: Cost | undefined
  for (let round = 1; round <= flags.rounds; round++) {
    if (peers.pbm !== undefined) theirs = fasterOf(theirs, await measureSystem(bench, real(peers.pbm), flags))
    ours = fasterOf(ours, await measureSystem(bench, pbmkit(), flags))
    const restored = restores ? await mongorestore(bench) : undefined
    if (restored !== undefined) plain = faster(plain, restored)
  }
  for (const codec of flags.codecs) {
    const [own, other] = [ours.get(codec), theirs.get(codec)]
    if (own === undefined) continue
    const { cost, stored } = own
    rows.push({ what: 'backup', codec, cost, stored, beside: other && { name: 'PBM', cost: other.cost } })
  }
  for (const codec of flags.codecs) {
    const [own, other] = [ours.get(codec)?.restore, theirs.get(codec)?.restore]
    if (own === undefined) continue
    if (plain !== undefined) {
      rows.push({ what: 'restore', codec, cost: own, beside: { name: 'mongorestore', cost: plain } })
    }
    if (other !== undefined) rows.push({ what: 'restore', codec, cost: own, beside: { name: 'PBM', cost: other } })
    if (plain === undefined && other === undefined) rows.push({ what: 'restore', codec, cost: own })
  }
}

/** From an archive of mongodump's, where both are there; the data is the same afterwards. */
async function mongorestore({ peers, set, folder, client }: Bench): Promise<Cost | undefined> {
  if (peers.mongodump === undefined || peers.mongorestore === undefined) return undefined
  say('restore with mongorestore')
  const archive = `--archive=${join(folder, 'archive')}`
  await runMeasured(peers.mongodump, [`--uri=${set.uri()}`, `--db=${DATABASE}`, archive])
  await client.db(DATABASE).dropDatabase()
  const workers = '--numInsertionWorkersPerCollection=4'
  const cost = await runMeasured(peers.mongorestore, [`--uri=${set.uri()}`, archive, workers])
  sayCost('mongorestore', cost)
  return cost
}

interface Measured {
  readonly cost: Cost
  readonly stored: number
  readonly restore: Cost | undefined
}

function fasterOf(before: Map<string, Measured>, now: Map<string, Measured>): Map<string, Measured> {
  return new Map(
    [...now].map(([codec, { cost, stored, restore }]) => {
      const other = before.get(codec)
      return [
        codec,
        {
          cost: faster(other?.cost, cost),
          stored,
          restore: restore && faster(other?.restore, restore),
        },
      ]
    }),
  )
}

async function measureSystem(bench: Bench, programs: SystemPrograms, flags: Flags): Promise<Map<string, Measured>> {
  const measured = new Map<string, Measured>()
  await withSystem(bench, programs, async (system) => {
    for (const codec of flags.codecs) {
      say(`${system.name}, ${codec}`)
      const { cost, name, stored } = await system.backup(codec)
      sayCost('backup', cost)
      const restore = flags.parts.includes('restore') ? await system.restore(name) : undefined
      if (restore !== undefined) sayCost('restore', restore)
      measured.set(codec, { cost, stored, restore })
    }
  })
  return measured
}

/** The smallest backup and restore: what the protocol costs without data. */
async function smallest(bench: Bench): Promise<void> {
  await bench.client.db('tiny').collection('one').insertOne({ a: 1 })
  const measureOne = async (programs: SystemPrograms) => {
    say(`the smallest backup and restore with ${programs.name}`)
    const costs: Cost[] = []
    await withSystem(bench, programs, async (system) => {
      const { cost, name } = await system.backup('none')
      sayCost('backup', cost)
      const restore = await system.restore(name)
      sayCost('restore', restore)
      costs.push(cost, restore)
    })
    return costs
  }
  const theirs = bench.peers.pbm === undefined ? [] : await measureOne(real(bench.peers.pbm))
  const ours = await measureOne(pbmkit())
  for (const [index, cost] of ours.entries()) {
    const other = theirs[index]
    const what = index === 0 ? 'smallest backup' : 'smallest restore'
    bench.rows.push({ what, codec: 'none', cost, beside: other && { name: 'PBM', cost: other } })
  }
}

/** Storing the oplog under many small writes. */
async function slicers({ set, client, peers, folder }: Bench): Promise<SlicingRow[]> {
  const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
  const rows: SlicingRow[] = []
  for (const programs of [pbmkit(), ...(peers.pbm === undefined ? [] : [real(peers.pbm)])]) {
    say(`storing the oplog with ${programs.name}`)
    rows.push(await measureSlicing(programs, client, uri, folder))
  }
  return rows
}

/** Replaying a stored oplog onto a backup. */
async function replays({ set, client, peers, folder }: Bench, { operations }: Flags) {
  const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
  const pbm = peers.pbm === undefined ? undefined : real(peers.pbm)
  return await measureReplay(client, uri, folder, operations, { pbm, mongorestore: peers.mongorestore })
}

/** What an agent that was started plainly takes, as the data grows. */
async function memory({ set, client, peers, folder }: Bench, { size, largest, codecs }: Flags) {
  const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
  const options = { loads: loads(size, largest), codecs, say }
  const ours = await measureMemory(pbmkit(), client, uri, folder, options)
  const theirs = peers.pbm === undefined ? [] : await measureMemory(real(peers.pbm), client, uri, folder, options)
  return [...ours, ...theirs]
}

async function withSystem(
  { set, client, folder }: Bench,
  programs: SystemPrograms,
  work: (system: RunningSystem) => Promise<void>,
): Promise<void> {
  const uri = { node: set.uri({ direct: true }), cluster: set.uri() }
  const system = await startSystem(programs, client, uri, join(folder, programs.name))
  try {
    await work(system)
  } finally {
    await system.stop()
  }
}

function real({ cli, agent }: { cli: string; agent: string }): SystemPrograms {
  return { name: 'PBM', cli: [cli], agent: [agent] }
}

/** At once, so that a run that is broken off has not measured in vain. */
function sayCost(work: string, cost: Cost): void {
  say(`  ${work}: ${costText(cost)}`)
}

/** To stderr: stdout is the table. */
function say(text: string): void {
  console.error(`… ${text}`)
}
