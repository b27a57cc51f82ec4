import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { MongoClient, Timestamp } from 'mongodb'
import { type Cost, measure } from './measure.js'

const run = promisify(execFile)

/** A backup system with PBM's commands: ours, or PBM itself. */
export interface SystemPrograms {
  readonly name: string
  readonly cli: readonly [string, ...string[]]
  readonly agent: readonly [string, ...string[]]
}

/** Ours, as npm has installed it here. */
export function pbmkit(): SystemPrograms {
  // Beside the module that the package exports.
  const find = (name: string) => fileURLToPath(new URL('./bin.js', import.meta.resolve(name)))
  return {
    name: 'pbmkit',
    cli: [process.execPath, find('@pbmkit/cli')],
    agent: [process.execPath, find('@pbmkit/agent')],
  }
}

export interface RunningSystem {
  readonly name: string
  /** Of the agent. */
  readonly pid: number
  /** The folder of its storage. */
  readonly storage: string
  /** Makes a backup and gives its cost to the agent, its name and its bytes on the storage. `more`: such as `--type`. */
  backup(codec: string, more?: readonly string[]): Promise<{ cost: Cost; name: string; stored: number }>
  /** `more`: further arguments, such as `--ns`. */
  restore(backup: string, more?: readonly string[]): Promise<Cost>
  /** Applies the stored oplog between two times (seconds, increment), both inclusive. */
  replay(start: Timestamp, end: Timestamp): Promise<Cost>
  setConfig(key: string, value: string): Promise<void>
  stop(): Promise<void>
}

export interface SystemOptions {
  /** More lines of its configuration. */
  readonly config?: string
  /** A folder of backups that are there already; it stays. Default: a new one, removed in the end. */
  readonly storage?: string
  /** Added to the environment of the agent. */
  readonly env?: NodeJS.ProcessEnv
}

/** Starts an agent beside a fresh configuration, and waits until it is ready. */
export async function startSystem(
  programs: SystemPrograms,
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  options: SystemOptions = {},
): Promise<RunningSystem> {
  await dropControlCollections(client)
  await mkdir(folder, { recursive: true })
  const [command, ...args] = programs.agent
  const agent = spawn(command, [...args, '--mongodb-uri', uri.node], {
    stdio: ['ignore', 'ignore', 'ignore'],
    // Keys of sealed backups lie beside the storage.
    env: { ...process.env, PBM_ALLOW_FILES: tmpdir(), ...options.env },
  })
  const pid = agent.pid ?? 0
  const cli = async (...more: string[]) => {
    const [file, ...first] = programs.cli
    return (await run(file, [...first, ...more, '--mongodb-uri', uri.cluster], { maxBuffer: 1e8 })).stdout
  }
  const config = join(folder, 'config.yaml')
  const storage = options.storage ?? join(folder, 'storage')
  await mkdir(storage, { recursive: true })
  await writeFile(config, `storage:\n  type: filesystem\n  filesystem:\n    path: ${storage}\n${options.config ?? ''}`)
  await cli('config', '--file', config)
  // pbmkit's agents have a process of their own look at all plugins some seconds after their start: no part of a backup.
  const started = { $or: [{ plugins: null }, { 'plugins.installed.apiVersion': { $ne: null } }] }
  await until('the agent is ready', async () => {
    const well = { 'stors.ok': true, 'nodes.ok': true }
    const ready = await client
      .db('admin')
      .collection('pbmAgents')
      .findOne({ ...well, ...started })
    return ready !== null && (await client.db('admin').collection('pbmLock').findOne({})) === null
  })
  return {
    name: programs.name,
    pid,
    storage,
    backup: async (codec, more = []) => {
      const before = new Set(await readdir(storage))
      const cost = await measure([pid], () => cli('backup', '--compression', codec, ...more, '--wait'))
      const name = (await readdir(storage)).find((file) => !before.has(file) && file.endsWith('.pbm.json'))
      if (name === undefined) throw new Error(`${programs.name} made no backup`)
      const backup = name.slice(0, -'.pbm.json'.length)
      return { cost, name: backup, stored: await folderBytes(join(storage, backup)) }
    },
    restore: async (backup, more = []) => {
      await sleep(1000)
      return await measure([pid], () => cli('restore', backup, ...more, '--wait', '--yes'))
    },
    replay: async (start, end) => {
      await sleep(1000)
      const [from, to] = [start, end].map(({ t, i }) => `${t},${i}`)
      return await measure([pid], () => cli('oplog-replay', `--start=${from}`, `--end=${to}`, '--wait'))
    },
    setConfig: async (key, value) => {
      await cli('config', '--set', `${key}=${value}`)
    },
    stop: async () => {
      await stop(agent)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(late)
}

async function dropControlCollections(client: MongoClient): Promise<void> {
  for (const { name } of await client.db('admin').listCollections({ name: /^pbm/ }, { nameOnly: true }).toArray()) {
    await client.db('admin').collection(name).drop()
  }
}

export async function folderBytes(folder: string): Promise<number> {
  let total = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) total += (await stat(join(entry.parentPath, entry.name))).size
  }
  return total
}

export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited two minutes in vain until ${what}`)
    await sleep(100)
  }
}
