import type { Timestamp } from 'bson'
import { crcText, createCrc64 } from '../../archive/crc64.js'
import { type JsonValue, parseJson, parseJsonGently, TooManyValues } from '../../bson/ordered-json.js'
import { inTurns } from '../../bson/turns.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { PbmError } from '../../errors.js'
import { maskSecrets } from '../../secrets/documents.js'
import {
  Budget,
  type Decoding,
  decodeFields,
  type Field,
  isEmpty,
  type Kind,
  MOST_VALUES,
  tooManyValues,
  wrongType,
} from './decode-fields.js'
import { goJson } from './go-json.js'

/*
 * `<name>.pbm.json`: the backup's document as PBM writes it to the storage (PBM: storage-format.md §2). One table serves
 * both directions; its order is the order of the keys in the file.
 */

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
  if (summed === undefined) return record
  const summing = crcOf(summed)
  for (;;) {
    const step = summing.next()
    if (step.done === true) return `${summed.before}${step.value}${summed.after}`
  }
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

function* crcOf({ before, after }: { before: string; after: string }): Decoding<string> {
  const crc = createCrc64()
  for (const part of [before, UNSUMMED, after]) {
    for (let at = 0; at < part.length; ) {
      const end = at + SUMMED
      // Both halves of a character come together.
      const next = isLowSurrogate(part.charCodeAt(end)) ? end + 1 : end
      crc.update(Buffer.from(part.slice(at, next)))
      at = next
      yield
    }
  }
  return crcText(crc)
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff
}

/**
 * The text of `<name>.pbm.json`, byte for byte as PBM would write it. `store` is that of the document with its secrets
 * masked; left out where nobody knows its plugin, by names.
 */
export function toStorageJson(document: BackupDocument, store: unknown = maskSecrets(document.store)): string {
  return goJson(encodeFields(BACKUP, { ...document, store }))
}

/** The part of one replica set, as it stands there (PBM: physical.md §2.5). */
export function replsetJson(part: BackupReplset): string {
  return goJson(encodeFields(REPLSET, { ...part }))
}

/**
 * Reads `<name>.pbm.json` of any PBM. Unknown keys and the case of keys are ignored, missing and null values become
 * their zero (`Timestamp(1,1)` for timestamps, PBM's "unset"). Throws `BACKUP_METADATA_INVALID` naming the key for a
 * value of the wrong type, or the place where the text is no JSON, and for one that is not what its checksum says.
 */
export function fromStorageJson(text: string): BackupDocument {
  let parsed: JsonValue
  try {
    parsed = parseJson(text)
  } catch (error) {
    throw notJson(error)
  }
  const decoding = decodeRecord(parsed, text)
  for (;;) {
    const step = decoding.next()
    if (step.done === true) return step.value
  }
}

/** The same for a text of any length: everybody else gets a turn meanwhile. */
export async function fromStorageJsonGently(text: string): Promise<BackupDocument> {
  if (text.length < SHORT) return fromStorageJson(text)
  const limits = { most: MOST_VALUES, longest: LONGEST_TEXT }
  const decoding = decodeRecord(await parseJsonGently(text, limits).catch(notJson), text)
  let record: BackupDocument | undefined
  await inTurns(() => {
    const step = decoding.next()
    if (step.done === true) record = step.value
    return step.done === true
  })
  if (record === undefined) throw new RangeError('the record was not decoded')
  return record
}

/** Parsed in no time. */
const SHORT = 16 * 1024
/** No field of a record is longer. */
const LONGEST_TEXT = 1024 * 1024
/** Characters that are summed in one turn. */
const SUMMED = 1024 * 1024

function notJson(error: unknown): never {
  if (error instanceof TooManyValues) throw tooManyValues()
  throw new PbmError('BACKUP_METADATA_INVALID', `not JSON: ${error instanceof Error ? error.message : error}`)
}

function* decodeRecord(parsed: JsonValue, text: string): Decoding<BackupDocument> {
  if (!(parsed instanceof Map)) throw wrongType('the whole document', 'an object', parsed)
  const summed = parsed.has(CHECKSUM) ? partsOf(text) : undefined
  if (parsed.has(CHECKSUM) && (summed === undefined || summed.crc !== (yield* crcOf(summed)))) {
    throw new PbmError('BACKUP_METADATA_INVALID', 'it was altered: its checksum is wrong')
  }
  return (yield* decodeFields(BACKUP, parsed, '', new Budget())) as unknown as BackupDocument
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
