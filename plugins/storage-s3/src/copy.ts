import { type CompletedPart, CopyObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3'
import type { TransferOptions } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
import { answeredAt } from './client.js'
import { statusOf } from './errors.js'
import { type Place, retried } from './place.js'
import { type Found, lookUp } from './read.js'
import { inParts, target, type Written } from './save.js'

export interface CopyLimits {
  /** Bytes that one request copies; S3 allows 5 GiB. */
  readonly single: number
  /** Bytes of a part of larger copies. */
  readonly part: number
}

/** Well below what S3 allows: parts are copied side by side, and none takes longer than a server keeps a request. */
export const COPY_LIMITS: CopyLimits = { single: 1024 ** 3, part: 512 * 1024 ** 2 }

const MAX_PARTS = 10_000
const PARTS_AT_ONCE = 4
/** A source that is replaced all the time can't be copied. */
const TRIES = 5

/** Copies inside the bucket; no byte comes here. */
export async function copyObject(
  place: Place,
  source: string,
  to: string,
  limits: CopyLimits,
  options: TransferOptions,
  operation: Operation,
): Promise<Written> {
  for (let round = 1; ; round++) {
    const found = await lookUp(place, source, operation)
    if (source === to) return found
    try {
      return found.size <= limits.single
        ? await inOne(place, source, to, found, operation)
        : await byParts(place, source, to, found, limits, options, operation)
    } catch (error) {
      // The source was replaced between the look at it and the copy.
      if (statusOf(error) !== 412 || round === TRIES) throw error
    }
  }
}

/** What is copied: the version that was looked at, or an error 412. */
function copySource(place: Place, key: string, found: Found) {
  const path = [place.bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  return {
    ...place.encryption.copySource,
    CopySource: path,
    ...(found.etag === undefined ? {} : { CopySourceIfMatch: found.etag }),
  }
}

async function inOne(place: Place, source: string, to: string, found: Found, operation: Operation): Promise<Written> {
  const input = { ...target(place, to), ...place.encryption.write, ...copySource(place, source, found) }
  const output = await retried(place, operation, () =>
    operation.uncut((abortSignal) => place.client.send(new CopyObjectCommand(input), { abortSignal })),
  )
  return { size: found.size, modifiedAt: output.CopyObjectResult?.LastModified ?? answeredAt(output) }
}

function byParts(
  place: Place,
  source: string,
  to: string,
  found: Found,
  limits: CopyLimits,
  options: TransferOptions,
  operation: Operation,
): Promise<Written> {
  const bytes = Math.max(limits.part, Math.ceil(found.size / MAX_PARTS))
  const count = Math.ceil(found.size / bytes)
  return inParts(place, to, operation, async (UploadId) => {
    const parts: CompletedPart[] = []
    let next = 0
    let copied = 0
    const worker = async () => {
      while (next < count) {
        const index = next++
        const end = Math.min(found.size, (index + 1) * bytes)
        const input = {
          ...{ Bucket: place.bucket, Key: to, UploadId, PartNumber: index + 1 },
          ...place.encryption.read,
          ...copySource(place, source, found),
          CopySourceRange: `bytes=${index * bytes}-${end - 1}`,
        }
        const { CopyPartResult } = await operation.orEnd(
          retried(place, operation, () =>
            place.client.send(new UploadPartCopyCommand(input), { abortSignal: operation.signal }),
          ),
        )
        const { ETag } = CopyPartResult ?? {}
        parts[index] = { PartNumber: index + 1, ...(ETag === undefined ? {} : { ETag }) }
        copied += end - index * bytes
        options.onProgress?.(copied)
      }
    }
    const workers = Array.from({ length: Math.min(PARTS_AT_ONCE, count) }, worker)
    try {
      await Promise.all(workers)
    } catch (error) {
      operation.stop(error)
      await Promise.allSettled(workers)
      throw error
    }
    return { parts, size: found.size }
  })
}
