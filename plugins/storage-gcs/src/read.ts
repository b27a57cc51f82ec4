import type { IncomingMessage } from 'node:http'
import { PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
import { statusOf } from './errors.js'
import { get } from './get.js'
import { type Found, foundOf, type Place, pause, type Resource, retried } from './place.js'

/** Size and time of an object. Zero bytes are let through; see {@link requireBytes}. */
export async function lookUp(place: Place, key: string, operation: Operation): Promise<Found> {
  const [resource] = await operation.orEnd(place.client.bucket.file(key).getMetadata())
  return foundOf(resource as Resource)
}

export function requireBytes(name: string, size: number): void {
  if (size === 0) throw new PluginError('STORAGE_EMPTY', `the object ${JSON.stringify(name)} is empty`)
}

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
  const invalid = async () => {
    const { size } = await lookUp(place, key, operation)
    requireBytes(name, size)
    const asked = `${length ?? 'all'} bytes from byte ${offset}`
    const text = `the object ${JSON.stringify(name)} has ${size} bytes; asked for ${asked}`
    return new PluginError('STORAGE_INVALID_RANGE', text)
  }
  if (!isRange(offset, length)) throw await invalid()
  const last = length === undefined ? Number.POSITIVE_INFINITY : offset + length - 1
  const { bucket, endpoint } = place.client
  const url = `${endpoint}/storage/v1/b/${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}?alt=media`
  const from = async (first: number, generation?: string) => {
    const range = first === 0 && last === Number.POSITIVE_INFINITY ? {} : { range: rangeHeader(first, last) }
    const version = generation === undefined ? '' : `&generation=${generation}`
    const authorization = await place.client.authorization(url)
    // As it is stored: nothing on the way may pack it.
    return get(url + version, { ...authorization, ...range, 'accept-encoding': 'identity' }, operation.signal)
  }
  const opened = await retried(place, operation, () => from(offset)).catch(async (error: unknown) => {
    throw statusOf(error) === 416 ? await invalid() : error
  })
  const size = Number(opened.headers['content-length'] ?? 0)
  if (size === 0) {
    opened.destroy()
    throw await invalid()
  }
  const generation = [opened.headers['x-goog-generation']].flat()[0]
  const resume = (first: number) => from(first, generation)
  return reading(place, { opened, first: offset, end: offset + size, resume }, options, operation, onEnd)
}

function isRange(offset: number, length: number | undefined): boolean {
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0
  return whole(offset) && (length === undefined || length === Number.POSITIVE_INFINITY || (whole(length) && length > 0))
}

function rangeHeader(first: number, last: number): string {
  return `bytes=${first}-${Number.isSafeInteger(last) ? last : ''}`
}

interface Source {
  readonly opened: IncomingMessage
  readonly first: number
  readonly end: number
  /** The same version of the object from another byte on. */
  resume(first: number): Promise<IncomingMessage>
}

function reading(
  place: Place,
  { opened, first, end, resume }: Source,
  { onProgress }: ReadOptions,
  operation: Operation,
  onEnd: () => void,
): AsyncIterable<Uint8Array> {
  let body = opened
  // Also when the reader has stopped asking: an ended call holds no socket and no operation open.
  const finish = () => {
    operation.signal.removeEventListener('abort', finish)
    body.destroy()
    onEnd()
  }
  operation.signal.addEventListener('abort', finish, { once: true })
  if (operation.signal.aborted) finish()
  return (async function* () {
    let position = first
    let breaks = 0
    try {
      while (position < end) {
        operation.check()
        try {
          for await (const chunk of body as AsyncIterable<Buffer>) {
            operation.check()
            breaks = 0
            position += chunk.length
            onProgress?.(position - first)
            yield chunk
          }
          if (position < end) throw new Error('the answer ended early')
        } catch (error) {
          operation.check()
          if (position >= end) break
          body.destroy()
          body = await again(error, ++breaks)
        }
      }
    } finally {
      finish()
    }

    /** Goes on where the connection broke. */
    async function again(error: unknown, failures: number): Promise<IncomingMessage> {
      const told = place.translate(error)
      if (failures > place.client.retryer.attempts || !told.retriable) throw told
      if (failures > 1) await pause(place, operation, failures - 1)
      operation.check()
      try {
        return await resume(position)
      } catch (cause) {
        operation.check()
        if ([404, 412, 416].includes(statusOf(cause))) {
          const text = `${told.message}; by now the object was replaced or deleted`
          throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: told, retriable: false })
        }
        breaks += 1
        return again(cause, failures + 1)
      }
    }
  })()
}
