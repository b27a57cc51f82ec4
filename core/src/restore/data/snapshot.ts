import { posix } from 'node:path'
import pLimit from 'p-limit'
import { demultiplex } from '../../archive/demultiplex.js'
import { type NamespaceMetadata, type PackedBytes, readMetadataJsonGently } from '../../archive/metadata.js'
import { type Archive, type ArchiveNamespace, readArchive } from '../../archive/reader.js'
import type { BackupDocument, BackupReplset, StoredObject } from '../../control/backup-document.js'
import { optime } from '../../oplog/entry.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { none } from '../../plugin-host/none.js'
import { isNamedAfter, namespaceFile, parseOplogChunkName } from '../../store/layout/names.js'
import { isLegacyArchive, isLegacyBackupOplog } from '../../store/layout/pbm-version.js'
import { readText } from '../../store/layout/read-text.js'
import {
  checkedDocuments,
  damaged,
  missing,
  type OplogPiece,
  objectError,
  readObject,
  refuseAltered,
  verifyPacked,
} from './stored-objects.js'
import { collectDocuments, usersOrRoles } from './users-and-roles.js'

/** Documents of one namespace: plain BSON, chunked anyhow. Must be drained unless it fails. */
export type Consume = (namespace: NamespaceMetadata, documents: AsyncIterable<Buffer>) => Promise<void>

export interface ReadNamespacesOptions extends CallOptions {
  /** Objects read at once. An archive decides itself: it has its namespaces interleaved. */
  readonly width: number
  /** Those left out are not opened. */
  readonly select?: ((namespace: NamespaceMetadata) => boolean) | undefined
}

/** What a backup holds of one replica set, whatever its layout (PBM: storage-format.md §1). */
export interface Snapshot {
  /** What wrote it: PBM's version, or ours with its name. */
  readonly toolVersion: string
  readonly namespaces: readonly NamespaceMetadata[]
  /** In order of their start. */
  readonly oplog: readonly OplogPiece[]
  /**
   * Streams the documents of each namespace that has any; checksum and size are verified as they flow, and the stream
   * throws `BACKUP_DAMAGED` or `BACKUP_OBJECT_MISSING` with the object's name.
   */
  readNamespaces(consume: Consume, options: ReadNamespacesOptions): Promise<void>
  /** Bytes that {@link verifyNamespaces} tells of in all. */
  readonly bytesToVerify: number
  /**
   * Reads everything through that {@link readNamespaces} would give, and throws as that does. What the backup has
   * checksums of as it is stored is not decompressed for it.
   */
  verifyNamespaces(options: VerifyNamespacesOptions): Promise<void>
}

export interface VerifyNamespacesOptions extends CallOptions {
  readonly width: number
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** Those left out are not opened. */
  readonly select?: ((namespace: NamespaceMetadata) => boolean) | undefined
}

/**
 * Finds out what the backup holds of `replset` and where. Throws `BACKUP_OBJECT_MISSING`, `METADATA_INVALID` or
 * `ARCHIVE_…` when its lists can't be read.
 */
export async function openSnapshot(
  store: ObjectStore,
  backup: BackupDocument,
  replset: BackupReplset,
  compression: CompressionPlugin,
  options: CallOptions = {},
): Promise<Snapshot> {
  const oplog = await oplogPieces(store, backup, replset, compression, options)
  return await openDump({ store, backup, replset, compression, oplog }, options)
}

/** As {@link openSnapshot}, with pieces of oplog that were found before. */
export async function openDump(
  {
    store,
    backup,
    replset,
    compression,
    oplog,
  }: Pick<Source, 'store' | 'compression' | 'oplog'> & { backup: BackupDocument; replset: BackupReplset },
  options: CallOptions = {},
): Promise<Snapshot> {
  const dump = replset.dump_name ?? ''
  if (dump === '') throw missing(`The metadata of backup ${backup.name} names no dump of ${replset.name}`)
  refuseElsewhere(backup.name, [dump])
  const known = new Map(replset.objects?.map((object) => [object.name, packedOf(object)]))
  return isLegacyArchive(backup.pbm_version)
    ? openArchive({ store, object: dump, compression, oplog, known }, options)
    : openFolder({ store, backup: backup.name, list: dump, compression, oplog, known }, options)
}

/** Records and lists say where objects are: those of another backup would be restored as this one's. */
function refuseElsewhere(backup: string, objects: readonly string[]): void {
  const elsewhere = objects.find((object) => object !== '' && !isNamedAfter(backup, object))
  if (elsewhere !== undefined) throw damaged(`${elsewhere} is no object of backup ${backup}`)
}

/** What opening one layout or the other needs. */
interface Source {
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly oplog: OplogPiece[]
  /** Objects of which the backup's record has the checksum: none in those of PBM. */
  readonly known: ReadonlyMap<string, PackedBytes>
}

async function openFolder(source: Source & { backup: string; list: string }, options: CallOptions): Promise<Snapshot> {
  const { store, backup, list, compression, oplog, known } = source
  const text = await readText(store, list, options).catch((error: unknown) => {
    throw objectError(error, list)
  })
  const kept = known.get(list)
  if (kept !== undefined) refuseAltered(list, Buffer.from(text), kept)
  const { namespaces, toolVersion } = await metadataOf(text, list)
  const objectOf = (namespace: NamespaceMetadata) => objectOfNamespace(namespace, list, compression.suffix)
  refuseElsewhere(backup, namespaces.map(objectOf))
  const stored = namespaces.filter(({ size }) => size > 0)
  const read = (namespace: NamespaceMetadata, object: string, call: CallOptions) =>
    checkedDocuments({ store, object, compression, namespace }, call)
  const packedDocuments = (namespace: NamespaceMetadata): PackedBytes | undefined =>
    compression.name === none.name ? namespace : namespace.packed
  const others = [...known].filter(([name]) => name !== list)
  return {
    toolVersion,
    namespaces,
    oplog,
    readNamespaces: async (consume, { width, select, ...call }) => {
      await eachLargestFirst(stored, { width, select, ...call }, (namespace) =>
        consume(namespace, read(namespace, objectOf(namespace), call)),
      )
    },
    bytesToVerify: namespaces.reduce((sum, namespace) => sum + (packedDocuments(namespace)?.size ?? namespace.size), 0),
    verifyNamespaces: async ({ width, onBytes, select, ...call }) => {
      for (const [object, packed] of others) await verifyPacked({ store, object, packed }, call)
      await eachLargestFirst(stored, { width, select, ...call }, async (namespace) => {
        const object = objectOf(namespace)
        const packed = packedDocuments(namespace)
        if (packed === undefined) await drain(read(namespace, object, call), onBytes)
        else await verifyPacked({ store, object, packed }, { onBytes, ...call })
      })
    },
  }
}

/** At most `width` at once: so that the largest does not run alone at the end. */
export async function eachLargestFirst(
  namespaces: readonly NamespaceMetadata[],
  { width, select = () => true, signal }: ReadNamespacesOptions,
  work: (namespace: NamespaceMetadata) => Promise<void>,
): Promise<void> {
  const limit = pLimit(Math.max(1, width))
  const chosen = namespaces.filter(select).toSorted((a, b) => b.size - a.size)
  await allOrFirstError(
    chosen.map((namespace) =>
      limit(async () => {
        signal?.throwIfAborted()
        await work(namespace)
      }),
    ),
    () => limit.clearQueue(),
  )
}

async function openArchive(source: Source & { object: string }, options: CallOptions): Promise<Snapshot> {
  const { store, object, compression, oplog, known } = source
  const open = async (call: CallOptions): Promise<Archive> => {
    try {
      return await readArchive(readObject(store, object, compression, call))
    } catch (error) {
      throw objectError(error, object)
    }
  }
  const head = await open(options)
  await head.events.return(undefined)
  const described = new Map(
    head.namespaces.filter(({ db }) => db !== '').map((found) => [key(found), asMetadata(found)]),
  )
  const readNamespaces: Snapshot['readNamespaces'] = async (
    consume,
    { select = () => true, width: _width, ...call },
  ) => {
    const archive = await open(call)
    try {
      await demultiplex(archive, async (found, documents) => {
        const namespace = described.get(key(found))
        // The oplog may be embedded too, for mongorestore; it is read from its own object.
        if (namespace === undefined || !select(namespace)) await drain(documents)
        else await consume(namespace, documents)
      })
    } catch (error) {
      throw objectError(error, object)
    }
  }
  return {
    toolVersion: head.header.toolVersion,
    namespaces: [...described.values()],
    oplog,
    readNamespaces,
    // It does not say itself how much it holds.
    bytesToVerify: known.get(object)?.size ?? 0,
    verifyNamespaces: async ({ onBytes, ...options }) => {
      const packed = known.get(object)
      if (packed !== undefined) await verifyPacked({ store, object, packed }, { onBytes, ...options })
      else {
        // What is held in memory by the restore is bounded before it begins.
        const isHeld = (namespace: NamespaceMetadata) => usersOrRoles(namespace) !== undefined
        await readNamespaces(async (namespace, documents) => {
          if (isHeld(namespace)) await collectDocuments(namespace, documents)
          else await drain(documents, onBytes)
        }, options)
      }
    },
  }
}

/** Where the documents of a namespace are, beside the list that has it. */
export function objectOfNamespace(namespace: NamespaceMetadata, list: string, suffix: string): string {
  const { db, collection, object } = namespace
  // PBM does not escape names; a path is cleaned on its way to the storage.
  return object ?? posix.join(posix.dirname(list), `${namespaceFile(db, collection)}${suffix}`)
}

export function packedOf({ name, size, crc }: StoredObject): PackedBytes {
  if (!/^[0-9a-f]{16}$/.test(crc)) throw damaged(`The record of the backup has no checksum of ${name}`)
  return { size, crc: BigInt.asIntN(64, BigInt(`0x${crc}`)) }
}

/** The pieces of the oplog, oldest first: stock PBM may have stored several. */
export async function oplogPieces(
  store: ObjectStore,
  backup: BackupDocument,
  replset: BackupReplset,
  compression: CompressionPlugin,
  options: CallOptions,
): Promise<OplogPiece[]> {
  const name = replset.oplog_name ?? ''
  if (name === '') throw missing(`The metadata of backup ${backup.name} names no oplog of ${replset.name}`)
  refuseElsewhere(backup.name, [name])
  const crcs = new Map(replset.oplog_objects?.map((known) => [known.name, known.crc]))
  if (isLegacyBackupOplog(backup.pbm_version)) {
    await store.stat(name, options).catch((error: unknown) => {
      throw objectError(error, name)
    })
    const { first_write_ts: start, last_write_ts: end } = replset
    return [{ object: name, start: optime(start), end: optime(end), compression, crc: crcs.get(name) }]
  }
  const pieces: OplogPiece[] = []
  for await (const { name: object, size } of store.list({ prefix: `${name}/`, ...options })) {
    const parsed = parseOplogChunkName(object)
    if (parsed === undefined) continue
    if (crcs.size > 0 && !crcs.has(object)) throw damaged(`${object} is not in the record of backup ${backup.name}`)
    if (size === 0) throw damaged(`${object} is empty`)
    const bounds = { start: optime(parsed.start), end: optime(parsed.end) }
    pieces.push({ object, ...bounds, compression, crc: crcs.get(object) })
  }
  if (pieces.length === 0) throw missing(`${name}/ holds no oplog`)
  const found = new Set(pieces.map(({ object }) => object))
  for (const object of crcs.keys()) if (!found.has(object)) throw missing(`${object} is missing on the storage`)
  return pieces.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.end < b.end ? -1 : 1))
}

/** Waits for all, and rejects with what went wrong first. `stop` keeps those not begun from beginning. */
export async function allOrFirstError(running: readonly Promise<void>[], stop: () => void): Promise<void> {
  const failures: unknown[] = []
  let waiting: (() => void) | undefined
  const failed = new Promise<void>((resolve) => {
    waiting = resolve
  })
  const settled = Promise.all(
    running.map((task) =>
      task.catch((error: unknown) => {
        failures.push(error)
        stop()
        waiting?.()
      }),
    ),
  )
  // Tasks taken out of the queue never settle, so the first failure ends the wait.
  await Promise.race([settled, failed])
  if (failures.length > 0) throw failures[0]
}

async function metadataOf(text: string, object: string) {
  try {
    return await readMetadataJsonGently(text)
  } catch (error) {
    throw damaged(`${object} is not a list of namespaces`, error)
  }
}

function asMetadata(found: ArchiveNamespace): NamespaceMetadata {
  return { ...found, crc: 0n, size: 0 }
}

function key({ db, collection }: { db: string; collection: string }): string {
  return `${db}\0${collection}`
}

export async function drain(source: AsyncIterable<Uint8Array>, onBytes?: (bytes: number) => void): Promise<void> {
  for await (const { length } of source) onBytes?.(length)
}
