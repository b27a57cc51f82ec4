import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { PluginError } from '@pbmkit/core/plugin'
import { type ByteRange, jittered, type OpenObject, type Operation } from '@pbmkit/core/plugin/kit'
import { statusOf } from './errors.js'
import type { Place } from './place.js'

export interface Found {
  readonly size: number
  readonly modifiedAt: Date
  readonly etag: string | undefined
}

/** Size and time of an object. Zero bytes are let through. */
export async function lookUp(place: Place, key: string, operation: Operation): Promise<Found> {
  const found = await place.client.send(
    new HeadObjectCommand({ Bucket: place.bucket, Key: key, ...place.encryption.read }),
    { abortSignal: operation.signal },
  )
  return { size: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date(0), etag: found.ETag }
}

/** Connections that broke one after the other without a byte between them. */
const MOST_BREAKS = 5
const BREAK_BASE_MS = 200
const LONGEST_BREAK_MS = 10_000

/** Begins to read an object; nothing is buffered but what the socket holds. */
export async function openRead(
  place: Place,
  key: string,
  { offset, length }: ByteRange,
  operation: Operation,
): Promise<OpenObject | undefined> {
  const last = offset + length - 1
  const get = async (first: number, etag?: string) => {
    const range = first === 0 && last === Number.POSITIVE_INFINITY ? {} : { Range: rangeHeader(first, last) }
    const condition = etag === undefined ? {} : { IfMatch: etag }
    const input = { Bucket: place.bucket, Key: key, ...place.encryption.read, ...range, ...condition }
    return place.client.send(new GetObjectCommand(input), { abortSignal: operation.signal })
  }
  const opened = await get(offset).catch((error: unknown) => {
    if (statusOf(error) !== 416) throw error
  })
  if (opened === undefined) return undefined
  const body = opened.Body as Readable
  const size = opened.ContentLength ?? 0
  if (size === 0) {
    body.destroy()
    return undefined
  }
  const again = async (first: number) => (await get(first, opened.ETag)).Body as Readable
  return new Reading(body, offset, offset + size, again, place, operation)
}

function rangeHeader(first: number, last: number): string {
  return `bytes=${first}-${Number.isSafeInteger(last) ? last : ''}`
}

class Reading implements OpenObject {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly #end: number
  readonly #open: (first: number) => Promise<Readable>
  readonly #place: Place
  readonly #operation: Operation
  #body: Readable
  #position: number

  constructor(
    body: Readable,
    first: number,
    end: number,
    open: (first: number) => Promise<Readable>,
    place: Place,
    operation: Operation,
  ) {
    this.#body = body
    this.#position = first
    this.#end = end
    this.#open = open
    this.#place = place
    this.#operation = operation
    this.bytes = this.#iterate()
    this.#hush()
  }

  free(): void {
    this.#body.destroy()
  }

  async *#iterate(): AsyncGenerator<Uint8Array> {
    let breaks = 0
    while (this.#position < this.#end) {
      try {
        for await (const chunk of this.#body as AsyncIterable<Buffer>) {
          breaks = 0
          this.#position += chunk.length
          yield chunk
        }
        if (this.#position < this.#end) throw new Error('the answer ended early')
      } catch (error) {
        this.#operation.check()
        if (this.#position >= this.#end) break
        await this.#resume(error, ++breaks)
      }
    }
  }

  /** Goes on where the connection broke, in the same version of the object. */
  async #resume(error: unknown, breaks: number): Promise<void> {
    const [place, operation] = [this.#place, this.#operation]
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
      await this.#resume(cause, breaks + 1)
    }
  }

  /** An error of a body that nobody is reading at the moment comes again from the next read. */
  #hush(): void {
    this.#body.on('error', () => undefined)
  }
}
