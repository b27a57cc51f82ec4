import type { NamespaceMetadata, PackedBytes } from '../../archive/metadata.js'
import { Tally } from '../../archive/tally.js'
import { wholeDocuments } from '../../bson/documents.js'
import { PbmError } from '../../errors.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import { hasCode } from '../../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { noteBufferMade } from '../../plugin-kit/young-buffers.js'

/** A stored piece of oplog. Bounds are inclusive. */
export interface OplogPiece {
  readonly object: string
  readonly start: bigint
  readonly end: bigint
  readonly compression: CompressionPlugin
  /** Of what is in it, as `pbmPITRChunks` and our own backups have it; absent where nobody knows it. */
  readonly crc?: string | undefined
  /** Where a server has it, and not the storage. */
  readonly read?: ((options: CallOptions) => AsyncIterable<Uint8Array>) | undefined
}

export interface ReadStoredOptions extends CallOptions {
  /** Shown the object's bytes as the store gives them. */
  readonly onStored?: (chunk: Uint8Array) => void
}

/** Raw bytes of a stored object, decompressed. Faults of the object name it. */
export async function* readObject(
  store: ObjectStore,
  object: string,
  compression: CompressionPlugin,
  options: ReadStoredOptions = {},
): AsyncGenerator<Uint8Array> {
  const { onStored, ...call } = options
  try {
    const stored = await store.read(object, call)
    for await (const bytes of compression.decompress(onStored === undefined ? stored : seen(stored, onStored))) {
      noteBufferMade(bytes.length)
      yield bytes
    }
  } catch (error) {
    throw objectError(error, object)
  }
}

async function* seen<Chunk extends Uint8Array>(
  source: AsyncIterable<Chunk>,
  see: (chunk: Chunk) => void,
): AsyncGenerator<Chunk> {
  for await (const chunk of source) {
    see(chunk)
    yield chunk
  }
}

/** The entries of a piece of oplog, raw; throws `BACKUP_DAMAGED` behind the last one where they are not those of its checksum. */
export async function* readPiece(
  store: ObjectStore,
  { object, compression, crc, read }: OplogPiece,
  options: ReadStoredOptions,
): AsyncGenerator<Uint8Array> {
  const entries = read?.(options) ?? readObject(store, object, compression, options)
  if (crc === undefined) {
    yield* entries
    return
  }
  const tally = new Tally()
  yield* tally.through(entries)
  if (tally.crcText() !== crc) throw damaged(`${object} was altered: its checksum is wrong`)
}

/**
 * Gives the documents of an object, whole ones together, and compares what flowed with what the list of namespaces says:
 * the object's bytes where it knows them, which are fewer, and every codec has a checksum of its own for what it makes
 * of them; the documents otherwise.
 */
export async function* checkedDocuments(
  { store, object, compression, namespace }: StoredDocuments,
  options: ReadStoredOptions,
): AsyncGenerator<Buffer> {
  const { packed } = namespace
  const tally = new Tally()
  const onStored = (chunk: Uint8Array) => {
    tally.add(chunk)
    options.onStored?.(chunk)
  }
  const stored = readObject(store, object, compression, packed === undefined ? options : { ...options, onStored })
  let size = 0
  try {
    for await (const documents of wholeDocuments(stored)) {
      if (packed === undefined) tally.add(documents)
      size += documents.length
      // What is said to be small must not become large.
      if (size > namespace.size) break
      yield documents
    }
  } catch (error) {
    throw objectError(error, object)
  }
  if (size > namespace.size) throw damaged(`${object} has more than ${namespace.size} bytes of documents`)
  if (size < namespace.size) throw damaged(`${object} has ${size} bytes of documents instead of ${namespace.size}`)
  // A codec may stop at its own end mark, without a look at whether that is the end of the object.
  if (packed !== undefined && tally.size < packed.size)
    await verifyPacked({ store, object, packed }, { signal: options.signal })
  else if (tally.crc !== (packed ?? namespace).crc) throw altered(object)
}

interface StoredDocuments {
  readonly store: ObjectStore
  readonly object: string
  readonly compression: CompressionPlugin
  readonly namespace: NamespaceMetadata
}

/** Compares a stored object, without a look into it, with what the list of namespaces says. */
export async function verifyPacked(
  { store, object, packed }: { store: ObjectStore; object: string; packed: PackedBytes },
  { onBytes, ...call }: CallOptions & { readonly onBytes?: ((bytes: number) => void) | undefined },
): Promise<void> {
  const tally = new Tally()
  try {
    for await (const bytes of await store.read(object, call)) {
      noteBufferMade(bytes.length)
      tally.add(bytes)
      onBytes?.(bytes.length)
    }
  } catch (error) {
    throw objectError(error, object)
  }
  refuseOther(object, tally, packed)
}

/** The same for one that was read already. */
export function refuseAltered(object: string, bytes: Uint8Array, packed: PackedBytes): void {
  const tally = new Tally()
  tally.add(bytes)
  refuseOther(object, tally, packed)
}

function refuseOther(object: string, { size, crc }: Tally, packed: PackedBytes): void {
  if (size < packed.size) throw damaged(`${object} is cut off: it has ${size} bytes instead of ${packed.size}`)
  if (size !== packed.size || crc !== packed.crc) throw altered(object)
}

export function damaged(message: string, cause?: unknown): PbmError {
  return new PbmError('BACKUP_DAMAGED', message, {
    hint: 'The backup can not be restored as it is; restore another one.',
    ...(cause === undefined ? {} : { cause }),
  })
}

function altered(object: string): PbmError {
  return damaged(`${object} is altered: its checksum is not that of the backup`)
}

export function missing(message: string, cause?: unknown): PbmError {
  return new PbmError('BACKUP_OBJECT_MISSING', message, {
    hint: 'The backup is incomplete; restore another one, or bring the object back.',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Whether an object of a backup is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof PbmError && error.code === 'BACKUP_OBJECT_MISSING'
}

/** The fault of an object in the words of a backup; faults of the storage itself stay as they are. */
export function objectError(error: unknown, object: string): unknown {
  if (hasCode(error, 'STORAGE_NOT_FOUND')) return missing(`${object} is missing on the storage`, error)
  if (hasCode(error, 'STORAGE_EMPTY')) return damaged(`${object} is empty`, error)
  if (hasCode(error, 'ENCRYPTION_TAMPERED'))
    return damaged(`${object} is altered, and no longer what was sealed`, error)
  if (hasCode(error, 'CODEC_TRUNCATED')) return damaged(`${object} is cut off`, error)
  if (hasCode(error, 'CODEC_CORRUPT')) return damaged(`${object} is altered`, error)
  if (error instanceof PbmError && /^(BSON|ARCHIVE)_/.test(error.code)) return damaged(`${object} is damaged`, error)
  return error
}
