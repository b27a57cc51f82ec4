import { Timestamp } from 'bson'
import { crcText, createCrc64 } from '../../archive/crc64.js'
import { type JsonValue, parseJsonGently, TooManyValues } from '../../bson/ordered-json.js'
import type { BackupDocument } from '../../control/backup-document.js'
import { PbmError } from '../../errors.js'
import { maskSecrets } from '../../secrets/documents.js'
import { goJson } from './go-json.js'

/**
 * `<name>.pbm.json`: the backup's document as PBM writes it to the storage (PBM: storage-format.md §2). One table serves
 * both directions; its order is the order of the keys in the file.
 */
interface Field {
  /** In the JSON. */
  readonly key: string
  /** In the document, where that differs. */
  readonly as?: string
  readonly kind: Kind
  /** `empty`: left out when empty; `absent`: only when the document has none. Otherwise the key always stands. */
  readonly omit?: 'empty' | 'absent'
}
type Name = 'string' | 'integer' | 'boolean' | 'timestamp' | 'strings' | 'map' | 'object' | 'store' | 'list'
/** An array of fields is a list of such documents; `fields` one of them. */
type Kind = Name | Field[] | { readonly fields: Field[] }

const CONDITION: Field[] = [
  { key: 'timestamp', kind: 'integer' },
  { key: 'status', kind: 'string' },
  { key: 'error', kind: 'string', omit: 'empty' },
]

const NOMINATION: Field[] = [
  { key: 'rs', kind: 'string' },
  { key: 'n', kind: 'strings' },
  { key: 'ack', kind: 'string' },
]

const OPLOG_OBJECT: Field[] = [
  { key: 'name', kind: 'string' },
  { key: 'crc', kind: 'string' },
  { key: 'storedCrc', kind: 'string', omit: 'empty' },
]

const STORED_OBJECT: Field[] = [
  { key: 'name', kind: 'string' },
  { key: 'size', kind: 'integer' },
  { key: 'crc', kind: 'string' },
]

const ENCRYPTION: Field[] = [
  { key: 'type', kind: 'string' },
  { key: 'keyIds', kind: 'strings' },
  { key: 'objects', kind: 'integer', omit: 'absent' },
]

const TRANSFER: Field[] = ['objects', 'bytes', 'millis', 'retries'].map((key) => ({ key, kind: 'integer' }))

const REPLSET: Field[] = [
  { key: 'name', kind: 'string' },
  { key: 'journal', kind: 'list', omit: 'empty' },
  { key: 'files', kind: 'list', omit: 'empty' },
  { key: 'backup_name', as: 'dump_name', kind: 'string', omit: 'empty' },
  { key: 'oplog_name', kind: 'string', omit: 'empty' },
  { key: 'start_ts', kind: 'integer' },
  { key: 'status', kind: 'string' },
  { key: 'size', kind: 'integer' },
  { key: 'size_uncompressed', kind: 'integer' },
  { key: 'iscs', kind: 'boolean', omit: 'absent' },
  { key: 'configshard', kind: 'boolean', omit: 'absent' },
  { key: 'last_transition_ts', kind: 'integer' },
  { key: 'first_write_ts', kind: 'timestamp' },
  { key: 'last_write_ts', kind: 'timestamp' },
  { key: 'node', kind: 'string' },
  { key: 'error', kind: 'string', omit: 'empty' },
  { key: 'conditions', kind: CONDITION },
  { key: 'mongod_opts', kind: 'object', omit: 'empty' },
  { key: 'pbm_version', kind: 'string', omit: 'empty' },
  { key: 'mongo_version', kind: 'string', omit: 'empty' },
  { key: 'this_id', kind: 'string', omit: 'empty' },
  // Ours; PBM ignores unknown keys.
  { key: 'transfer', kind: { fields: TRANSFER }, omit: 'empty' },
  { key: 'oplog_objects', kind: OPLOG_OBJECT, omit: 'empty' },
  { key: 'objects', kind: STORED_OBJECT, omit: 'empty' },
  { key: 'encryption', kind: { fields: ENCRYPTION }, omit: 'absent' },
]

const BACKUP: Field[] = [
  { key: 'type', kind: 'string' },
  { key: 'opid', kind: 'string' },
  { key: 'name', kind: 'string' },
  { key: 'src_backup', kind: 'string', omit: 'empty' },
  { key: 'shardRemap', kind: 'map', omit: 'empty' },
  { key: 'nss', kind: 'strings', omit: 'empty' },
  { key: 'sel_users_and_roles', kind: 'boolean', omit: 'empty' },
  { key: 'replsets', kind: REPLSET },
  { key: 'compression', kind: 'string' },
  { key: 'store', kind: 'store' },
  { key: 'size', kind: 'integer' },
  { key: 'size_uncompressed', kind: 'integer' },
  { key: 'mongodb_version', kind: 'string' },
  { key: 'fcv', kind: 'string' },
  { key: 'start_ts', kind: 'integer' },
  { key: 'last_transition_ts', kind: 'integer' },
  { key: 'first_write_ts', kind: 'timestamp' },
  { key: 'last_write_ts', kind: 'timestamp' },
  { key: 'hb', kind: 'timestamp' },
  { key: 'status', kind: 'string' },
  { key: 'conditions', kind: CONDITION },
  { key: 'n', kind: NOMINATION },
  { key: 'error', kind: 'string', omit: 'empty' },
  { key: 'pbm_version', kind: 'string' },
  { key: 'balancer', kind: 'string' },
  // Ours; PBM ignores unknown keys.
  { key: 'layout', kind: 'string', omit: 'empty' },
  { key: 'signature', kind: 'string', omit: 'empty' },
]

/** Ours, and the last key of all: CRC-64/XZ of the text with zeros in its place. PBM's records have none. */
const CHECKSUM = 'checksum'
const UNSUMMED = '0'.repeat(16)
const AT_END = new RegExp(`("${CHECKSUM}": ")([0-9a-f]{16})("\\s*\\}\\s*)$`)
/** Characters: what comes after the checksum is short, and records may be long. */
const TAIL = 256

/** The text of a record with its checksum, anew where it has one. */
export function withChecksum(record: string): string {
  const summed = partsOf(record) ?? partsOf(record.replace(/\n\}$/, `,\n\t"${CHECKSUM}": "${UNSUMMED}"\n}`))
  return summed === undefined ? record : `${summed.before}${crcOf(summed)}${summed.after}`
}

/** Whether the record is of a version of ours that gives each a checksum. */
export function isOwnRecord({ replsets }: BackupDocument): boolean {
  return replsets.some(({ objects }) => objects !== undefined)
}

/** The text around the digits of the checksum; undefined where it has none. */
function partsOf(record: string): { before: string; crc: string; after: string } | undefined {
  const found = AT_END.exec(record.slice(-TAIL))
  if (found === null) return undefined
  const [, , crc = '', after = ''] = found
  return { before: record.slice(0, record.length - after.length - crc.length), crc, after }
}

function crcOf({ before, after }: { before: string; after: string }): string {
  const crc = createCrc64()
  for (const part of [before, UNSUMMED, after]) crc.update(Buffer.from(part))
  return crcText(crc)
}

/**
 * The text of `<name>.pbm.json`, byte for byte as PBM would write it. `store` is that of the document with its secrets
 * masked; left out where nobody knows its plugin, by names.
 */
export function toStorageJson(document: BackupDocument, store: unknown = maskSecrets(document.store)): string {
  return goJson(encodeFields(BACKUP, { ...document, store }))
}

/**
 * Reads `<name>.pbm.json` of any PBM. Unknown keys and the case of keys are ignored, missing and null values become
 * their zero (`Timestamp(1,1)` for timestamps, PBM's "unset"). Throws `BACKUP_METADATA_INVALID` naming the key for a
 * value of the wrong type, or the place where the text is no JSON, and for one that is not what its checksum says.
 */
export function fromStorageJson(text: string): BackupDocument {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new PbmError('BACKUP_METADATA_INVALID', `not JSON: ${error instanceof Error ? error.message : error}`)
  }
  return documentOf(parsed, text)
}

/** The same for a text of any length: everybody else gets a turn meanwhile. */
export async function fromStorageJsonGently(text: string): Promise<BackupDocument> {
  if (text.length < SHORT) return fromStorageJson(text)
  const parsed = await parseJsonGently(text, MOST_VALUES).catch((error: unknown) => {
    if (error instanceof TooManyValues) throw tooMany()
    throw new PbmError('BACKUP_METADATA_INVALID', `not JSON: ${error instanceof Error ? error.message : error}`)
  })
  return documentOf(plain(parsed), text)
}

/** Parsed in no time. */
const SHORT = 256 * 1024

function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain)
  return value instanceof Map ? Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)])) : value
}

function documentOf(parsed: unknown, text: string): BackupDocument {
  if (!isRecord(parsed)) throw wrongType('the whole document', 'an object', parsed)
  const summed = Object.hasOwn(parsed, CHECKSUM) ? partsOf(text) : undefined
  if (Object.hasOwn(parsed, CHECKSUM) && (summed === undefined || summed.crc !== crcOf(summed))) {
    throw new PbmError('BACKUP_METADATA_INVALID', 'it was altered: its checksum is wrong')
  }
  return decodeFields(BACKUP, parsed, '', new Budget()) as unknown as BackupDocument
}

function encodeFields(fields: readonly Field[], document: Record<string, unknown>): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  for (const { key, as, kind, omit } of fields) {
    const value = document[as ?? key] ?? undefined
    if (value === undefined && omit !== undefined) continue
    if (omit === 'empty' && isEmpty(value)) continue
    json[key] = encode(kind, value)
  }
  return json
}

function encode(kind: Kind, value: unknown): unknown {
  if (Array.isArray(kind)) {
    return value === undefined ? null : (value as Record<string, unknown>[]).map((item) => encodeFields(kind, item))
  }
  if (typeof kind === 'object') return encodeFields(kind.fields, (value ?? {}) as Record<string, unknown>)
  switch (kind) {
    case 'string':
      return value ?? ''
    case 'integer':
      return value ?? 0
    case 'boolean':
      return value ?? false
    case 'timestamp': {
      // Not instanceof: the driver's copy of the bson package is another one than ours.
      const { t, i } = (value as Timestamp | undefined) ?? { t: 0, i: 0 }
      return { T: t, I: i }
    }
    case 'store': {
      const { name, profile, type, ...provider } = (value ?? {}) as Record<string, unknown>
      const head = { name: name === '' ? undefined : name, profile: profile === true ? true : undefined }
      return { ...head, type: type ?? '', ...provider }
    }
    case 'map':
      // Go sorts the keys of maps.
      return Object.fromEntries(
        Object.entries(value as object).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      )
    case 'object':
      return maskSecrets(value)
    case 'strings':
    case 'list':
      return value ?? null
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/**
 * What a record may have of fields and entries, those counted that are filled in: more than a cluster of a thousand shards
 * has. Decoding and storing that many takes no longer than others may wait for their turn.
 */
const MOST_VALUES = 250_000

class Budget {
  #left = MOST_VALUES

  take(count: number): void {
    this.#left -= count
    if (this.#left < 0) throw tooMany()
  }
}

function tooMany(): PbmError {
  return new PbmError(
    'BACKUP_METADATA_INVALID',
    `it has more than ${MOST_VALUES} values, as no record of a backup does`,
  )
}

function decodeFields(
  fields: readonly Field[],
  json: Record<string, unknown>,
  path: string,
  budget: Budget,
): Record<string, unknown> {
  budget.take(fields.length)
  const byLowerCase = new Map(Object.entries(json).map(([key, value]) => [key.toLowerCase(), value]))
  const document: Record<string, unknown> = {}
  for (const { key, as, kind, omit } of fields) {
    const value = (Object.hasOwn(json, key) ? json[key] : byLowerCase.get(key.toLowerCase())) ?? undefined
    const decoded = decode(kind, value, `${path}${key}`, budget)
    if (omit === 'absent' && value === undefined) continue
    if (omit === 'empty' && isEmpty(decoded)) continue
    document[as ?? key] = decoded
  }
  return document
}

function decode(kind: Kind, value: unknown, path: string, budget: Budget): unknown {
  if (Array.isArray(kind)) {
    const decodeItem = (item: unknown, at: string) => {
      if (!isRecord(item)) throw wrongType(at, 'an object', item)
      return decodeFields(kind, item, `${at}.`, budget)
    }
    return decodeList(value, path, budget, decodeItem)
  }
  if (typeof kind === 'object') {
    if (value === undefined) return {}
    if (!isRecord(value)) throw wrongType(path, 'an object', value)
    return decodeFields(kind.fields, value, `${path}.`, budget)
  }
  switch (kind) {
    case 'string':
      return decodeString(value ?? '', path)
    case 'integer':
      if (value === undefined) return 0
      if (!Number.isSafeInteger(value)) throw wrongType(path, 'an integer', value)
      return value
    case 'boolean':
      if (value !== undefined && typeof value !== 'boolean') throw wrongType(path, 'true or false', value)
      return value ?? false
    case 'timestamp':
      return decodeTimestamp(value, path, budget)
    case 'strings':
      return decodeList(value, path, budget, decodeString)
    case 'list':
      refuseDeep(value, path, budget)
      return decodeList(value, path, budget, (item) => item)
    case 'map':
      if (value !== undefined && !isRecord(value)) throw wrongType(path, 'an object', value)
      for (const [key, item] of Object.entries(value ?? {})) {
        budget.take(1)
        decodeString(item, `${path}.${key}`)
      }
      return value ?? {}
    case 'object':
    case 'store':
      if (value !== undefined && !isRecord(value)) throw wrongType(path, 'an object', value)
      refuseDeep(value, path, budget)
      return value ?? {}
  }
}

/** No server takes a document that is nested deeper. */
const MAX_DEPTH = 100

function refuseDeep(value: unknown, path: string, budget: Budget, depth = 0): void {
  budget.take(1)
  if (typeof value !== 'object' || value === null) return
  if (depth > MAX_DEPTH) throw new PbmError('BACKUP_METADATA_INVALID', `key ${path} is nested too deep`)
  for (const inner of Object.values(value)) refuseDeep(inner, path, budget, depth + 1)
}

function decodeString(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrongType(path, 'a string', value)
  return value
}

function decodeList(
  value: unknown,
  path: string,
  budget: Budget,
  item: (value: unknown, path: string) => unknown,
): unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw wrongType(path, 'an array', value)
  budget.take(value.length)
  return value.map((element, index) => item(element, `${path}[${index}]`))
}

/** Zero becomes (1,1): the server replaces a top-level Timestamp(0,0) by its own time on insert (PBM: control-plane.md §1.2). */
function decodeTimestamp(value: unknown, path: string, budget: Budget): Timestamp {
  if (value === undefined) return new Timestamp({ t: 1, i: 1 })
  if (!isRecord(value)) throw wrongType(path, 'an object {"T": seconds, "I": increment}', value)
  const parts = decodeFields(
    [
      { key: 'T', kind: 'integer' },
      { key: 'I', kind: 'integer' },
    ],
    value,
    `${path}.`,
    budget,
  )
  const [t, i] = [Number(parts.T), Number(parts.I)]
  if (t < 0 || i < 0 || t > 0xffffffff || i > 0xffffffff) throw wrongType(path, 'two unsigned 32-bit integers', value)
  return t === 0 && i === 0 ? new Timestamp({ t: 1, i: 1 }) : new Timestamp({ t, i })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrongType(path: string, expected: string, found: unknown): PbmError {
  const shown = JSON.stringify(found)?.slice(0, 40) ?? 'nothing'
  return new PbmError('BACKUP_METADATA_INVALID', `key ${path}: expected ${expected}, found ${shown}`)
}
