import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import { jittered, type Operation } from '@pbmkit/core/plugin/kit'
import { statusOf } from './errors.js'
import type { Place } from './place.js'

export interface Found {
  readonly size: number
  readonly modifiedAt: Date
  readonly etag: string | undefined
}

/** Size and time of an object. Zero bytes are let through; see {@link requireBytes}. */
export async function lookUp(place: Place, key: string, operation: Operation): Promise<Found> {
  const found = await place.client.send(
    new HeadObjectCommand({ Bucket: place.bucket, Key: key, ...place.encryption.read }),
    { abortSignal: operation.signal },
  )
  return { size: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date(0), etag: found.ETag }
}

export function requireBytes(name: string, size: number): void {
  if (size === 0) throw new PluginError('STORAGE_EMPTY', `the object ${JSON.stringify(name)} is empty`)
}

/** Connections that broke one after the other without a byte between them. */
const MOST_BREAKS = 5
const BREAK_BASE_MS = 200
const LONGEST_BREAK_MS = 10_000

/** Begins to read an object; nothing is buffered but what the socket holds. `onEnd` is called once, however it ends. */
export async function openRead(
  place: Place,
  key: string,
  name: string,
  options: ReadOptions,
  operation: Operation,
  onEnd: () => void,
): Promise<AsyncIterable<Uint8Array>> {
  const { offset = 0, length } = options
  const invalid = (size: number) => {
    const asked = `${length ?? 'all'} bytes from byte ${offset}`
    const text = `the object ${JSON.stringify(name)} has ${size} bytes; asked for ${asked}`
    return new PluginError('STORAGE_INVALID_RANGE', text)
  }
  if (!isRange(offset, length)) {
    const { size } = await lookUp(place, key, operation)
    requireBytes(name, size)
    throw invalid(size)
  }
  const last = length === undefined ? Number.POSITIVE_INFINITY : offset + length - 1
  const get = async (first: number, etag?: string) => {
    const range = first === 0 && last === Number.POSITIVE_INFINITY ? {} : { Range: rangeHeader(first, last) }
    const condition = etag === undefined ? {} : { IfMatch: etag }
    const input = { Bucket: place.bucket, Key: key, ...place.encryption.read, ...range, ...condition }
    return place.client.send(new GetObjectCommand(input), { abortSignal: operation.signal })
  }
  const opened = await get(offset).catch(async (error: unknown) => {
    if (statusOf(error) !== 416) throw error
    const { size } = await lookUp(place, key, operation)
    requireBytes(name, size)
    throw invalid(size)
  })
  const body = opened.Body as Readable
  const size = opened.ContentLength ?? 0
  if (size === 0) {
    body.destroy()
    requireBytes(name, size)
  }
  const reading = new Reading(
    body,
    offset,
    offset + size,
    async (first) => (await get(first, opened.ETag)).Body as Readable,
  )
  return reading.bytes(place, options, operation, onEnd)
}

function isRange(offset: number, length: number | undefined): boolean {
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0
  return whole(offset) && (length === undefined || length === Number.POSITIVE_INFINITY || (whole(length) && length > 0))
}

function rangeHeader(first: number, last: number): string {
  return `bytes=${first}-${Number.isSafeInteger(last) ? last : ''}`
}

class Reading {
  #body: Readable
  #position: number
  readonly #first: number
  readonly #end: number
  readonly #open: (first: number) => Promise<Readable>

  constructor(body: Readable, first: number, end: number, open: (first: number) => Promise<Readable>) {
    this.#body = body
    this.#first = first
    this.#position = first
    this.#end = end
    this.#open = open
    this.#hush()
  }

  bytes(place: Place, options: ReadOptions, operation: Operation, onEnd: () => void): AsyncIterable<Uint8Array> {
    // Also when the reader has stopped asking: an ended call holds no socket.
    const cut = () => {
      this.#body.destroy()
      onEnd()
    }
    if (operation.signal.aborted) cut()
    operation.signal.addEventListener('abort', cut, { once: true })
    return this.#iterate(place, options, operation, () => {
      operation.signal.removeEventListener('abort', cut)
      cut()
    })
  }

  async *#iterate(
    place: Place,
    { onProgress }: ReadOptions,
    operation: Operation,
    onEnd: () => void,
  ): AsyncGenerator<Uint8Array> {
    let breaks = 0
    try {
      while (this.#position < this.#end) {
        operation.check()
        try {
          for await (const chunk of this.#body as AsyncIterable<Buffer>) {
            operation.check()
            breaks = 0
            this.#position += chunk.length
            onProgress?.(this.#position - this.#first)
            yield chunk
          }
          if (this.#position < this.#end) throw new Error('the answer ended early')
        } catch (error) {
          operation.check()
          if (this.#position >= this.#end) break
          await this.#resume(error, ++breaks, place, operation)
        }
      }
    } finally {
      onEnd()
    }
  }

  /** Goes on where the connection broke, in the same version of the object. */
  async #resume(error: unknown, breaks: number, place: Place, operation: Operation): Promise<void> {
    this.#body.destroy()
    const translated = place.translate(error)
    if (breaks > MOST_BREAKS || !translated.retriable) throw translated
    await delay(breaks === 1 ? 0 : jittered(breaks, BREAK_BASE_MS, 0, LONGEST_BREAK_MS), undefined, {
      signal: operation.signal,
    }).catch(() => undefined)
    operation.check()
    try {
      this.#body = await operation.orEnd(this.#open(this.#position))
      this.#hush()
    } catch (cause) {
      operation.check()
      if ([404, 412].includes(statusOf(cause))) {
        const text = `${place.translate(error).message}; by now the object was replaced or deleted`
        throw new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
      }
      await this.#resume(cause, breaks + 1, place, operation)
    }
  }

  /** An error of a body that nobody is reading at the moment comes again from the next read. */
  #hush(): void {
    this.#body.on('error', () => undefined)
  }
}
