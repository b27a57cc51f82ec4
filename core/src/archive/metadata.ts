import { arrayElement, buildDocument, documentElement, stringElement } from '../bson/build.js'
import { BSON_INT64, findField } from '../bson/elements.js'
import { documentFromJson, documentFromJsonGently, toExtendedJson } from '../bson/extended-json.js'
import { type JsonValue, parseJson, parseJsonGently } from '../bson/ordered-json.js'
import { Turns } from '../bson/turns.js'
import { PbmError } from '../errors.js'

/** The list of a replica set's namespaces: `metadata.json` beside the namespace files (PBM: storage-format.md §3). */
export interface ArchiveMetadata {
  concurrentCollections: number
  /** Of the format: `0.1`. */
  version: string
  serverVersion: string
  toolVersion: string
  namespaces: NamespaceMetadata[]
}

export type NamespaceType = 'collection' | 'view' | 'timeseries'

/** What a collection is, without its data: the `metadata` text of a namespace (PBM: archive-and-oplog.md §1.6). */
export interface CollectionDefinition {
  /** Raw BSON as `listCollections` gave it; absent when empty. */
  options?: Buffer | undefined
  /** Raw specifications as `listIndexes` gave them; null where the writer wrote null. */
  indexes: Buffer[] | null
  /** 32 hex digits; absent for views and time series. */
  uuid?: string | undefined
  collectionName: string
  type: NamespaceType
  /** Ours: of the bucket collection of a time series, 32 hex digits. */
  bucketsUuid?: string | undefined
  /**
   * Ours: of a time series the buckets alone, as all shards have it but the primary shard of its database. PBM, which
   * makes no such backup, would restore it with its view.
   */
  bucketsOnly?: boolean | undefined
}

export interface NamespaceMetadata extends CollectionDefinition {
  db: string
  /** The user's name, also of a time series, whose data are the documents of its bucket collection. */
  collection: string
  /** CRC-64/XZ over the documents, signed; 0 when there are none. */
  crc: bigint
  /** Bytes of BSON, uncompressed. 0: there is no object. */
  size: number
  /** Ours: how many documents, of time series buckets; absent where nobody counted them. */
  count?: number | undefined
  /** Ours: the object's bytes as its codec made them, before any sealing; absent where nobody knows them. */
  packed?: PackedBytes | undefined
  /** Ours: the object that holds the documents, where its natural name can't be used. */
  object?: string | undefined
}

export interface PackedBytes {
  readonly size: number
  /** CRC-64/XZ, signed. */
  readonly crc: bigint
}

/** The text of a collection's definition: canonical Extended JSON. */
export function writeDefinition(definition: CollectionDefinition): string {
  return definitionText(definition, [])
}

/** The same with what is ours, which an archive has no other place for; mongorestore passes over it. */
export function writeWholeDefinition(definition: CollectionDefinition): string {
  const { bucketsUuid, bucketsOnly } = definition
  return definitionText(definition, [
    ...(bucketsUuid === undefined ? [] : [`"buckets_uuid":"${bucketsUuid}"`]),
    ...(bucketsOnly === true ? ['"buckets_only":true'] : []),
  ])
}

function definitionText(definition: CollectionDefinition, own: readonly string[]): string {
  const { options, indexes, uuid, collectionName, type } = definition
  const parts = [
    ...(options === undefined || options.length <= 5 ? [] : [`"options":${toExtendedJson(options)}`]),
    `"indexes":${indexes === null ? 'null' : `[${indexes.map(toExtendedJson).join(',')}]`}`,
    ...(uuid === undefined ? [] : [`"uuid":"${uuid}"`]),
    `"collectionName":${JSON.stringify(collectionName)}`,
    `"type":"${type}"`,
    ...own,
  ]
  return `{${parts.join(',')}}`
}

/** Reads the text of a definition; canonical or relaxed numbers. Throws `METADATA_INVALID`. */
export function readDefinition(text: string, collection: string, type: string): CollectionDefinition {
  // Synthetic entries of an archive (users, the oplog) have no text.
  if (text === '') return { indexes: [], collectionName: collection, type: namespaceType(type, undefined) }
  if (text.length > MAX_DEFINITION_CHARACTERS) {
    throw invalid(
      `the definition of ${JSON.stringify(collection)} is longer than ${MAX_DEFINITION_CHARACTERS} characters`,
    )
  }
  const value = parseMap(text, definitionWords(collection))
  const options = value.get('options')
  const indexes = value.get('indexes')
  try {
    return definitionOf(value, collection, type, {
      options: options instanceof Map && options.size > 0 ? documentFromJson(options) : undefined,
      indexes: Array.isArray(indexes) ? indexes.map((index) => documentFromJson(asMap(index, 'an index'))) : null,
    })
  } catch (error) {
    throw notDefinition(error, collection)
  }
}

/** The same for one of any length: everybody else gets a turn meanwhile. */
async function readDefinitionGently(text: string, collection: string, type: string): Promise<CollectionDefinition> {
  if (text.length < SHORT_DEFINITION || text.length > MAX_DEFINITION_CHARACTERS)
    return readDefinition(text, collection, type)
  try {
    const value = asMap(await parseJsonGently(text), definitionWords(collection))
    const options = value.get('options')
    const given = value.get('indexes')
    const indexes: Buffer[] = []
    const turns = new Turns(1)
    for (const index of Array.isArray(given) ? given : [])
      indexes.push(await documentFromJsonGently(asMap(index, 'an index'), turns))
    return definitionOf(value, collection, type, {
      options: options instanceof Map && options.size > 0 ? await documentFromJsonGently(options, turns) : undefined,
      indexes: Array.isArray(given) ? indexes : null,
    })
  } catch (error) {
    throw notDefinition(error, collection)
  }
}

function definitionOf(
  value: Map<string, JsonValue>,
  collection: string,
  type: string,
  { options, indexes }: { readonly options: Buffer | undefined; readonly indexes: Buffer[] | null },
): CollectionDefinition {
  const uuid = value.get('uuid')
  return {
    options,
    indexes,
    uuid: typeof uuid === 'string' && uuid !== '' ? uuid : undefined,
    collectionName: textOf(value.get('collectionName')) ?? collection,
    type: namespaceType(type || (textOf(value.get('type')) ?? ''), options),
    ...bucketsOf(value),
  }
}

function definitionWords(collection: string): string {
  return `the definition of ${JSON.stringify(collection)}`
}

function notDefinition(error: unknown, collection: string): PbmError {
  if (error instanceof PbmError && error.code === 'METADATA_INVALID') return error
  return invalid(`${definitionWords(collection)} is not right`, error)
}

function bucketsOf(value: Map<string, JsonValue>): Pick<CollectionDefinition, 'bucketsUuid' | 'bucketsOnly'> {
  const bucketsUuid = textOf(value.get('buckets_uuid'))
  return {
    ...(bucketsUuid === undefined ? {} : { bucketsUuid }),
    ...(value.get('buckets_only') === true ? { bucketsOnly: true } : {}),
  }
}

/** Old archives carry no type: a view and a time series show in the options. */
function namespaceType(type: string, options: Buffer | undefined): NamespaceType {
  if (type === 'view' || type === 'timeseries') return type
  if (options !== undefined) {
    if (findField(options, 'viewOn') !== undefined) return 'view'
    if (findField(options, 'timeseries') !== undefined) return 'timeseries'
  }
  return 'collection'
}

/** The text of `metadata.json`, as PBM's reader takes it: keys of ours are extra. */
export function writeMetadataJson(metadata: ArchiveMetadata): string {
  const document = {
    concurrent_collections: { $numberInt: String(metadata.concurrentCollections) },
    version: metadata.version,
    server_version: metadata.serverVersion,
    tool_version: metadata.toolVersion,
    namespaces: metadata.namespaces.map((namespace) => ({
      db: namespace.db,
      collection: namespace.collection,
      metadata: writeDefinition(namespace),
      type: namespace.type,
      crc: { $numberLong: String(namespace.crc) },
      size: { $numberLong: String(namespace.size) },
      ...(namespace.count === undefined ? {} : { documents: { $numberLong: String(namespace.count) } }),
      ...(namespace.packed === undefined
        ? {}
        : {
            packed_crc: { $numberLong: String(namespace.packed.crc) },
            packed_size: { $numberLong: String(namespace.packed.size) },
          }),
      ...(namespace.object === undefined ? {} : { object: namespace.object }),
      ...(namespace.bucketsUuid === undefined ? {} : { buckets_uuid: namespace.bucketsUuid }),
      ...(namespace.bucketsOnly === true ? { buckets_only: true } : {}),
    })),
  }
  // Go escapes these in JSON by default; both forms mean the same.
  const escapes: Record<string, string> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' }
  return JSON.stringify(document, undefined, 2).replace(/[<>&]/g, (character) => escapes[character] ?? character)
}

/** Reads `metadata.json` of PBM 2.0 and later, and ours. Throws `METADATA_INVALID` with what is wrong. */
export function readMetadataJson(text: string): ArchiveMetadata {
  const value = parseMap(text, LIST)
  return {
    ...headOf(value),
    namespaces: entriesOf(value).map((one, index) => {
      const entry = entryOf(one, index)
      return namespaceOf(entry, readDefinition(entry.text, entry.collection, entry.type))
    }),
  }
}

/** The same for a list of any length: everybody else gets a turn meanwhile. */
export async function readMetadataJsonGently(text: string): Promise<ArchiveMetadata> {
  const value = asMap(await parseJsonGently(text).catch(notJson), LIST)
  const entries = entriesOf(value)
  const namespaces: NamespaceMetadata[] = []
  const turns = new Turns(1)
  for (const [index, one] of entries.entries()) {
    if (turns.areDue()) await turns.give()
    const entry = entryOf(one, index)
    const { collection, text, type } = entry
    const isShort = text.length < SHORT_DEFINITION
    const definition = isShort
      ? readDefinition(text, collection, type)
      : await readDefinitionGently(text, collection, type)
    namespaces.push(namespaceOf(entry, definition))
  }
  return { ...headOf(value), namespaces }
}

const LIST = 'metadata.json'
/** No server is known to live with more; and of one definition, with a longer one. */
const MAX_NAMESPACES = 1_000_000
const MAX_DEFINITION_CHARACTERS = 4 * 1024 * 1024
/** Read in no time. */
const SHORT_DEFINITION = 32 * 1024

function headOf(value: Map<string, JsonValue>): Omit<ArchiveMetadata, 'namespaces'> {
  return {
    concurrentCollections: numberOf(value.get('concurrent_collections') ?? 1, 'concurrent_collections'),
    version: textOf(value.get('version')) ?? '',
    serverVersion: textOf(value.get('server_version')) ?? '',
    toolVersion: textOf(value.get('tool_version')) ?? '',
  }
}

function entriesOf(value: Map<string, JsonValue>): JsonValue[] {
  const namespaces = value.get('namespaces') ?? []
  if (!Array.isArray(namespaces)) throw invalid(`${LIST}: namespaces is not an array`)
  if (namespaces.length > MAX_NAMESPACES) throw invalid(`${LIST}: it has more than ${MAX_NAMESPACES} namespaces`)
  return namespaces
}

interface Entry {
  readonly entry: Map<string, JsonValue>
  readonly db: string
  readonly collection: string
  /** The definition. */
  readonly text: string
  readonly type: string
}

function entryOf(value: JsonValue, index: number): Entry {
  const entry = asMap(value, `namespaces[${index}]`)
  const db = textOf(entry.get('db'))
  const collection = textOf(entry.get('collection'))
  if (db === undefined || collection === undefined) throw invalid(`metadata.json: namespaces[${index}] has no name`)
  return { entry, db, collection, text: textOf(entry.get('metadata')) ?? '', type: textOf(entry.get('type')) ?? '' }
}

function namespaceOf({ entry, db, collection }: Entry, definition: CollectionDefinition): NamespaceMetadata {
  const packedCrc = entry.get('packed_crc')
  const packedSize = entry.get('packed_size')
  const packed =
    packedCrc === undefined || packedSize === undefined
      ? undefined
      : {
          size: numberOf(packedSize, `the packed size of ${db}.${collection}`),
          crc: BigInt.asIntN(64, bigintOf(packedCrc, `the packed crc of ${db}.${collection}`)),
        }
  const count = entry.get('documents')
  const object = textOf(entry.get('object'))
  return {
    db,
    collection,
    ...definition,
    crc: BigInt.asIntN(64, bigintOf(entry.get('crc') ?? 0, `the crc of ${db}.${collection}`)),
    size: numberOf(entry.get('size') ?? 0, `the size of ${db}.${collection}`),
    count: count === undefined ? undefined : numberOf(count, `the documents of ${db}.${collection}`),
    packed,
    object,
    ...bucketsOf(entry),
  }
}

/** `meta.pbm`: the same as BSON. No restore reads it, but PBM's own backups have it. */
export function writeMetaPbm(metadata: ArchiveMetadata, pbmVersion: string, fcv: string): Buffer {
  return buildDocument([
    stringElement('version', pbmVersion),
    stringElement('serverVersion', metadata.serverVersion),
    stringElement('fcv', fcv),
    arrayElement(
      'specifications',
      metadata.namespaces.map((namespace) =>
        buildDocument([
          stringElement('db', namespace.db),
          stringElement('name', namespace.collection),
          stringElement('type', namespace.type),
          ...(namespace.uuid === undefined ? [] : [stringElement('uuid', namespace.uuid)]),
          ...(namespace.options === undefined ? [] : [documentElement('options', namespace.options)]),
          arrayElement('indexes', namespace.indexes ?? []),
          int64Element('crc', namespace.crc),
          int64Element('size', BigInt(namespace.size)),
        ]),
      ),
    ),
  ])
}

function int64Element(name: string, value: bigint) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(value)
  return { name, type: BSON_INT64, value: bytes }
}

function parseMap(text: string, what: string): Map<string, JsonValue> {
  try {
    return asMap(parseJson(text), what)
  } catch (error) {
    throw error instanceof PbmError && error.code === 'METADATA_INVALID' ? error : invalid(`${what} is not JSON`, error)
  }
}

function notJson(error: unknown): never {
  throw invalid(`${LIST} is not JSON`, error)
}

function asMap(value: JsonValue, what: string): Map<string, JsonValue> {
  if (!(value instanceof Map)) throw invalid(`${what} is not an object`)
  return value
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Canonical, relaxed and plain numbers are all accepted. */
function bigintOf(value: JsonValue, what: string): bigint {
  const inner = value instanceof Map ? (value.get('$numberLong') ?? value.get('$numberInt')) : value
  // Longer ones take hours.
  if (
    (typeof inner === 'string' && /^-?\d{1,20}$/.test(inner)) ||
    (typeof inner === 'number' && Number.isInteger(inner))
  ) {
    return BigInt(inner)
  }
  throw invalid(`metadata.json: ${what} is not a whole number`)
}

function numberOf(value: JsonValue, what: string): number {
  return Number(bigintOf(value, what))
}

function invalid(message: string, cause?: unknown): PbmError {
  return new PbmError('METADATA_INVALID', message, cause === undefined ? {} : { cause })
}
