import { Timestamp } from 'bson'
import { userName } from '../../mongo/time-series.js'
import { isPrintable } from '../../secrets/printable.js'

/**
 * Every object name of the storage, both ways (PBM: storage-format.md §1, §4, §5), but those of keys (`encryption/key-objects`),
 * sealed namespaces (`namespace-objects`) and parts (`wrappers/parts`). All names are relative to the root of
 * the storage and use `/`. `suffix` is what the compression method appends, with its dot: `.zst`, or '' for none.
 */

/** Holds the PBM version as ASCII; marks a storage in use and is what write tests rewrite. */
export const INIT_OBJECT = '.pbm.init'
/**
 * Ours; PBM never lists it: a random UUID that tells one storage from another, whatever path or URL leads to it.
 */
export const IDENTITY_OBJECT = '.pbmkit.storage'
export const METADATA_SUFFIX = '.pbm.json'
/** Root folder of the chunks of point-in-time recovery. */
export const PITR_FOLDER = 'pbmPitr'
/** What physical restores agree by and tell while no database is there (PBM: physical.md §4). */
export const RESTORES_FOLDER = '.pbm.restore'

/** Suffixes of PBM's compression types (PBM: storage-format.md §5); the other way is `compressionBySuffix`. */
const SUFFIXES: Readonly<Record<string, string>> = {
  none: '',
  gzip: '.gz',
  pgzip: '.gz',
  snappy: '.snappy',
  lz4: '.lz4',
  s2: '.s2',
  zstd: '.zst',
}

/** PBM's suffix of one of its own compression types; undefined for a type that PBM does not have. */
export function suffixOfCompression(type: string): string | undefined {
  return Object.hasOwn(SUFFIXES, type) ? SUFFIXES[type] : undefined
}

/** Ours, while a backup begins: what its leader writes for all members to look for. PBM never lists it. */
export function backupMarkName(backup: string): string {
  return `.pbmkit.mark-${backup}`
}

export function backupMetadataName(backup: string): string {
  return `${backup}${METADATA_SUFFIX}`
}

/** The backup whose metadata `object` is by its name, at whatever depth; undefined for other objects. */
export function parseBackupMetadataName(object: string): string | undefined {
  const file = object.slice(object.lastIndexOf('/') + 1)
  return file.endsWith(METADATA_SUFFIX) && file !== METADATA_SUFFIX ? file.slice(0, -METADATA_SUFFIX.length) : undefined
}

/**
 * What no backup may be called, in whatever case: some storages tell no cases apart. Physical restores leave what they
 * have to say in `.pbm.restore`.
 */
const RESERVED_NAME = new RegExp(`^(?:${PITR_FOLDER}$|\\.pbm|pbmkit)`, 'i')

/**
 * Whether deleting `<name>/…` can only touch that backup. Names come from documents and from the storage, where anything
 * may stand: an empty one, `..` or `pbmPitr` must never become the prefix of a deletion, nor a folder inside another
 * backup, and control characters must not reach anybody's terminal.
 */
export function isSafeBackupName(name: unknown): name is string {
  if (typeof name !== 'string' || name.includes('/') || !isSafeSegment(name)) return false
  return isPrintable(name) && !RESERVED_NAME.test(name)
}

/**
 * Whether an object is called as those of that backup are: in its folder or, before PBM 2.0, as an archive at the root, in
 * whose name colons may have been replaced by hand (PBM: storage-format.md §6).
 */
export function isNamedAfter(backup: string, object: string): boolean {
  const rootNames = [backup, backup.replaceAll(':', '.')]
  return object.startsWith(backupFolder(backup)) || rootNames.some((name) => object.startsWith(`${name}_`))
}

/** With its slash at the end: the prefix of all objects of a backup but its metadata. */
export function backupFolder(backup: string): string {
  return `${backup}/`
}

/** With its slash at the end. */
export function replsetFolder(backup: string, replset: string): string {
  return `${backup}/${replset}/`
}

/** The list of namespaces: what `dump_name` (JSON `backup_name`) of a replica set points at since PBM 2.0. */
export function namespaceListName(backup: string, replset: string): string {
  return `${replsetFolder(backup, replset)}metadata.json`
}

export function metaPbmName(backup: string, replset: string): string {
  return `${replsetFolder(backup, replset)}meta.pbm`
}

export function filelistName(backup: string, replset: string): string {
  return `${replsetFolder(backup, replset)}filelist.pbm`
}

/** The file of a namespace inside the replica set's folder, without suffix: PBM's natural name, unescaped. */
export function namespaceFile(db: string, collection: string): string {
  return userName(`${db}.${collection}`)
}

/** Ours; PBM does not look at it: the hashes of all blocks of an incremental backup's files. */
export function blockIndexName(backup: string, replset: string): string {
  return `${replsetFolder(backup, replset)}pbmkit.blocks`
}

/** Without a slash at the end, as `oplog_name` has it since PBM 2.4. */
export function oplogFolder(backup: string, replset: string): string {
  return `${replsetFolder(backup, replset)}oplog`
}

/** The file name of an oplog chunk inside `oplogFolder`. Both bounds are inclusive. */
export function oplogChunkFile(start: Timestamp, end: Timestamp, suffix: string): string {
  return `${timestampText(start)}.${timestampText(end)}${suffix}`
}

export function oplogChunkName(backup: string, replset: string, start: Timestamp, end: Timestamp, suffix: string) {
  return `${oplogFolder(backup, replset)}/${oplogChunkFile(start, end, suffix)}`
}

export interface ChunkName {
  readonly start: Timestamp
  readonly end: Timestamp
  /** With its dot; '' for none. */
  readonly suffix: string
}

/** Takes a whole object name or its last segment; undefined where PBM refuses the name too. */
export function parseOplogChunkName(object: string): ChunkName | undefined {
  const file = object.slice(object.lastIndexOf('/') + 1)
  const parts = file.split('.')
  if (parts.length < 2 || parts.length > 3) return undefined
  const start = parseTimestampText(parts[0] ?? '', { incrementRequired: true })
  const end = parseTimestampText(parts[1] ?? '', { incrementRequired: true })
  if (start === undefined || end === undefined) return undefined
  return { start, end, suffix: parts[2] === undefined ? '' : `.${parts[2]}` }
}

/** PBM before 2.0, and our `layout: archive`: a whole mongodump archive at the root. */
export function archiveDumpName(backup: string, replset: string, suffix: string): string {
  return `${backup}_${replset}.dump${suffix}`
}

export function archiveOplogName(backup: string, replset: string, suffix: string): string {
  return `${backup}_${replset}.oplog${suffix}`
}

/** With its slash at the end: where the chunks that begin on that day (UTC) are. */
export function pitrDayFolder(replset: string, start: Timestamp): string {
  return `${PITR_FOLDER}/${replset}/${timestampText(start).slice(0, 8)}/`
}

/**
 * A sealed chunk says so where PBM has the word `oplog`, so that PBM, which can't read it, does not take it for a chunk.
 * `encryption` is the name of the method.
 */
export function pitrChunkName(
  replset: string,
  start: Timestamp,
  end: Timestamp,
  suffix: string,
  encryption?: string,
): string {
  const kind = encryption === undefined ? 'oplog' : `oplog-${encryption}`
  return `${pitrDayFolder(replset, start)}${timestampText(start)}.${timestampText(end)}.${kind}${suffix}`
}

export interface PitrChunkName extends ChunkName {
  readonly replset: string
  /** The method it is sealed with; absent for one that is not. */
  readonly encryption?: string
}

/** Takes the whole object name. The date folder is ignored and a missing increment means 0, as in PBM. */
export function parsePitrChunkName(object: string): PitrChunkName | undefined {
  const segments = object.split('/')
  const file = segments.at(-1) ?? ''
  const replset = segments[1]
  if (segments[0] !== PITR_FOLDER || segments.length < 3 || replset === undefined || replset === '') return undefined
  const parts = file.split('.')
  const kind = /^oplog(?:-([a-z0-9-]+))?$/.exec(parts[2] ?? '')
  if (parts.length < 3 || parts.length > 4 || kind === null) return undefined
  const start = parseTimestampText(parts[0] ?? '')
  const end = parseTimestampText(parts[1] ?? '')
  if (start === undefined || end === undefined) return undefined
  const suffix = parts[3] === undefined ? '' : `.${parts[3]}`
  return { replset, start, end, suffix, ...(kind[1] === undefined ? {} : { encryption: kind[1] }) }
}

/** `YYYYMMDDhhmmss-I`, UTC, the increment unpadded. */
export function timestampText(timestamp: Timestamp): string {
  const digits = new Date(timestamp.t * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  return `${digits}-${timestamp.i}`
}

export function parseTimestampText(text: string, options: { incrementRequired?: boolean } = {}): Timestamp | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:-(\d{1,10}))?$/.exec(text)
  if (match === null || (options.incrementRequired === true && match[7] === undefined)) return undefined
  const [, year, month, day, hour, minute, second] = match
  const milliseconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  const increment = Number(match[7] ?? 0)
  if (Number.isNaN(milliseconds) || milliseconds < 0 || increment > 0xffffffff) return undefined
  const seconds = milliseconds / 1000
  return seconds > 0xffffffff ? undefined : new Timestamp({ t: seconds, i: increment })
}

/** No empty segment, `.` or `..`: what every storage takes and no path cleaning changes. */
export function isSafeSegment(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..'
}
