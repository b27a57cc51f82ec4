import { existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  compareStates,
  type DatabaseState,
  loadSampleData,
  type ReplicaSet,
  removeTemporaryFolder,
  serviceManager,
  snapshotState,
  spawnSupervised,
  startCommand,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { databaseRole } from '@pbmkit/core'
import { type Document, MongoClient } from 'mongodb'
import { runProgram } from './commands.js'

const AGENT = fileURLToPath(new URL('../../../agent/dist/src/bin.js', import.meta.url))
const CLI = fileURLToPath(new URL('../../../cli/dist/bin.js', import.meta.url))
const AGENTS_TIMEOUT_MS = 60_000
const POLL_MS = 100
/** Tens of megabytes: enough to see it move, little enough to wait for. */
const SCALE = 20

export interface DemoOptions {
  /** By the files of the servers, which end and begin again. */
  readonly isPhysical: boolean
}

/**
 * Backs up a real replica set, destroys its data, restores it and compares. Removes all it made, however it ends; when
 * it is aborted, what was still starting is left to the testbed's supervisor, which acts when this process ends.
 */
export async function runDemo(signal: AbortSignal, options: DemoOptions): Promise<void> {
  const undo: Array<() => Promise<void> | void> = []
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  try {
    // Not every step can be broken off: servers start, data loads. Leave them where they are.
    await Promise.race([showAll(signal, undo, options), aborted])
  } finally {
    for (const step of undo.toReversed()) await step()
  }
}

async function showAll(
  signal: AbortSignal,
  undo: Array<() => Promise<void> | void>,
  { isPhysical }: DemoOptions,
): Promise<void> {
  const started = Date.now()
  const folder = await temporaryFolder('pbmkit-demo-')
  undo.push(() => removeTemporaryFolder(folder))
  let agents: Agents | undefined
  try {
    say('Starting a replica set of three mongods with authentication')
    const set = await startReplicaSet({ members: 3, auth: true, name: 'demo', electionTimeoutMillis: 10_000 })
    undo.push(() => set.stop())
    signal.throwIfAborted()
    const admin = await set.client()
    const user = await set.createUser(databaseRole('agent', { physical: isPhysical }))
    note(set.members.map(({ host }) => host).join(', '))

    say('Starting an agent beside each of them')
    agents = await startAgents(set, user, folder)
    undo.push(agents.stop)
    if (isPhysical) undo.push(serviceManager(() => set.members, folder))
    const everyAgent = { count: set.members.length, agents, signal }
    await untilAgents(admin, {}, everyAgent)

    const env = { PBM_MONGODB_URI: set.uri({ user }) }
    const pbm = (args: readonly string[], options: { input?: string; quiet?: boolean } = {}) => {
      if (options.quiet !== true) note(`$ pbm ${args.join(' ')}`)
      return runProgram(CLI, args, { env, signal, ...options })
    }

    say('Configuring a storage: a folder')
    const storage = join(folder, 'backups')
    await pbm(['config', '--file', '-', '--wait'], {
      input: `storage:\n  type: filesystem\n  filesystem:\n    path: ${JSON.stringify(storage)}\n`,
    })
    await untilAgents(admin, { 'stors.ok': true }, everyAgent)
    await pbm(['status'])

    say('Loading sample data: every BSON type, views, time series, capped, clustered, indexes of all kinds, users')
    await loadSampleData(admin, { scale: SCALE })
    signal.throwIfAborted()
    const before = await snapshotState(admin)
    note(describe(before))

    say(isPhysical ? 'Backing up the files of a secondary' : 'Backing up')
    await pbm(['backup', ...(isPhysical ? ['--type', 'physical'] : []), '--wait'])
    const name = await newestBackup(pbm)
    await pbm(['list'])

    say('Destroying everything: all databases, all other users, all roles')
    await dropEverything(admin, user)
    signal.throwIfAborted()
    note(describe(await snapshotState(admin)))

    say(isPhysical ? 'Restoring the files of all members: their servers end and begin again' : 'Restoring')
    await pbm(['restore', name, '--yes', '--wait'])

    say('Comparing with what was there: documents byte for byte, options, indexes, users, roles')
    const after = await (isPhysical ? newState(set) : snapshotState(admin))
    note(describe(after))
    const differences = compareStates(before, after)
    if (differences.length > 0) throw new Error(`the restored data differs:\n  ${differences.join('\n  ')}`)
    say(`No difference. Done in ${Math.round((Date.now() - started) / 1000)} s.`)
  } catch (error) {
    if (!signal.aborted) agents?.showLogs()
    throw error
  }
}

/** For a connection of before, this would be another replica set of the same name. */
async function newState(set: ReplicaSet): Promise<DatabaseState> {
  await set.ready()
  const client = await MongoClient.connect(set.adminUri)
  return await snapshotState(client).finally(() => client.close())
}

interface Agents {
  stop(): void
  assertRunning(): void
  showLogs(): void
}

async function startAgents(set: ReplicaSet, user: string, folder: string): Promise<Agents> {
  if (!existsSync(AGENT)) throw new Error(`${AGENT} is missing: build the project first (npm run build)`)
  const agents = set.members.map((member) => {
    const log = join(folder, `agent-${member.port}.log`)
    const child = spawnSupervised(process.execPath, [AGENT], {
      env: {
        ...process.env,
        PBM_MONGODB_URI: member.uri({ user }),
        PBM_STATE_FOLDER: join(folder, 'state'),
        PBM_MONGOD_START: startCommand(folder, member.port),
      },
      stdio: ['ignore', openSync(log, 'a'), openSync(log, 'a')],
    })
    return { member, log, child }
  })
  return {
    stop: () => {
      for (const { child } of agents) child.kill('SIGKILL')
    },
    assertRunning: () => {
      const dead = agents.find(({ child }) => child.exitCode !== null || child.signalCode !== null)
      if (dead !== undefined) throw new Error(`the agent of ${dead.member.host} has ended`)
    },
    showLogs: () => {
      for (const { member, log } of agents) {
        const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n  ')
        process.stderr.write(`\nLast lines of the agent of ${member.host}:\n  ${tail}\n`)
      }
    },
  }
}

/** Waits until every agent has reported, and reported what the filter says. */
async function untilAgents(
  admin: MongoClient,
  filter: Document,
  { count, agents, signal }: { count: number; agents: Agents; signal: AbortSignal },
): Promise<void> {
  const deadline = Date.now() + AGENTS_TIMEOUT_MS
  while ((await admin.db('admin').collection('pbmAgents').countDocuments(filter)) < count) {
    signal.throwIfAborted()
    agents.assertRunning()
    if (Date.now() > deadline) throw new Error(`the agents are not ready after ${AGENTS_TIMEOUT_MS / 1000} s`)
    await sleep(POLL_MS)
  }
}

type Pbm = (args: readonly string[], options: { quiet: boolean }) => Promise<{ output: string }>

async function newestBackup(pbm: Pbm): Promise<string> {
  const { output } = await pbm(['list', '--out', 'json'], { quiet: true })
  const { snapshots } = JSON.parse(output) as { snapshots: { name: string }[] }
  const name = snapshots
    .map((snapshot) => snapshot.name)
    .toSorted()
    .at(-1)
  if (name === undefined) throw new Error('pbm list shows no backup')
  return name
}

async function dropEverything(admin: MongoClient, keep: string): Promise<void> {
  const { databases } = await admin.db('admin').admin().listDatabases({ nameOnly: true })
  for (const { name } of databases) {
    if (['admin', 'config', 'local'].includes(name)) continue
    await admin.db(name).dropDatabase()
    await admin.db(name).command({ dropAllUsersFromDatabase: 1 })
    await admin.db(name).command({ dropAllRolesFromDatabase: 1 })
  }
  const { users } = await admin.db('admin').command({ usersInfo: 1 })
  const connected = admin.options.credentials?.username
  for (const { user } of users as { user: string }[]) {
    if (user !== keep && user !== connected) await admin.db('admin').command({ dropUser: user })
  }
}

function describe(state: DatabaseState): string {
  const collections = Object.values(state.dbs).flatMap((db) => Object.values(db))
  const documents = collections.reduce((sum, { count }) => sum + numberOf(count), 0)
  const indexes = collections.reduce((sum, collection) => sum + (collection.indexes?.length ?? 0), 0)
  const counts: [number, string][] = [
    [Object.keys(state.dbs).length, 'databases'],
    [collections.length, 'collections and views'],
    [documents, 'documents'],
    [indexes, 'indexes'],
    [state.users.length, 'users'],
    [state.roles.length, 'roles'],
  ]
  return counts.map(([count, what]) => `${count.toLocaleString('en')} ${what}`).join(', ')
}

function numberOf(count: unknown): number {
  const number = (count as { $numberInt?: string } | undefined)?.$numberInt
  return number === undefined ? 0 : Number(number)
}

function say(text: string): void {
  process.stdout.write(`\n${process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text}\n`)
}

function note(text: string): void {
  process.stdout.write(`  ${text}\n`)
}
