import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore, PluginHost } from '@pbmkit/core'
import { type Cost, faster, measureScript, runMeasured } from './measure.js'
import { pattern } from './pattern.js'
import { type RunningStorage, STORAGES } from './storages.js'
import { machineText } from './table.js'
import type { Transfer } from './transfer.js'

const SCRIPT = fileURLToPath(new URL('./transfer.js', import.meta.url))
const WAYS = ['up', 'down'] as const

type Way = (typeof WAYS)[number]

export interface StorageRow {
  /** Of the plugin. */
  readonly name: string
  readonly server: string
  readonly way: Way
  readonly cost: Cost
  /** By how many MB the process grew at the most, in any round. */
  readonly growth: number
  /** rclone's, with the same bytes. */
  readonly beside: Cost | undefined
}

export interface StorageOptions {
  readonly folder: string
  readonly bytes: number
  readonly storages: readonly string[]
  /** In turns, so that what else the machine does meets both alike; the better one counts. */
  readonly rounds: number
  readonly rclone: string | undefined
  say(text: string): void
  sayCost(work: string, cost: Cost): void
}

/** One large object to each storage and back, beside rclone. A storage whose server can't be had is left out, and told. */
export async function measureStorages(options: StorageOptions): Promise<StorageRow[]> {
  const source = await sourceFile(options)
  const rows: StorageRow[] = []
  for (const name of options.storages) {
    const start = STORAGES[name]
    if (start === undefined) throw new Error(`there is no storage ${name}, only ${Object.keys(STORAGES).join(', ')}`)
    options.say(`an object of ${options.bytes / 1e6} MB and ${name}`)
    const storage = await start().catch((error: Error) => {
      options.say(`  left out: ${error.message.split('\n')[0]}`)
    })
    if (storage === undefined) continue
    try {
      rows.push(...(await measureStorage(name, storage, source, options)))
    } finally {
      await storage.stop()
    }
  }
  return rows
}

async function measureStorage(
  name: string,
  storage: RunningStorage,
  source: string,
  options: StorageOptions,
): Promise<StorageRow[]> {
  const { bytes, rounds, rclone, sayCost } = options
  const ours = new Map<Way, Cost & { growth: number }>()
  const theirs = new Map<Way, Cost>()
  for (let round = 1; round <= rounds; round++) {
    for (const way of WAYS) {
      const { cost, growth } = await transfer({ config: storage.config, name: 'ours', way, bytes })
      sayCost(`pbmkit, ${way}, grown by ${growth.toFixed(0)} MB`, cost)
      const before = ours.get(way)
      ours.set(way, { ...faster(before, cost), growth: Math.max(growth, before?.growth ?? 0) })
    }
    await remove(storage, 'ours')
    if (rclone === undefined) continue
    for (const way of WAYS) {
      const cost = await besides(rclone, storage, way, source, options.folder)
      sayCost(`rclone, ${way}`, cost)
      theirs.set(way, faster(theirs.get(way), cost))
    }
    await remove(storage, 'theirs')
  }
  return [...ours].map(([way, { growth, ...cost }]) => {
    return { name, server: storage.server, way, cost, growth, beside: theirs.get(way) }
  })
}

/** In a process of its own, from when its plugin is loaded. */
async function transfer(task: Transfer): Promise<{ cost: Cost; growth: number }> {
  const { cost, before } = await measureScript(SCRIPT, [JSON.stringify(task)])
  return { cost, growth: cost.rss - before }
}

/** rclone with its own settings, its stdin a file in memory, its stdout nowhere. */
async function besides(
  rclone: string,
  { rclone: { remote, folder }, flushed }: RunningStorage,
  way: Way,
  source: string,
  scratch: string,
): Promise<Cost> {
  const settings = Object.entries(remote).map(([key, value]) => [`RCLONE_CONFIG_BENCH_${key.toUpperCase()}`, value])
  // Nothing of what is set here for other servers, and a configuration of its own: it keeps what it learns of a server.
  const own = { PATH: process.env.PATH, HOME: scratch, RCLONE_CONFIG: join(scratch, 'rclone.conf') }
  const env = { ...own, ...Object.fromEntries(settings) }
  const object = `bench:${folder}/theirs`
  if (way === 'down') return await runMeasured(rclone, ['cat', object], { env })
  const stdin = await open(source)
  try {
    if (flushed === undefined) return await runMeasured(rclone, ['rcat', object], { env, stdin: stdin.fd })
    // pbmkit's object survives a loss of power once it is stored.
    const script = '"$0" rcat "$1" && sync "$2"'
    return await runMeasured('sh', ['-c', script, rclone, object, flushed('theirs')], { env, stdin: stdin.fd })
  } finally {
    await stdin.close()
  }
}

async function remove({ config }: RunningStorage, name: string): Promise<void> {
  const host = new PluginHost({ resolveFrom: import.meta.url, localAccess: { folders: [tmpdir()], commands: [] } })
  const store = await openStore(host, config, { signal: new AbortController().signal, warn: console.error })
  await store.delete(name)
  await store.close()
}

/** What rclone is given; read from memory, since it was just written. */
async function sourceFile({ folder, bytes, rclone }: StorageOptions): Promise<string> {
  const path = join(folder, 'object')
  if (rclone === undefined) return path
  const file = await open(path, 'w')
  try {
    await file.writeFile(pattern(bytes))
    // Not while something is measured.
    await file.sync()
  } finally {
    await file.close()
  }
  return path
}

export function storageMarkdown(rows: readonly StorageRow[], bytes: number): string {
  const head = ['storage', 'way', 'MB/s', 'wall s', 'CPU s', 'RSS growth MB', 'beside', 'wall ratio', 'CPU ratio']
  const lines = rows.map(({ name, server, way, cost, growth, beside }) => [
    `${name} (${server})`,
    way,
    (bytes / 1e6 / cost.wall).toFixed(0),
    cost.wall.toFixed(1),
    cost.cpu.toFixed(1),
    growth.toFixed(0),
    beside === undefined ? 'no rclone here' : 'rclone',
    beside === undefined ? '' : (cost.wall / beside.wall).toFixed(2),
    beside === undefined ? '' : (cost.cpu / beside.cpu).toFixed(2),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `An object of ${bytes / 1e6} MB, up and down. ${machineText()}.\n\n${table}\n`
}
