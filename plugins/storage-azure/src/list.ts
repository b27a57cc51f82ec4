import type { ContainerClient } from '@azure/storage-blob'
import type { ObjectInfo } from '@pbmkit/core/plugin'
import type { Keys } from '@pbmkit/core/plugin/kit'
import { isWhole } from './read.js'

/** Whole objects whose names begin with `prefix`. */
export async function* listObjects(
  container: ContainerClient,
  keys: Keys,
  prefix: string,
  abortSignal: AbortSignal,
): AsyncGenerator<ObjectInfo> {
  const keyPrefix = keys.keyPrefixOf(prefix)
  if (keyPrefix === undefined) return
  const asked = { prefix: keyPrefix, includeCopy: true, includeMetadata: true, abortSignal }
  for await (const { name: key, properties, metadata } of container.listBlobsFlat(asked)) {
    const name = keys.nameOf(key)
    // Accounts with a hierarchical namespace list folders among the blobs.
    if (name === undefined || metadata?.hdi_isfolder === 'true' || !isWhole(properties.copyStatus)) continue
    yield { name, size: properties.contentLength ?? 0, modifiedAt: properties.lastModified }
  }
}
