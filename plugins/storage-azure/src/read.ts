import type { Readable } from 'node:stream'
import type { BlobDownloadResponseParsed, BlockBlobClient } from '@azure/storage-blob'
import { PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
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

export function requireBytes(name: string, size: number): void {
  if (size === 0) throw new PluginError('STORAGE_EMPTY', `the object ${JSON.stringify(name)} is empty`)
}

export function isWhole(copyStatus: string | undefined): boolean {
  return copyStatus === undefined || copyStatus === 'success'
}

function requireWhole(name: string, copyStatus: string | undefined): void {
  if (isWhole(copyStatus)) return
  const text = `there is no object ${JSON.stringify(name)}: a copy to it is ${copyStatus}`
  throw new PluginError('STORAGE_NOT_FOUND', text)
}

/** Begins to read an object; nothing is buffered but what the socket holds. `onEnd` is called once, however it ends. */
export async function openRead(
  blob: BlockBlobClient,
  name: string,
  options: ReadOptions,
  operation: Operation,
  onEnd: () => void,
): Promise<AsyncIterable<Uint8Array>> {
  const { offset = 0, length } = options
  const count = length === Number.POSITIVE_INFINITY ? undefined : length
  const refuse = async () => {
    const { size } = await lookUp(blob, name, operation)
    requireBytes(name, size)
    const asked = `${length ?? 'all'} bytes from byte ${offset}`
    const text = `the object ${JSON.stringify(name)} has ${size} bytes; asked for ${asked}`
    return new PluginError('STORAGE_INVALID_RANGE', text)
  }
  if (!isRange(offset, count)) throw await refuse()
  const opened = await blob
    .download(offset, count, { abortSignal: operation.signal, ...ONE_ANSWER })
    .catch(async (error: unknown) => {
      throw statusOf(error) === 416 ? await refuse() : error
    })
  let body = bodyOf(opened)
  const size = opened.contentLength ?? 0
  try {
    requireWhole(name, opened.copyStatus)
    // Some servers answer a range past the end by nothing.
    if (size === 0) throw await refuse()
  } catch (error) {
    body.destroy()
    throw error
  }
  const finish = () => {
    operation.signal.removeEventListener('abort', finish)
    body.destroy()
    onEnd()
  }
  // Also when the reader has stopped asking: an ended call holds no socket.
  operation.signal.addEventListener('abort', finish, { once: true })
  if (operation.signal.aborted) finish()
  /** The rest of the same version, from the byte that comes after `read` others. */
  const rest = async (read: number) => {
    const conditions = opened.etag === undefined ? {} : { ifMatch: opened.etag }
    const { signal: abortSignal } = operation
    body = bodyOf(await blob.download(offset + read, size - read, { abortSignal, conditions, ...ONE_ANSWER }))
    return body
  }
  return bytes(body, size, rest, options, operation, finish)
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
  { onProgress }: ReadOptions,
  operation: Operation,
  finish: () => void,
): AsyncGenerator<Uint8Array> {
  let read = 0
  try {
    operation.check()
    for (let body = first, breaks = 0; ; body = await rest(read)) {
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          operation.check()
          // A reader that rests for long lets the connection break, too, as often as it rests.
          breaks = 0
          read += chunk.length
          onProgress?.(read)
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
    operation.check()
    if (statusOf(error) !== 404 && statusOf(error) !== 412) throw error
    const text = 'the connection broke, and by now the object was replaced or deleted'
    throw new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
  } finally {
    finish()
  }
}

function isRange(offset: number, length: number | undefined): boolean {
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0
  return whole(offset) && (length === undefined || (whole(length) && length > 0))
}
