import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type Document, MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import { neededEnvironment } from '../../plugin-host/needed-environment.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { stopServer } from './server-program.js'

export interface StandaloneOptions {
  readonly dbPath: string
  /** The binary that is to serve the files later. */
  readonly path: string
  readonly port: number
  readonly mongodOpts: Readonly<Record<string, unknown>>
  /** GB of its cache, as its option takes them. */
  readonly cacheGb?: string
  /** Whether it runs scripts of queries; true when absent. */
  readonly scripting?: boolean
  /** Whether it applies its oplog first, and takes no writes then; false when absent. */
  readonly appliesOplog?: boolean
  /** Name of the replica set that it is a member of; none when absent. */
  readonly replset?: string | undefined
  /** Folder of its socket, of this user alone, which stays; one is made and removed when absent. */
  readonly sockets?: string
  /** Milliseconds that it may take to serve; 10 minutes when absent. */
  readonly serveMs?: number
  /** Kills it at once: for files that nobody needs then. */
  readonly signal?: AbortSignal
}

const SERVE_MS = 600_000
const POLL_MS = 100
const SOCKETS = 'pbm-'
/** How long after its connections a server may take to end. */
const DYING_MS = 3_000
/** Enough to change a little; it runs beside a server that has its own. */
const CACHE_GB = '0.25'

/**
 * Runs `work` with a server on files that nobody else uses, and ends it cleanly. It listens on a socket in a folder of this user
 * alone, so that it needs no password. Throws FILES_UNUSABLE.
 *
 * @param log file of its log
 */
export async function withStandalone<T>(
  options: StandaloneOptions,
  log: string,
  work: (client: MongoClient) => Promise<T>,
): Promise<T> {
  const sockets = options.sockets ?? (await makeSockets())
  const socket = socketIn(sockets)
  const child = start(options, socket, log)
  let client: MongoClient | undefined
  const kill = () => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', kill)
  try {
    options.signal?.throwIfAborted()
    client = await connectWhenServing(socket, child, { log, serveMs: options.serveMs ?? SERVE_MS })
    const result = await work(client)
    if (!(await stopServer(client, options.dbPath, child.pid))) throw await unusable(child, log)
    return result
  } catch (error) {
    // What the driver says of a server that has died is no reason: its log has one.
    if (error instanceof PbmError || !(await hasEnded(child))) throw error
    throw await unusable(child, log)
  } finally {
    options.signal?.removeEventListener('abort', kill)
    await client?.close().catch(() => undefined)
    if (!isOver(child)) {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    if (options.sockets === undefined) await rm(sockets, { recursive: true, force: true })
  }
}

/** Short: the path of a socket has at most 107 bytes. */
export async function makeSockets(): Promise<string> {
  const sockets = await mkdtemp(join(tmpdir(), SOCKETS))
  await chmod(sockets, 0o700)
  return sockets
}

/** Whether a folder is one that {@link makeSockets} makes. */
export function isSockets(folder: string): boolean {
  return dirname(folder) === tmpdir() && basename(folder).startsWith(SOCKETS)
}

export function socketIn(sockets: string): string {
  return join(sockets, 's.sock')
}

/**
 * Has the server apply its oplog exactly up to `lastWrite` when it is started next, as a member or with `appliesOplog` (PBM:
 * physical.md §5, step 9). Throws BACKUP_DAMAGED where the oplog ends before.
 */
export async function endOplogAt(client: MongoClient, lastWrite: Timestamp): Promise<void> {
  const top = (await newestEntry(client))?.ts
  if (top === undefined || top.lessThan(lastWrite)) {
    throw new PbmError('BACKUP_DAMAGED', 'the restored oplog ends before the backup does', {
      hint: 'The backup can not be restored as it is; restore another one.',
    })
  }
  const local = client.db('local')
  for (const name of ['minvalid', 'oplogTruncateAfterPoint', 'election', 'initialSyncId']) {
    await local.collection(`replset.${name}`).deleteMany({})
  }
  await local.collection('replset.minvalid').insertOne({ t: -1, ts: new Timestamp({ t: 0, i: 1 }) })
  if (!top.greaterThan(lastWrite)) return
  // PBM's copies go beyond the end of their backup.
  const point: Document = { _id: 'oplogTruncateAfterPoint', oplogTruncateAfterPoint: lastWrite }
  await local.collection('replset.oplogTruncateAfterPoint').insertOne(point)
}

/** Backwards: forwards would hang once entries were put there. */
export async function newestEntry(client: MongoClient): Promise<{ ts: Timestamp; t: unknown } | undefined> {
  const oplog = client.db('local').collection('oplog.rs')
  const options = { sort: { $natural: -1 }, projection: { _id: 0, ts: 1, t: 1 }, promoteLongs: false } as const
  return ((await oplog.findOne({}, options)) ?? undefined) as { ts: Timestamp; t: unknown } | undefined
}

function start(options: StandaloneOptions, socket: string, log: string): ChildProcess {
  const {
    dbPath,
    path,
    port,
    mongodOpts,
    cacheGb = CACHE_GB,
    scripting = true,
    appliesOplog = false,
    replset,
  } = options
  const storage = mongodOpts.storage as Document
  const engine = storage.wiredTiger.engineConfig as Document
  const args = [
    ...['--dbpath', dbPath, '--bind_ip', socket, '--unixSocketPrefix', dirname(socket)],
    ...['--port', String(port), '--logpath', log],
    ...['--setParameter', 'disableLogicalSessionCacheRefresh=true', '--setParameter', 'ttlMonitorEnabled=false'],
    ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
    // The files of a shard or a config server, which it is not.
    ...['--setParameter', 'skipShardingConfigurationChecks=true'],
    ...(storage.directoryPerDB === true ? ['--directoryperdb'] : []),
    ...(engine.directoryForIndexes === true ? ['--wiredTigerDirectoryForIndexes'] : []),
    ...['--wiredTigerJournalCompressor', String(engine.journalCompressor)],
    ...['--wiredTigerCacheSizeGB', cacheGb],
    ...(scripting ? [] : ['--noscripting']),
    ...(appliesOplog ? ['--setParameter', 'recoverFromOplogAsStandalone=true'] : []),
    ...(replset === undefined ? [] : ['--replSet', replset]),
  ]
  const child = spawn(path, args, { env: neededEnvironment(process.env), stdio: 'ignore' })
  child.on('error', () => undefined)
  return child
}

async function hasEnded(child: ChildProcess): Promise<boolean> {
  const look = async () => isOver(child)
  return (await until(look, { clock: systemClock, everyMs: POLL_MS, timeoutMs: DYING_MS })) === true
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

async function unusable({ exitCode, signalCode }: ChildProcess, log: string): Promise<PbmError> {
  const text = await readFile(log, 'utf8').catch(() => '')
  const fatal = text.split('\n').findLast((line) => /"s":"[FE]"/.test(line))
  const end = signalCode ?? `exit code ${exitCode}`
  return new PbmError(
    'FILES_UNUSABLE',
    `a mongod can't open the restored files: ${end}${fatal === undefined ? '' : `: ${fatal.slice(0, 500)}`}`,
    { hint: `Is it of the version that the backup was made of, and is there space? Its log is ${log}` },
  )
}

async function connectWhenServing(
  socket: string,
  child: ChildProcess,
  { log, serveMs }: { readonly log: string; readonly serveMs: number },
): Promise<MongoClient> {
  const look = async () => {
    if (isOver(child)) throw await unusable(child, log)
    return await connect(socket).catch(() => undefined)
  }
  const client = await until(look, { clock: systemClock, everyMs: POLL_MS, timeoutMs: serveMs })
  if (client !== undefined) return client
  throw new PbmError('FILES_UNUSABLE', `a mongod on the restored files does not serve within ${serveMs / 1000} s`)
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
