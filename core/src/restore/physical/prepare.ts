import { rm, statfs } from 'node:fs/promises'
import { type Document, type MongoClient, ObjectId } from 'mongodb'
import { layoutOf } from '../../backup/physical/layout.js'
import { requirePhysical } from '../../backup/physical/readiness.js'
import { programOf, type ServerProgram } from '../../backup/physical/server-program.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { asksForPart, type RestoreCommand } from '../../control/command-document.js'
import { requireRights } from '../../control/rights.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import { storeOf } from '../../encryption/sealed-store.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { CONFIG, CONTROL_DATABASE, PITR } from '../../mongo/control-names.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import { clusterMembers, type Member, type NodeInfo, type ReplsetTopology } from '../../mongo/topology.js'
import { optime } from '../../oplog/entry.js'
import type { PluginHost } from '../../plugin-host/host.js'
import type { OpenStore } from '../../store/open-store.js'
import { findAnywhere } from '../run/find-backup.js'
import { chunksUpTo, type PointInTime } from '../run/point-in-time.js'
import { nameInBackup, refuseProfileBase, replsetOfBackup } from '../run/select.js'
import { sealedOnly } from '../verify/sealed-only.js'
import { filesOfChain } from './chain-files.js'
import { refuseMounts, refuseTakenPlaces, restoreFolders } from './folders.js'
import type { KeptDocuments } from './identity.js'
import type { TakeOverJournal } from './journal.js'
import type { FetchOptions } from './listed-files.js'
import { type KeptOplog, keepOplog } from './oplog-file.js'
import { type PlannedFile, totalSize } from './planned-files.js'
import { prepareFolders } from './take-over.js'

export interface PrepareContext {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly log: OperationLog
  readonly host: PluginHost
  readonly ciphers: Ciphers | undefined
  readonly info: NodeInfo
  /** That of the backup. */
  readonly store: OpenStore
  readonly signal: AbortSignal
}

/** A member that can take part. */
export interface Prepared {
  readonly backup: BackupDocument
  readonly fetching: FetchOptions
  readonly files: readonly PlannedFile[]
  readonly server: ServerOptions
  readonly program: ServerProgram
  /** Where the new files go. */
  readonly folder: string
  /** What leads from the end of the backup to the time that is asked for; undefined for its end. */
  readonly pointInTime: PointInTime | undefined
}

/** More than the files: the server that runs meanwhile has to go on. */
const SPACE_PART = 1.05

/**
 * Looks whether this member can take the files of the backup, and makes the folder for them. Nothing of the data is touched.
 * Throws whatever speaks against it.
 */
export async function preparePhysical(command: RestoreCommand, context: PrepareContext): Promise<Prepared> {
  const { node, leader, self, log, host, ciphers, info, store, signal } = context
  refuseParts(command)
  await requireRights(node, 'agent', { physical: true, version: info.version })
  const listed = await findAnywhere(leader, store, command.backupName, signal)
  if (listed.status !== 'done') {
    throw new PbmError('BACKUP_NOT_DONE', `Backup ${listed.name} can't be restored: it is ${listed.status}`)
  }
  if (listed.type === 'external')
    throw unfit(`backup ${listed.name} is external: its files are to be copied by hand (--external)`)
  const trusted = await sealedOnly(ciphers, { allowUnsealed: command.allowUnsealed, log })
  const backup = await trusted.backup(store, listed, { signal })
  const part = replsetOfBackup(backup, self.rs, command.rsMap ?? {})
  refuseOtherCluster(backup, await clusterMembers(leader), command)
  if (part === undefined) throw unfit(`backup ${backup.name} has nothing for replica set ${self.rs}`)
  refuseProfileBase(backup, command)
  const rs = nameInBackup(self.rs, command.rsMap ?? {})
  const pointInTime = await chunksUpTo({ leader, host, rs, backup, target: command.oplogTS, isPart: false })
  await trusted.chunks(pointInTime?.chunks.map(({ object }) => object) ?? [])
  const server = await requirePhysical(node)
  refuseOtherServer(backup, part, info, server)
  const layout = layoutOf(server.mongodOpts)
  await refuseMounts(server.dbPath, layout)
  const program = await programOf(server)
  const compression = await host.compression(backup.compression)
  const fetching = { store: trusted.store(storeOf(store, ciphers, backup), backup), backup, part, compression, signal }
  const files = await filesOfChain(backup, part.name, { leader, store, host, ciphers, trusted, signal })
  await refuseTakenPlaces(
    server.dbPath,
    files.map(({ filename }) => filename),
    layout,
  )
  const { fresh } = await prepareFolders(server.dbPath)
  await requireSpace(fresh, totalSize(files))
  return { backup, fetching, files, server, program, folder: fresh, pointInTime }
}

/** Brings the oplog, too. */
export async function fetchOplog({ fetching, files, server, pointInTime }: Prepared): Promise<KeptOplog | undefined> {
  if (pointInTime === undefined) return undefined
  const { store, part, signal } = fetching
  const { chunks: pieces, end } = pointInTime
  const reserve = Math.ceil(totalSize(files) * (SPACE_PART - 1))
  const start = optime(part.last_write_ts)
  return await keepOplog({ store, pieces, start, end, signal, reserve }, restoreFolders(server.dbPath).oplog)
}

/** What the member does when its server has ended. */
export async function journalOf(
  { server, program }: Pick<Prepared, 'server' | 'program'>,
  {
    node,
    oplog,
    ...given
  }: Pick<
    TakeOverJournal,
    'record' | 'party' | 'config' | 'kept' | 'sharding' | 'lastWrite' | 'external' | 'allowPartlyDone'
  > & {
    node: MongoClient
    oplog: KeptOplog | undefined
  },
): Promise<TakeOverJournal> {
  const { config } = await node.db('admin').command({ replSetGetConfig: 1 })
  const { identity = '' } = given.record.replsets.find(({ name }) => name === given.party.rs) ?? {}
  return {
    ...given,
    phase: 'down',
    program,
    server: {
      ...{ dbPath: server.dbPath, path: program.path, port: server.port },
      mongodOpts: server.mongodOpts,
    },
    replset: newConfiguration(config as Document, identity),
    oplog: oplog && { entries: oplog.entries, bytes: oplog.bytes },
  }
}

/** The members of now, as a replica set that never met any of another id: old and new data are kept apart by that. */
function newConfiguration(config: Document, identity: string): Document {
  const { settings, ...rest } = config
  return { ...rest, version: 1, term: 1, settings: { ...settings, replicaSetId: new ObjectId(identity) } }
}

export async function keptDocuments(leader: MongoClient): Promise<KeptDocuments> {
  const control = leader.db(CONTROL_DATABASE)
  const [config, pitr] = await Promise.all([CONFIG, PITR].map((name) => control.collection(name).find().toArray()))
  return { config: config ?? [], pitr: pitr ?? [] }
}

export async function removeFresh({ folder }: Pick<Prepared, 'folder'>): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}

/** Rather than all of it where something else was asked for. Exported for tests. */
export function refuseParts(command: RestoreCommand): void {
  const { usersAndRoles, withoutUsersAndRoles, keepExisting, query, external } = command
  if (external) throw unfit('external files are restored by themselves')
  if (
    asksForPart(command) ||
    (query ?? '') !== '' ||
    [usersAndRoles, withoutUsersAndRoles, keepExisting].includes(true)
  ) {
    throw unfit('without --ns, a physical backup is restored with all that is in it, users and roles too')
  }
}

/**
 * A mongod that an agent of systemd starts itself would belong to the unit of the agent, with its limits, and end with it. Throws
 * RESTORE_UNSUPPORTED. Exported for tests.
 */
export function refuseUnitsOwn(startCommand: string | undefined, env = process.env, pid = process.pid): void {
  if (startCommand !== undefined || env.INVOCATION_ID === undefined) return
  // Whatever a unit starts inherits both.
  if (env.SYSTEMD_EXEC_PID !== undefined && env.SYSTEMD_EXEC_PID !== String(pid)) return
  throw new PbmError(
    'RESTORE_UNSUPPORTED',
    'this agent runs under systemd, and is not told how its mongod is started',
    {
      hint: 'Set mongod.start (PBM_MONGOD_START, --mongod-start) of the agent: systemctl start mongod',
    },
  )
}

/** Names of shards are in the data themselves. */
function refuseOtherCluster(
  backup: BackupDocument,
  cluster: readonly ReplsetTopology[],
  { rsMap = {} }: RestoreCommand,
): void {
  if (backup.replsets.length === 1 && cluster.length === 1) return
  const [made, runs] = [backup.replsets.map(({ name }) => name), cluster.map(({ rs }) => rs)].map((names) =>
    names.toSorted().join(', '),
  )
  if (made === runs && Object.keys(rsMap).length === 0) return
  throw unfit(`backup ${backup.name} is of the replica sets ${made}, and this cluster has ${runs}`)
}

function refuseOtherServer(backup: BackupDocument, part: BackupReplset, info: NodeInfo, server: ServerOptions): void {
  refuseOtherVersion(backup, part, info)
  const [stored, own] = [layoutOf(part.mongod_opts), layoutOf(server.mongodOpts)]
  for (const key of ['directoryPerDB', 'directoryForIndexes'] as const) {
    if (stored[key] === own[key]) continue
    throw unfit(`backup ${backup.name} was made with ${key} ${stored[key]}, and this server runs with ${own[key]}`)
  }
}

/** Throws RESTORE_UNSUPPORTED where a server of that version can't open the files. */
export function refuseOtherVersion(backup: BackupDocument, part: BackupReplset, info: NodeInfo): void {
  const [made, runs] = [backup.mongodb_version, info.psmdbVersion ?? info.version].map((version) =>
    version.split('.').slice(0, 2).join('.'),
  )
  if (made !== runs) throw unfit(`backup ${backup.name} is of MongoDB ${made}, and this server is ${runs}`)
  if (part.mongod_opts?.security !== undefined)
    throw unfit(`the files of backup ${backup.name} are encrypted by their server`)
}

async function requireSpace(folder: string, size: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const needed = Math.ceil(size * SPACE_PART)
  if (bavail * bsize >= needed) return
  throw new PbmError('NO_SPACE', `${folder} needs ${needed} bytes for the files, and has ${bavail * bsize}`, {
    hint: 'Make room there: the old files stay until the new ones have proven themselves',
  })
}

function unfit(what: string): PbmError {
  return new PbmError('RESTORE_UNSUPPORTED', what)
}
