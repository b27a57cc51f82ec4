import { posix } from 'node:path'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { documentsOfArray, eachOfArray, findDocument, findField, findString } from '../../bson/elements.js'
import { eachInTurns } from '../../bson/turns.js'
import { PbmError } from '../../errors.js'
import { bucketsOf } from '../../mongo/time-series.js'
import { hasCode } from '../../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { readBytes } from '../../store/layout/read-text.js'
import { objectOfNamespace, type Snapshot } from '../data/snapshot.js'
import { damaged, missing } from '../data/stored-objects.js'

/** What stands beside the documents of namespaces. */
const BESIDE: ReadonlySet<string> = new Set(['metadata.json', 'meta.pbm', 'filelist.pbm'])

/** Of a file manager that has looked into the folder; where objects have no suffix, it is called like `db.collection`. */
const OF_FILE_MANAGERS: ReadonlySet<string> = new Set(['thumbs.db', 'ehthumbs.db', 'desktop.ini'])

export interface Listed extends CallOptions {
  /** Name of `metadata.json`. */
  readonly list: string
  /** Of the compressed objects; '' without compression. */
  readonly suffix: string
  /** Is told of objects that are none of a backup. */
  readonly warn: (message: string) => void
}

/**
 * Compares the list of namespaces of a backup whose record has no checksum of it with what else tells of them: the objects
 * in its folder, and `meta.pbm`, which PBM writes since 2.8. Throws `BACKUP_DAMAGED` and `BACKUP_OBJECT_MISSING`.
 */
export async function crossCheckList(
  store: ObjectStore,
  { namespaces }: Pick<Snapshot, 'namespaces'>,
  { list, suffix, signal, warn }: Listed,
): Promise<void> {
  const folder = `${posix.dirname(list)}/`
  const listed = new Map(namespaces.map((namespace) => [objectOfNamespace(namespace, list, suffix), namespace]))
  const found = new Set<string>()
  for await (const { name } of store.list({ prefix: folder, signal })) {
    found.add(name)
    const rest = name.slice(folder.length)
    if (listed.has(name) || BESIDE.has(rest) || rest.startsWith('oplog/') || /^local\.oplog\.rs\.bson/.test(rest))
      continue
    // What an upload that died has left on a file system.
    if (rest.endsWith('.tmp')) continue
    if (isLikeDocuments(rest, suffix)) throw damaged(`${list} does not list what is in ${name}`)
    warn(`${JSON.stringify(name)} is not of the backup: it is left out`)
  }
  for (const [object, { size }] of listed) {
    if (size > 0 && !found.has(object)) throw missing(`${object} is missing on the storage`)
  }
  const meta = `${folder}meta.pbm`
  if (!found.has(meta)) return
  const bytes = await readBytes(store, meta, { signal }).catch((error: unknown) => {
    throw hasCode(error, 'STORAGE_NOT_FOUND') ? missing(`${meta} is missing on the storage`, error) : error
  })
  const difference = await differenceOf(namespaces, bytes, meta)
  if (difference === undefined) return
  throw new PbmError('BACKUP_DAMAGED', `${list} and ${meta} differ: ${difference}`, {
    hint: 'Restore another backup; or, if you have changed the list yourself, remove the other object.',
  })
}

/** The first difference between a list and `meta.pbm`, in words; undefined where they say the same. */
export async function differenceOf(
  namespaces: readonly NamespaceMetadata[],
  bytes: Buffer,
  object = 'meta.pbm',
): Promise<string | undefined> {
  const specs = await specificationsOf(bytes, object)
  const rest = new Set(specs.keys())
  let difference: string | undefined
  await eachInTurns(namespaces, (namespace) => {
    difference ??= differenceIn(namespace, specs, rest)
  })
  const [left] = rest
  return difference ?? (left === undefined ? undefined : `only one has ${JSON.stringify(left)}`)
}

function differenceIn(
  { db, collection, type, uuid, options, indexes, crc, size }: NamespaceMetadata,
  specs: ReadonlyMap<string, Buffer>,
  rest: Set<string>,
): string | undefined {
  const ns = `${db}.${collection}`
  const spec = specs.get(ns)
  const buckets = bucketsOf(ns)
  if (spec === undefined) return `only one has ${JSON.stringify(ns)}`
  rest.delete(ns)
  rest.delete(buckets)
  // Of a time series, PBM has the sums at its buckets.
  const sums = type === 'timeseries' ? (specs.get(buckets) ?? spec) : spec
  const found = documentsOfArray(findDocument(spec, 'indexes') ?? Buffer.from([5, 0, 0, 0, 0]))
  const same: [string, boolean][] = [
    ['type', findString(spec, 'type') === type],
    ['UUID', (findString(spec, 'uuid') || undefined) === uuid],
    ['options', isSameDocument(findDocument(spec, 'options'), options)],
    ['indexes', found.length === (indexes?.length ?? 0) && found.every((index, at) => indexes?.[at]?.equals(index))],
    ['checksum', longOf(sums, 'crc') === crc],
    ['size', longOf(sums, 'size') === BigInt(size)],
  ]
  const [different] = same.find(([, equal]) => !equal) ?? []
  return different === undefined ? undefined : `the ${different} of ${JSON.stringify(ns)}`
}

/** No database has a name that begins with a dot, as what a server or a desktop leaves behind does. */
function isLikeDocuments(name: string, suffix: string): boolean {
  return /^[^./]+\../.test(name) && name.endsWith(suffix) && !OF_FILE_MANAGERS.has(name.toLowerCase())
}

async function specificationsOf(bytes: Buffer, object: string): Promise<Map<string, Buffer>> {
  try {
    const array = findDocument(bytes, 'specifications')
    const specs = new Map<string, Buffer>()
    await eachInTurns(array === undefined ? [] : eachOfArray(array), (spec) => {
      specs.set(`${findString(spec, 'db')}.${findString(spec, 'name')}`, spec)
    })
    return specs
  } catch (error) {
    throw damaged(`${object} is not a list of namespaces`, error)
  }
}

function isSameDocument(one: Buffer | undefined, other: Buffer | undefined): boolean {
  const [a, b] = [one, other].map((document) => (document === undefined || document.length <= 5 ? undefined : document))
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

function longOf(document: Buffer, name: string): bigint {
  const field = findField(document, name)
  return field?.type === 0x12 ? document.readBigInt64LE(field.value) : 0n
}
