import type { IncomingMessage } from 'node:http'
import { PluginError } from '@pbmkit/core/plugin'
import type { ByteRange, OpenObject, Operation } from '@pbmkit/core/plugin/kit'
import { statusOf } from './errors.js'
import { get } from './get.js'
import { type Found, foundOf, type Place, pause, type Resource, retried } from './place.js'

/** Size and time of an object. Zero bytes are let through. */
export async function lookUp(place: Place, key: string): Promise<Found> {
  const [resource] = await place.client.bucket.file(key).getMetadata()
  return foundOf(resource as Resource)
}

/** Begins to read an object; nothing is buffered but what the socket holds. */
export async function openRead(
  place: Place,
  key: string,
  { offset, length }: ByteRange,
  operation: Operation,
): Promise<OpenObject | undefined> {
  const last = offset + length - 1
  const { bucket, endpoint } = place.client
  const url = `${endpoint}/storage/v1/b/${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}?alt=media`
  const from = async (first: number, generation?: string) => {
    const range = first === 0 && last === Number.POSITIVE_INFINITY ? {} : { range: rangeHeader(first, last) }
    const version = generation === undefined ? '' : `&generation=${generation}`
    const authorization = await place.client.authorization(url)
    // As it is stored: nothing on the way may pack it.
    return get(url + version, { ...authorization, ...range, 'accept-encoding': 'identity' }, operation.signal)
  }
  const opened = await retried(place, operation, () => from(offset)).catch((error: unknown) => {
    if (statusOf(error) !== 416) throw error
  })
  if (opened === undefined) return undefined
  const size = Number(opened.headers['content-length'] ?? 0)
  if (size === 0) {
    opened.destroy()
    return undefined
  }
  const generation = [opened.headers['x-goog-generation']].flat()[0]
  const resume = (first: number) => from(first, generation)
  return reading(place, { opened, first: offset, end: offset + size, resume }, operation)
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

function reading(place: Place, { opened, first, end, resume }: Source, operation: Operation): OpenObject {
  let body = opened
  let position = first
  let breaks = 0
  return { bytes: bytes(), free: () => void body.destroy() }

  async function* bytes(): AsyncGenerator<Uint8Array> {
    while (position < end) {
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          breaks = 0
          position += chunk.length
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
}
