import type { Readable } from 'node:stream'
import type { BlobDownloadResponseParsed, BlockBlobClient } from '@azure/storage-blob'
import { PluginError } from '@pbmkit/core/plugin'
import type { ByteRange, OpenObject, Operation } from '@pbmkit/core/plugin/kit'
import { statusOf } from './errors.js'

export interface Found {
  readonly size: number
  readonly modifiedAt: Date
}

/** Connections that broke one after the other without a byte between them. */
const MOST_BREAKS = 20

/** Size and time of an object. Zero bytes are let through. One that is being copied to is not there yet. */
export async function lookUp(blob: BlockBlobClient, name: string, operation: Operation): Promise<Found> {
  const found = await blob.getProperties({ abortSignal: operation.signal })
  requireWhole(name, found.copyStatus)
  return { size: found.contentLength ?? 0, modifiedAt: found.lastModified ?? new Date(0) }
}

export function isWhole(copyStatus: string | undefined): boolean {
  return copyStatus === undefined || copyStatus === 'success'
}

function requireWhole(name: string, copyStatus: string | undefined): void {
  if (isWhole(copyStatus)) return
  const text = `there is no object ${JSON.stringify(name)}: a copy to it is ${copyStatus}`
  throw new PluginError('STORAGE_NOT_FOUND', text)
}

/** Begins to read an object; nothing is buffered but what the socket holds. */
export async function openRead(
  blob: BlockBlobClient,
  name: string,
  { offset, length }: ByteRange,
  operation: Operation,
): Promise<OpenObject | undefined> {
  const { signal: abortSignal } = operation
  const count = length === Number.POSITIVE_INFINITY ? undefined : length
  const opened = await blob.download(offset, count, { abortSignal, ...ONE_ANSWER }).catch((error: unknown) => {
    if (statusOf(error) !== 416) throw error
  })
  if (opened === undefined) return undefined
  let body = bodyOf(opened)
  const size = opened.contentLength ?? 0
  try {
    requireWhole(name, opened.copyStatus)
  } catch (error) {
    body.destroy()
    throw error
  }
  // Some servers answer a range past the end by nothing.
  if (size === 0) {
    body.destroy()
    return undefined
  }
  /** The rest of the same version, from the byte that comes after `read` others. */
  const rest = async (read: number) => {
    const conditions = opened.etag === undefined ? {} : { ifMatch: opened.etag }
    body = bodyOf(await blob.download(offset + read, size - read, { abortSignal, conditions, ...ONE_ANSWER }))
    return body
  }
  return { bytes: bytes(body, size, rest, operation), free: () => void body.destroy() }
}

/** The SDK takes a connection that breaks in the midst of a body for one that was aborted here, and gives up. */
const ONE_ANSWER = { maxRetryRequests: 0 }

function bodyOf({ readableStreamBody }: BlobDownloadResponseParsed): Readable {
  const body = readableStreamBody as Readable
  // An error of a body that nobody is reading at the moment comes again from the next read.
  body.on('error', () => undefined)
  return body
}

async function* bytes(
  first: Readable,
  size: number,
  rest: (read: number) => Promise<Readable>,
  operation: Operation,
): AsyncGenerator<Uint8Array> {
  let read = 0
  try {
    for (let body = first, breaks = 0; ; body = await rest(read)) {
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          // A reader that rests for long lets the connection break, too, as often as it rests.
          breaks = 0
          read += chunk.length
          yield chunk
        }
      } catch (error) {
        operation.check()
        if (breaks === MOST_BREAKS) throw error
      }
      operation.check()
      if (read >= size) return
      if (breaks++ === MOST_BREAKS) throw new Error('the answer ended early')
    }
  } catch (error) {
    if (statusOf(error) !== 404 && statusOf(error) !== 412) throw error
    const text = 'the connection broke, and by now the object was replaced or deleted'
    throw new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
  }
}
