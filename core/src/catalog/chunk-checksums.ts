import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import {
  type ChunkChecksum,
  chunkChecksumName,
  chunkChecksumPrefix,
  parseChunkChecksumName,
} from '../store/layout/chunk-checksum.js'

/**
 * Stores the checksums of a chunk beside it, for whoever has nothing but the storage. A sealed one has none: opening it checks
 * every bit, and checksums of what is sealed tell something of it. Without them the chunk is as good: a failure is only told.
 */
export async function storeChecksum(
  store: ObjectStore,
  { fname, size, crc, storedCrc, encryption }: PitrChunkDocument,
  { log, signal }: CallOptions & { readonly log: OperationLog },
): Promise<void> {
  if (encryption !== undefined || crc === undefined || storedCrc === undefined) return
  const name = chunkChecksumName(fname, { size, crc, storedCrc })
  try {
    await store.save(name, bodyOf(Buffer.from(`${fname} ${size} ${crc} ${storedCrc}\n`)), { signal })
  } catch (error) {
    signal?.throwIfAborted()
    log.warning(`the checksums of ${fname} can't be stored: ${errorText(error)}`)
  }
}

/** Deletes what tells of a chunk that is gone. */
export async function deleteChecksums(store: ObjectStore, chunk: string, { signal }: CallOptions): Promise<void> {
  const names: string[] = []
  for await (const { name } of store.list({ prefix: chunkChecksumPrefix(chunk), signal })) names.push(name)
  for (const name of names) await forgetObject(store, name, { signal })
}

/** The same of a listed chunk, whose record names it: without a look at the storage. */
export async function deleteOwnChecksum(
  store: ObjectStore,
  { fname, size, crc, storedCrc, encryption }: PitrChunkDocument,
  { signal }: CallOptions,
): Promise<void> {
  if (encryption !== undefined || crc === undefined || storedCrc === undefined) return
  await forgetObject(store, chunkChecksumName(fname, { size, crc, storedCrc }), { signal })
}

/** Deletes an object that may be gone already. */
export async function forgetObject(store: ObjectStore, name: string, { signal }: CallOptions): Promise<void> {
  await store.delete(name, { signal }).catch((error: unknown) => {
    if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
  })
}

/** Checksums found in a list of the storage, by the chunk that they are of. */
export class ChunkChecksums {
  readonly #found = new Map<string, ChunkChecksum[]>()

  /** Whether it was one. */
  add(object: string): boolean {
    const sum = parseChunkChecksumName(object)
    if (sum === undefined) return false
    const key = keyOf({ rs: sum.rs, start_ts: sum.start, end_ts: sum.end })
    const known = this.#found.get(key)
    if (known === undefined) this.#found.set(key, [sum])
    else known.push(sum)
    return true
  }

  /** More than one where a chunk was stored twice: one of them is right. */
  of(chunk: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>): readonly ChunkChecksum[] {
    return this.#found.get(keyOf(chunk)) ?? []
  }

  all(): ChunkChecksum[] {
    return [...this.#found.values()].flat()
  }

  /** The chunk with its checksums, where it had none and these are beyond doubt. */
  complete(chunk: PitrChunkDocument): PitrChunkDocument {
    if (chunk.crc !== undefined) return chunk
    const fitting = this.of(chunk).filter(({ size }) => size === chunk.size)
    const [one] = fitting
    return one === undefined || fitting.length > 1 ? chunk : { ...chunk, crc: one.crc, storedCrc: one.storedCrc }
  }
}

function keyOf({ rs, start_ts, end_ts }: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>): string {
  return `${rs} ${start_ts} ${end_ts}`
}
