import type { Timestamp } from 'bson'
import { ChunkChecksums } from '../catalog/chunk-checksums.js'
import { planPointInTime } from '../catalog/plan-restore.js'
import { isBaseSnapshot } from '../catalog/retention.js'
import { chainsByReplset, newcomers, timelines, wholeSeconds } from '../catalog/timelines.js'
import type { BackupDocument } from '../control/backup-document.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { BackupVerification, ChunksVerification, VerificationReport } from '../control/verification-document.js'
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
import { type VerifiedChunks, verifyChunks } from './chunks.js'
import type { ListedChunks, VerifyContext } from './context.js'
import { MOST_DAMAGES } from './findings.js'

/** What is to be verified: one of these. */
export type VerifyScope =
  | { readonly backup: string }
  /** Every backup, and the chunks, of what ends at or after `since` (Unix seconds). */
  | { readonly all: true; readonly since?: number }
  | { readonly chunks: true; readonly since?: number }
  /** All that a restore to this time takes. */
  | { readonly time: Timestamp }

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
  const bases = catalog.records.filter(isBaseSnapshot)
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
  const hasChunks = catalog.chunks.length > 0 || (listed?.chunks?.all.length ?? 0) > 0
  if (!('chunks' in scope) && !hasChunks) return reportOf(backups, undefined, options)
  const isWanted = planned?.isWanted ?? (({ end_ts }: Pick<PitrChunkDocument, 'end_ts'>) => end_ts.t >= since)
  const chunks = await verifyChunks({ ...catalog, isWanted, listed: listed?.chunks }, options)
  const bad = new Set(backups.filter(({ result }) => result === 'damaged').map(({ name }) => name))
  const good = bases.filter(({ name, type }) => !bad.has(name) && type === 'logical')
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

interface StorageCatalog {
  /** Of backups, at the root. */
  readonly names: readonly string[]
  /** Those of them that can be read. */
  readonly records: readonly BackupDocument[]
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
  const records: BackupDocument[] = []
  for (const name of own) {
    const record = await readRecord(store, backupMetadataName(name), { signal }).catch((error: unknown) => {
      if (isOfRecord(error)) return undefined
      throw error
    })
    if (record !== undefined) records.push(record)
  }
  return { names: own, records, chunks, checksums }
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
function planOf(time: Timestamp, chunks: readonly PitrChunkDocument[], records: readonly BackupDocument[]) {
  const target = optime(time)
  const bases = records.filter(({ type }) => type === 'logical')
  const base = planPointInTime({ chunks, bases, target })
  const added = newcomers(base, chainsByReplset(chunks), target)
  const isWanted = ({ rs, start_ts, end_ts }: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>) =>
    optime(start_ts) <= target && optime(end_ts) >= (added.get(rs) ?? optime(base.last_write_ts))
  return { base, isWanted }
}

function reportOf(
  found: readonly (BackupVerification & { more: number })[],
  foundChunks: (ChunksVerification & Pick<VerifiedChunks, 'more' | 'good'>) | undefined,
  { readData }: Pick<VerifyOptions, 'readData'>,
): VerificationReport {
  let more = (foundChunks?.more ?? 0) + found.reduce((sum, one) => sum + one.more, 0)
  let left = MOST_DAMAGES
  const within = <T extends { readonly damages: readonly unknown[] }>(one: T): T => {
    const damages = one.damages.slice(0, left)
    left -= damages.length
    more += one.damages.length - damages.length
    return { ...one, damages }
  }
  const backups = found.map(({ more: _, ...one }) => within(one))
  const { more: _more, good: _good, ...told } = foundChunks ?? { more: 0, good: [] }
  const chunks = foundChunks === undefined ? undefined : within(told as ChunksVerification)
  const results = [...backups, ...(chunks === undefined ? [] : [chunks])].map(({ result }) => result)
  const result = results.includes('damaged') ? 'damaged' : results.includes('unread') ? 'unread' : 'good'
  return { result, readData, backups, ...(chunks === undefined ? {} : { chunks }), more }
}

function notFound(name: string): PbmError {
  return new PbmError('BACKUP_NOT_FOUND', `there is no backup ${name} on the storage`, {
    hint: 'See: pbm list',
  })
}
