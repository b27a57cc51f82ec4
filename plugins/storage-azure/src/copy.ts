import { setTimeout as delay } from 'node:timers/promises'
import type { BlockBlobClient } from '@azure/storage-blob'
import { PluginError, type TransferOptions } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
import { lookUp } from './read.js'
import type { Written } from './save.js'

const CLEANUP_MS = 10_000
const FIRST_LOOK_MS = 50
const LONGEST_LOOK_MS = 2_000

/**
 * Copies inside the account, where the service does it at once or in the background. While it does, the target is not
 * shown; a copy that fails or is aborted is removed.
 */
export async function copyObject(
  from: BlockBlobClient,
  to: BlockBlobClient,
  source: string,
  options: TransferOptions,
  operation: Operation,
): Promise<Written> {
  const found = await lookUp(from, source, operation)
  if (from.url === to.url) return found
  await operation.uncut(async (abortSignal) => to.beginCopyFromURL(from.url, { abortSignal }))
  try {
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      operation.check()
      const { copyStatus, copyStatusDescription, copyProgress, contentLength, lastModified } = await to.getProperties({
        abortSignal: operation.signal,
      })
      if (copyStatus === 'success' || copyStatus === undefined) {
        return { size: contentLength ?? found.size, modifiedAt: lastModified ?? new Date() }
      }
      if (copyStatus !== 'pending') {
        const text = `the service has given up the copy: ${copyStatusDescription ?? copyStatus}`
        throw new PluginError('STORAGE_UNAVAILABLE', text)
      }
      options.onProgress?.(Number(copyProgress?.split('/')[0] ?? 0))
      await delay(wait, undefined, { signal: operation.signal }).catch(() => undefined)
    }
  } catch (error) {
    await abandon(to)
    throw error
  }
}

/** Ends a copy that is pending, and removes what it would have become. */
async function abandon(to: BlockBlobClient): Promise<void> {
  const abortSignal = AbortSignal.timeout(CLEANUP_MS)
  try {
    const { copyStatus, copyId, etag } = await to.getProperties({ abortSignal })
    if (copyStatus === 'pending' && copyId !== undefined) await to.abortCopyFromURL(copyId, { abortSignal })
    else if (copyStatus === 'success' || copyStatus === undefined) return
    await to.delete({ abortSignal, ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }) })
  } catch {
    // Its status tells everybody that it is not whole.
  }
}
