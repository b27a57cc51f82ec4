import { type Operation, PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import { statusOf } from './errors.js'
import { type Found, foundOf, type Place, pause, type Resource, requireOk, retried } from './place.js'

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
  const { bucket } = place.client
  const path = `/storage/v1/b/${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}?alt=media`
  const get = async (first: number, generation: string | null) => {
    const range = first === 0 && last === Number.POSITIVE_INFINITY ? {} : { range: rangeHeader(first, last) }
    const version = generation === null ? '' : `&generation=${generation}`
    // As it is stored: nothing on the way may pack it.
    const headers = { ...range, 'accept-encoding': 'identity' }
    return requireOk(await place.client.request(path + version, { headers, signal: operation.signal }))
  }
  const opened = await retried(place, operation, () => get(offset, null)).catch(async (error: unknown) => {
    throw statusOf(error) === 416 ? await invalid() : error
  })
  const size = Number(opened.headers.get('content-length') ?? 0)
  if (size === 0) {
    await opened.body?.cancel()
    throw await invalid()
  }
  const generation = opened.headers.get('x-goog-generation')
  const resume = (first: number) => get(first, generation)
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
  readonly opened: Response
  readonly first: number
  readonly end: number
  /** The same version of the object from another byte on. */
  resume(first: number): Promise<Response>
}

function reading(
  place: Place,
  { opened, first, end, resume }: Source,
  { onProgress }: ReadOptions,
  operation: Operation,
  onEnd: () => void,
): AsyncIterable<Uint8Array> {
  // Ended before anybody asked for a byte, it still holds no operation open.
  operation.signal.addEventListener('abort', onEnd, { once: true })
  return (async function* () {
    // A reader, since ending the iteration of an aborted answer would throw.
    let reader = opened.body?.getReader()
    let position = first
    let breaks = 0
    try {
      while (position < end) {
        operation.check()
        try {
          const next = await reader?.read()
          if (next?.value === undefined) throw new Error('the answer ended early')
          operation.check()
          breaks = 0
          position += next.value.length
          onProgress?.(position - first)
          yield next.value
        } catch (error) {
          operation.check()
          void reader?.cancel().catch(() => undefined)
          reader = (await again(error, ++breaks)).body?.getReader()
        }
      }
    } finally {
      operation.signal.removeEventListener('abort', onEnd)
      onEnd()
      void reader?.cancel().catch(() => undefined)
    }

    /** Goes on where the connection broke. */
    async function again(error: unknown, failures: number): Promise<Response> {
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
