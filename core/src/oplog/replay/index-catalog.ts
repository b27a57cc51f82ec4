import { buildDocument, documentElement, type RawElement, stringElement } from '../../bson/build.js'
import { findDocument, findField, findString } from '../../bson/elements.js'
import { isBuckets, userName } from '../../mongo/time-series.js'
import { booleanElement, elementsOf, isTrue, withField, withoutFields } from '../raw-fields.js'

/** A collection and the indexes it has to end with. */
export interface CatalogCollection {
  ns: string
  /** 32 hex digits; absent where the server gives its own (time-series buckets, system collections). */
  uuid: string | undefined
  /** Whether the collection's default collation is another than `simple`. */
  readonly collated: boolean
  /** Whether changes of different documents must keep their order, too: see `OperationSink.change`. */
  inOrder: boolean
  /** In the target before the restore and not in the backup: it makes way for what the oplog creates. */
  foreign: boolean
  /** Raw specs by index name, without the default `_id` index and the clustered one. */
  readonly indexes: Map<string, Buffer>
  /**
   * When its documents expire, of clustered collections and buckets: to be set at the end, since the target's own TTL
   * monitor would delete what the oplog still changes. Undefined where the target has it as it is to be.
   */
  expireAfterSeconds: RawElement | undefined
}

/** Which collection, or time series by the name users know, expires when. */
export interface WantedExpiry {
  readonly ns: string
  readonly expireAfterSeconds: RawElement
}

const EXPIRY: ReadonlySet<string> = new Set(['expireAfterSeconds'])

/** Index specs of a command as one collection is to have them; `ns` differs from the collection's for time series. */
export interface WantedIndexes {
  readonly ns: string
  readonly specs: Buffer[]
}

const STRING = 0x02
const EMPTY_DOCUMENT = buildDocument([])
const SIMPLE_COLLATION = documentElement('collation', buildDocument([stringElement('locale', 'simple')]))

/**
 * Which collections there are, by UUID and by name, and which indexes each has to end with. A replay keeps it up to
 * date, so that indexes, built last, are those of the end of the range: they follow renames, drops, `collMod` and the
 * exchange of a collection by `convertToCapped` (which the oplog has as create, inserts and rename).
 */
export class IndexCatalog {
  readonly #byNamespace = new Map<string, CatalogCollection>()
  readonly #byUuid = new Map<string, CatalogCollection>()
  /** Time series: specs as users write them, by the name users know; those of the oplog are of the buckets. */
  readonly #timeSeries = new Map<string, Map<string, Buffer>>()
  /** Views, of time series too, that were in the target before the restore and are not in the backup. */
  readonly foreignViews = new Set<string>()
  /** Views, of time series too, that the backup or the oplog has; some may be gone by now. */
  readonly ownViews = new Set<string>()
  /**
   * UUIDs (hex) of collections of the target that are not here by their UUID. The server would take a collection created
   * with one of them for that of the target, and give it the new name.
   */
  readonly reserved = new Set<string>()

  /** Adds a collection, replacing what had its name. `options` are those of `create`, raw. */
  create(ns: string, uuid: Buffer | undefined, options: Buffer | undefined): CatalogCollection {
    this.#forget(this.#byNamespace.get(ns))
    const key = uuid?.toString('hex')
    if (key !== undefined) this.#forget(this.#byUuid.get(key))
    const collated = isCollated(options)
    const inOrder = collated || (options !== undefined && isTrue(options, 'capped'))
    const collection: CatalogCollection = {
      ...{ ns, uuid: key, collated, inOrder, foreign: false, indexes: new Map() },
      expireAfterSeconds: undefined,
    }
    this.#byNamespace.set(ns, collection)
    if (key !== undefined) this.#byUuid.set(key, collection)
    return collection
  }

  /** What an operation is about. Never a foreign one: that it has the UUID says nothing of whose it is. */
  find(uuid: Buffer | undefined, ns: string): CatalogCollection | undefined {
    const found = uuid === undefined ? this.#byNamespace.get(ns) : this.#byUuid.get(uuid.toString('hex'))
    return found?.foreign === true ? undefined : found
  }

  /** The foreign collection that has the UUID. */
  findForeign(uuid: Buffer | undefined): CatalogCollection | undefined {
    const found = uuid && this.#byUuid.get(uuid.toString('hex'))
    return found?.foreign === true ? found : undefined
  }

  findByName(ns: string): CatalogCollection | undefined {
    return this.#byNamespace.get(ns)
  }

  drop(collection: CatalogCollection): void {
    this.#forget(collection)
  }

  dropDatabase(db: string): void {
    for (const collection of [...this.#byNamespace.values()]) {
      if (collection.ns.startsWith(`${db}.`)) this.#forget(collection)
    }
    for (const ns of [...this.#timeSeries.keys()]) if (ns.startsWith(`${db}.`)) this.#timeSeries.delete(ns)
    for (const ns of this.ownViews) if (ns.startsWith(`${db}.`)) this.ownViews.delete(ns)
  }

  rename(collection: CatalogCollection, to: string): void {
    if (collection.ns === to) return
    this.#forget(this.#byNamespace.get(to))
    this.#byNamespace.delete(collection.ns)
    collection.ns = to
    this.#byNamespace.set(to, collection)
  }

  /** Brings back a collection that lost its name to another one; `correctNames` tells its new one. */
  readd(collection: CatalogCollection): void {
    if (collection.uuid !== undefined) this.#byUuid.set(collection.uuid, collection)
  }

  /** Puts the names right after the server chose some itself; `names` are UUID (hex) → namespace of one database. */
  correctNames(db: string, names: ReadonlyMap<string, string>): void {
    for (const [uuid, ns] of names) {
      const collection = this.#byUuid.get(uuid)
      if (collection === undefined || collection.ns === ns) continue
      if (this.#byNamespace.get(collection.ns) === collection) this.#byNamespace.delete(collection.ns)
      collection.ns = ns
    }
    for (const collection of this.#byUuid.values()) {
      if (collection.ns.startsWith(`${db}.`)) this.#byNamespace.set(collection.ns, collection)
    }
  }

  addIndex(collection: CatalogCollection, spec: Buffer): void {
    const name = findString(spec, 'name')
    if (name === undefined || isImplied(spec)) return
    collection.indexes.set(name, withoutFields(spec, new Set(['ns'])))
  }

  /** An index of the time series `ns` as users write it, from a backup's metadata. */
  addTimeSeriesIndex(ns: string, spec: Buffer): void {
    const name = findString(spec, 'name')
    if (name === undefined) return
    const indexes = this.#timeSeries.get(ns) ?? new Map<string, Buffer>()
    indexes.set(name, withoutFields(spec, new Set(['ns'])))
    this.#timeSeries.set(ns, indexes)
  }

  /** `index` of a dropIndexes entry: a name, a list of names, a key pattern, or `*` (all but `_id`). */
  dropIndexes(collection: CatalogCollection, o: Buffer): void {
    const field = findField(o, 'index')
    if (field === undefined) return
    if (field.type === 0x03) {
      const key = o.subarray(field.value, field.end)
      for (const [name, spec] of collection.indexes) {
        if (findDocument(spec, 'key')?.equals(key) === true) this.#dropNamed(collection, name)
      }
      return
    }
    const names =
      field.type === 0x04
        ? elementsOf(o.subarray(field.value, field.end)).map(({ value }) => stringValue(value))
        : [findString(o, 'index') ?? '']
    for (const name of names) {
      if (name === '*') {
        collection.indexes.clear()
        this.#timeSeries.delete(userName(collection.ns))
      } else {
        this.#dropNamed(collection, name)
      }
    }
  }

  /** The `index` part of a collMod entry. An index that is not there (dropped later in the window) changes nothing. */
  modifyIndex(collection: CatalogCollection, change: Buffer): void {
    const name = findString(change, 'name')
    const key = findDocument(change, 'keyPattern')
    for (const indexes of [collection.indexes, this.#timeSeries.get(userName(collection.ns))]) {
      for (const [found, spec] of indexes ?? []) {
        const matches = name !== undefined ? found === name : key !== undefined && sameKey(spec, key)
        if (matches) indexes?.set(found, modified(spec, change))
      }
    }
  }

  /** What `createIndexes` must make, collection by collection; empty ones are left out. */
  wanted(): WantedIndexes[] {
    const all: WantedIndexes[] = []
    for (const { ns, collated, indexes } of this.#byNamespace.values()) {
      const specs = [...indexes.values()].map((spec) => (collated ? withCollation(spec) : spec))
      if (specs.length > 0) all.push({ ns, specs })
    }
    for (const [ns, indexes] of this.#timeSeries) if (indexes.size > 0) all.push({ ns, specs: [...indexes.values()] })
    return all
  }

  /** What is to expire, once nothing changes any more. */
  expiring(): WantedExpiry[] {
    return [...this.#byNamespace.values()].flatMap(({ ns, expireAfterSeconds }) =>
      expireAfterSeconds === undefined ? [] : [{ ns: userName(ns), expireAfterSeconds }],
    )
  }

  collections(): IterableIterator<CatalogCollection> {
    return this.#byNamespace.values()
  }

  #dropNamed(collection: CatalogCollection, name: string): void {
    collection.indexes.delete(name)
    this.#timeSeries.get(userName(collection.ns))?.delete(name)
  }

  #forget(collection: CatalogCollection | undefined): void {
    if (collection === undefined) return
    if (this.#byNamespace.get(collection.ns) === collection) this.#byNamespace.delete(collection.ns)
    if (collection.uuid !== undefined && this.#byUuid.get(collection.uuid) === collection) {
      this.#byUuid.delete(collection.uuid)
    }
    if (isBuckets(collection.ns)) this.#timeSeries.delete(userName(collection.ns))
  }
}

/** When the documents of a collection created or changed with these options expire. Copied: options are views of large blocks. */
export function expiryOf(options: Buffer | undefined): RawElement | undefined {
  const found = options === undefined ? undefined : elementsOf(options).find(({ name }) => EXPIRY.has(name))
  return found && { ...found, value: Buffer.from(found.value) }
}

export function withoutExpiry(options: Buffer): Buffer {
  return withoutFields(options, EXPIRY)
}

/**
 * The default `_id` index comes with `create`, the clustered one too. PBM's backups don't say `clustered`, and the name is
 * the user's: the key tells it, as to the server. A hashed `_id` index is an ordinary one.
 */
function isImplied(spec: Buffer): boolean {
  if (findString(spec, 'name') === '_id_' || isTrue(spec, 'clustered')) return true
  const [field, more] = elementsOf(findDocument(spec, 'key') ?? EMPTY_DOCUMENT)
  return field?.name === '_id' && field.type !== STRING && more === undefined
}

function isCollated(options: Buffer | undefined): boolean {
  const collation = options === undefined ? undefined : findDocument(options, 'collation')
  return collation !== undefined && findString(collation, 'locale') !== 'simple'
}

/** On a collection with a collation of its own, an index that was listed without one has the simple one. */
function withCollation(spec: Buffer): Buffer {
  if (findField(spec, 'collation') !== undefined) return spec
  return withField(spec, SIMPLE_COLLATION)
}

/** The server shows options only while they are on, so off means without the field. */
function modified(spec: Buffer, change: Buffer): Buffer {
  let result = spec
  for (const element of elementsOf(change)) {
    switch (element.name) {
      case 'expireAfterSeconds':
        result = withField(result, element)
        break
      case 'hidden':
      case 'prepareUnique':
        result = isTrue(change, element.name)
          ? withField(result, booleanElement(element.name, true))
          : withoutFields(result, new Set([element.name]))
        break
      case 'unique':
        if (isTrue(change, 'unique')) {
          result = withField(withoutFields(result, new Set(['prepareUnique'])), booleanElement('unique', true))
        }
        break
      case 'forceNonUnique':
        if (isTrue(change, 'forceNonUnique')) result = withoutFields(result, new Set(['unique']))
        break
    }
  }
  return result
}

function sameKey(spec: Buffer, key: Buffer): boolean {
  return findDocument(spec, 'key')?.equals(key) === true
}

function stringValue(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8', 4, value.byteLength - 1)
}
