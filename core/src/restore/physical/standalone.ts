import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Document, MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import {
  AGENTS,
  BACKUPS,
  COMMANDS,
  CONFIG,
  CONTROL_DATABASE,
  LOCKS,
  LOG,
  OPERATIONS,
  PITR,
  PITR_CHUNKS,
  RESTORES,
  SLICER_LOCKS,
} from '../../mongo/control-names.js'
import { optime } from '../../oplog/entry.js'
import { neededEnvironment } from '../../plugin-host/needed-environment.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { restoreFolders } from './folders.js'
import { insertOplog } from './oplog-file.js'
import { stopServer } from './server-program.js'

export interface StandaloneOptions {
  readonly dbPath: string
  /** The binary that is to serve the files later. */
  readonly path: string
  readonly port: number
  readonly cacheSizeGB: number | undefined
  readonly mongodOpts: Readonly<Record<string, unknown>>
}

/** Documents of control collections, the same for all members. */
export interface KeptDocuments {
  readonly config: readonly Document[]
  /** Says that point-in-time recovery is to go on after the next full backup. */
  readonly pitr: readonly Document[]
}

/** What the files become. */
export interface NewIdentity {
  /** The document of the replica set's configuration. */
  readonly replset: Document
  /** What stays as it is now. */
  readonly kept: KeptDocuments
  /** The last write that is to be in them. */
  readonly lastWrite: Timestamp
  /** The file with the oplog that leads there; undefined where they have it. */
  readonly oplog: string | undefined
}

const SERVE_MS = 600_000
const POLL_MS = 100

/** All but the configuration: what they say was so when the backup was made. Agents make them anew. */
const OUTDATED: readonly string[] = [
  ...[AGENTS, BACKUPS, COMMANDS, LOCKS, LOG, OPERATIONS, PITR_CHUNKS, RESTORES, SLICER_LOCKS],
]

/**
 * Starts a server on restored files that nobody else can reach, gives them their new identity, and ends it (PBM: physical.md
 * §5, steps 9 and 12). It listens on a socket in a folder of this user alone, so that it needs no password.
 */
export async function giveIdentity(options: StandaloneOptions, identity: NewIdentity): Promise<void> {
  const sockets = await mkdtemp(join(tmpdir(), 'pbm-'))
  await chmod(sockets, 0o700)
  const socket = join(sockets, 's.sock')
  const { child, log } = start(options, socket)
  let client: MongoClient | undefined
  try {
    client = await connectWhenServing(socket, child, log)
    await rewrite(client, identity)
    await stopServer(client, options.dbPath, child.pid)
  } finally {
    await client?.close().catch(() => undefined)
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    await rm(sockets, { recursive: true, force: true })
  }
}

function start({ dbPath, path, port, cacheSizeGB, mongodOpts }: StandaloneOptions, socket: string) {
  const log = join(restoreFolders(dbPath).work, 'standalone.log')
  const storage = mongodOpts.storage as Document
  const engine = storage.wiredTiger.engineConfig as Document
  const args = [
    ...['--dbpath', dbPath, '--bind_ip', socket, '--unixSocketPrefix', dirname(socket)],
    ...['--port', String(port), '--logpath', log],
    ...['--setParameter', 'disableLogicalSessionCacheRefresh=true', '--setParameter', 'ttlMonitorEnabled=false'],
    ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
    ...(storage.directoryPerDB === true ? ['--directoryperdb'] : []),
    ...(engine.directoryForIndexes === true ? ['--wiredTigerDirectoryForIndexes'] : []),
    ...['--wiredTigerJournalCompressor', String(engine.journalCompressor)],
    ...(cacheSizeGB === undefined ? [] : ['--wiredTigerCacheSizeGB', String(cacheSizeGB)]),
  ]
  const child = spawn(path, args, { env: neededEnvironment(process.env), stdio: 'ignore' })
  child.on('error', () => undefined)
  return { child, log }
}

async function connectWhenServing(socket: string, child: ChildProcess, log: string): Promise<MongoClient> {
  const look = async () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      const text = await readFile(log, 'utf8').catch(() => '')
      const fatal = text.split('\n').findLast((line) => /"s":"[FE]"/.test(line))
      const end = child.signalCode ?? `exit code ${child.exitCode}`
      throw new PbmError(
        'FILES_UNUSABLE',
        `a mongod can't open the restored files: ${end}${fatal === undefined ? '' : `: ${fatal.slice(0, 500)}`}`,
        {
          hint: `Is it of the version that the backup was made of? Its log is ${log}`,
        },
      )
    }
    return await connect(socket).catch(() => undefined)
  }
  const client = await until(look, { clock: systemClock, everyMs: POLL_MS, timeoutMs: SERVE_MS })
  if (client !== undefined) return client
  throw new PbmError('FILES_UNUSABLE', `a mongod on the restored files does not serve within ${SERVE_MS / 1000} s`)
}

async function connect(socket: string): Promise<MongoClient> {
  const uri = `mongodb://${encodeURIComponent(socket)}/?directConnection=true`
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 2_000 })
  client.on('error', () => undefined)
  return await client.connect().catch(async (error: unknown) => {
    await client.close()
    throw error
  })
}

/** Backwards: forwards would hang once entries were put there. */
async function newestEntry(client: MongoClient): Promise<Timestamp | undefined> {
  const oplog = client.db('local').collection('oplog.rs')
  return (await oplog.findOne({}, { sort: { $natural: -1 }, projection: { ts: 1 } }))?.ts
}

async function rewrite(client: MongoClient, { replset, kept, lastWrite, oplog }: NewIdentity): Promise<void> {
  const local = client.db('local')
  if (oplog !== undefined) await insertOplog(client, oplog, optime((await newestEntry(client)) ?? { t: 0, i: 0 }))
  const top = await newestEntry(client)
  if (top === undefined || top.lessThan(lastWrite)) {
    throw new PbmError('BACKUP_DAMAGED', 'the restored oplog ends before the backup does', {
      hint: 'The backup can not be restored as it is; restore another one.',
    })
  }
  for (const name of ['minvalid', 'oplogTruncateAfterPoint', 'election', 'initialSyncId']) {
    await local.collection(`replset.${name}`).deleteMany({})
  }
  await local.collection('system.replset').deleteMany({})
  await local.collection('replset.minvalid').insertOne({ t: -1, ts: new Timestamp({ t: 0, i: 1 }) })
  if (top.greaterThan(lastWrite)) {
    // PBM's copies go beyond the end of their backup.
    const point: Document = { _id: 'oplogTruncateAfterPoint', oplogTruncateAfterPoint: lastWrite }
    await local.collection('replset.oplogTruncateAfterPoint').insertOne(point)
  }
  await local.collection('system.replset').insertOne(replset)
  const control = client.db(CONTROL_DATABASE)
  const there = new Set((await control.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name))
  for (const name of OUTDATED) if (there.has(name)) await control.dropCollection(name)
  // A collection that is not there would be made with another UUID by each member.
  const put = async (name: string, documents: readonly Document[]) => {
    if (!there.has(name)) return
    await control.collection(name).deleteMany({})
    if (documents.length > 0) await control.collection(name).insertMany([...documents])
  }
  await put(PITR, kept.pitr)
  await put(CONFIG, kept.config)
}
