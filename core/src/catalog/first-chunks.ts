import { wholeDocuments } from '../bson/documents.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { beginWithInitiation } from '../oplog/reading/initiation.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { compressionBySuffix } from '../plugin-host/naming.js'

export interface BeginningsOptions extends CallOptions {
  readonly store: ObjectStore
  readonly host: PluginHost
  readonly log: OperationLog
}

/**
 * The chunks, with a note at the first one of each replica set where it begins with the very first entry: without it, nothing
 * leads past the addition of a shard. One that can't be read now gets no note.
 */
export async function withBeginnings(
  chunks: readonly PitrChunkDocument[],
  options: BeginningsOptions,
): Promise<PitrChunkDocument[]> {
  const first = new Map<string, PitrChunkDocument>()
  for (const chunk of chunks) {
    const known = first.get(chunk.rs)
    if (known === undefined || chunk.start_ts.lessThan(known.start_ts)) first.set(chunk.rs, chunk)
  }
  const beginnings = new Set<PitrChunkDocument>()
  for (const chunk of first.values()) {
    // The others were looked at by who stored them, and know.
    if (chunk.crc === undefined && (await isBeginning(chunk, options))) beginnings.add(chunk)
  }
  return chunks.map((chunk) => (beginnings.has(chunk) ? { ...chunk, fromNothing: true } : chunk))
}

async function isBeginning({ fname }: PitrChunkDocument, options: BeginningsOptions): Promise<boolean> {
  const { store, host, log, signal } = options
  try {
    const compression = await host.compression(compressionBySuffix(fname))
    const entries = wholeDocuments(compression.decompress(await store.read(fname, { signal })))
    for await (const documents of entries) return beginWithInitiation(documents)
  } catch (error) {
    signal?.throwIfAborted()
    log.warning(`whether ${fname} is the beginning of its replica set can't be told: ${errorText(error)}`)
  }
  return false
}
