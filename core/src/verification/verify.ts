import type { Timestamp } from 'bson'
import { ChunkChecksums } from '../catalog/chunk-checksums.js'
import { planPointInTime } from '../catalog/plan-restore.js'
import { isPointInTimeBase } from '../catalog/retention.js'
import { type Base, chainsByReplset, newcomers, timelines, wholeSeconds } from '../catalog/timelines.js'
import type { BackupDocument } from '../control/backup-document.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { BackupVerification, VerificationReport } from '../control/verification-document.js'
import { PbmError } from '../errors.js'
import { optime } from '../oplog/entry.js'
import { compressionBySuffix } from '../plugin-host/naming.js'
import {
  backupMetadataName,
  isSafeBackupName,
  METADATA_SUFFIX,
  PITR_FOLDER,
  parsePitrChunkName,
} from '../store/layout/names.js'
import { readRecord } from '../store/layout/read-record.js'
import { verifyBackup } from './backup.js'
import { verifyChunks } from './chunks.js'
import type { ListedChunks, VerifyContext } from './context.js'
import { reportOf } from './report.js'
import type { VerifyScope } from './scope.js'

/** What the cluster knows of the storage. */
export interface ListedStorage {
  /** Names of the backups that should be there. */
  readonly backups: readonly string[]
  /** Whether one of them should be there still. */
  readonly isBackupListed: (name: string) => Promise<boolean>
  /** On the main storage only. */
  readonly chunks: ListedChunks | undefined
}

export interface VerifyOptions extends VerifyContext {
  /** Percent of the objects that are read. */
  readonly readData: number
  /** Absent where there is no database. */
  readonly listed?: ListedStorage | undefined
  /** Told of each backup as soon as it is verified. */
  readonly onBackup?: (verified: BackupVerification) => Promise<void>
}

/**
 * Verifies what is on a storage, and changes nothing there. Rejects with BACKUP_NOT_FOUND and RESTORE_TIME for what is not
 * there to be verified, and with faults of the storage.
 */
export async function verifyStorage(scope: VerifyScope, options: VerifyOptions): Promise<VerificationReport> {
  const { signal, listed } = options
  options.progress.phase('list', { bytes: 0, documents: 0 })
  if ('backup' in scope) {
    if (!isSafeBackupName(scope.backup)) throw notFound(scope.backup)
    const verified = await verifyListed(scope.backup, options)
    if (verified === undefined) throw notFound(scope.backup)
    return reportOf([verified], undefined, options)
  }
  const catalog = await listStorage(options)
  const since = 'since' in scope ? (scope.since ?? 0) : 0
  const bases = catalog.records.filter(({ isBase }) => isBase)
  const planned = 'time' in scope ? planOf(scope.time, catalog.chunks, bases) : undefined
  const names =
    planned !== undefined
      ? [planned.base.name]
      : 'all' in scope
        ? namesSince(since, catalog, listed?.backups ?? [])
        : []
  const backups: (BackupVerification & { more: number })[] = []
  for (const name of names) {
    signal.throwIfAborted()
    const verified = await verifyListed(name, options)
    if (verified !== undefined) backups.push(verified)
  }
  const hasChunks = catalog.chunks.length > 0 || (listed?.chunks?.all.size ?? 0) > 0
  if (!('chunks' in scope) && !hasChunks) return reportOf(backups, undefined, options)
  const isWanted = planned?.isWanted ?? (({ end_ts }: Pick<PitrChunkDocument, 'end_ts'>) => end_ts.t >= since)
  const chunks = await verifyChunks({ ...catalog, isWanted, listed: listed?.chunks }, options)
  const bad = new Set(backups.filter(({ result }) => result === 'damaged').map(({ name }) => name))
  const good = bases.filter(({ name }) => !bad.has(name))
  const ranges = timelines(chunks.good, good).ranges.flatMap((range) => wholeSeconds(range) ?? [])
  return reportOf(backups, { ...chunks, ranges }, options)
}

/** Undefined where nobody says that there should be one, and none is there. */
async function verifyListed(
  name: string,
  options: VerifyOptions,
): Promise<(BackupVerification & { more: number }) | undefined> {
  const { listed, onBackup } = options
  const verified = await verifyBackup(name, options)
  const record = backupMetadataName(name)
  const isAway = verified.damages.some((one) => one.object === record && one.code === 'BACKUP_OBJECT_MISSING')
  if (isAway) {
    if (listed?.backups.includes(name) !== true) return undefined
    if (!(await listed.isBackupListed(name))) return { ...verified, result: 'gone' }
  }
  await onBackup?.(verified)
  return verified
}

/** What is used of a record: a storage may have many, and each may be large. */
interface KnownBackup extends Base {
  /** A restore to a time can start from it. */
  readonly isBase: boolean
}

interface StorageCatalog {
  /** Of backups, at the root. */
  readonly names: readonly string[]
  /** Those of them that can be read. */
  readonly records: readonly KnownBackup[]
  readonly chunks: readonly PitrChunkDocument[]
  readonly checksums: ChunkChecksums
}

async function listStorage({ store, signal }: VerifyOptions): Promise<StorageCatalog> {
  const names: string[] = []
  const chunks: PitrChunkDocument[] = []
  const checksums = new ChunkChecksums()
  for await (const { name, size } of store.list({ signal })) {
    if (!name.includes('/') && name.endsWith(METADATA_SUFFIX)) names.push(name.slice(0, -METADATA_SUFFIX.length))
    if (!name.startsWith(`${PITR_FOLDER}/`) || checksums.add(name)) continue
    const chunk = parsePitrChunkName(name)
    if (chunk === undefined) continue
    const { replset: rs, start: start_ts, end: end_ts, encryption } = chunk
    const sealed = encryption === undefined ? {} : { encryption }
    chunks.push({ rs, fname: name, compression: compressionBySuffix(name), start_ts, end_ts, size, ...sealed })
  }
  const own = names.filter(isSafeBackupName)
  const records: KnownBackup[] = []
  for (const name of own) {
    const record = await readRecord(store, backupMetadataName(name), { signal }).catch((error: unknown) => {
      if (isOfRecord(error)) return undefined
      throw error
    })
    if (record !== undefined) records.push(knownOf(record))
  }
  return { names: own, records, chunks, checksums }
}

function knownOf({ name, type, status, nss, last_write_ts, replsets }: BackupDocument): KnownBackup {
  // Chunks lie on the main storage, so beside chunks it is none of a profile's, whatever it was once.
  const isBase = isPointInTimeBase({ type, status, store: { type: '' }, ...(nss === undefined ? {} : { nss }) })
  return { name, last_write_ts, replsets: replsets.map((one) => ({ name: one.name })), isBase }
}

const OF_RECORDS: ReadonlySet<unknown> = new Set([
  ...['BACKUP_METADATA_INVALID', 'OBJECT_TOO_LARGE', 'STORAGE_NOT_FOUND', 'STORAGE_EMPTY'],
])

/** Told when the backup itself is verified. */
function isOfRecord(error: unknown): boolean {
  return OF_RECORDS.has((error as { code?: unknown } | null)?.code)
}

/** Those that end before it are left out; of one whose record can't be read nobody knows. */
function namesSince(since: number, { names, records }: StorageCatalog, listed: readonly string[]): string[] {
  const older = new Set(records.filter(({ last_write_ts }) => last_write_ts.t < since).map(({ name }) => name))
  return [...new Set([...names, ...listed])].filter((name) => !older.has(name)).sort()
}

/** The base and the chunks of a restore to `time`. Throws RESTORE_TIME. */
function planOf(time: Timestamp, chunks: readonly PitrChunkDocument[], bases: readonly KnownBackup[]) {
  const target = optime(time)
  const base = planPointInTime({ chunks, bases, target })
  const added = newcomers(base, chainsByReplset(chunks), target)
  const isWanted = ({ rs, start_ts, end_ts }: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>) =>
    optime(start_ts) <= target && optime(end_ts) >= (added.get(rs) ?? optime(base.last_write_ts))
  return { base, isWanted }
}

function notFound(name: string): PbmError {
  return new PbmError('BACKUP_NOT_FOUND', `there is no backup ${name} on the storage`, {
    hint: 'See: pbm list',
  })
}
