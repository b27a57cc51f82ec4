import { setTimeout as delay } from 'node:timers/promises'
import { PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import { jittered, type Operation } from '@pbmkit/core/plugin/kit'
import { type Attributes, type Channel, ConnectionLost } from './channel.js'
import { translated } from './errors.js'
import { channelFor, missing, notFound, type Place, pathOf, requireBytes, widthOf } from './place.js'

/** Connections that broke one after the other without a byte between them. */
const MOST_BREAKS = 5
const BREAK_BASE_MS = 200
const LONGEST_BREAK_MS = 10_000

/** A file that is open for reading on a connection. */
export interface OpenFile {
  readonly channel: Channel
  readonly handle: Buffer
  readonly attributes: Attributes
}

export async function openFile(place: Place, name: string, operation: Operation): Promise<OpenFile> {
  const channel = await channelFor(place, operation)
  try {
    const opening = channel.openRead(pathOf(place.root, name))
    const handle = await operation.orEnd(opening).catch((error: unknown) => {
      // The answer may come after the operation has ended.
      opening.then((late) => channel.closeHandle(late)).catch(() => undefined)
      throw error
    })
    try {
      const attributes = await operation.orEnd(channel.attributesOf(handle))
      if (attributes.kind !== 'file') throw notFound(name)
      return { channel, handle, attributes }
    } catch (error) {
      closeQuietly({ channel, handle })
      throw error
    }
  } catch (error) {
    throw await missing(error, channel, place.root, name)
  }
}

export function closeQuietly({ channel, handle }: Pick<OpenFile, 'channel' | 'handle'>): void {
  channel.closeHandle(handle).catch(() => undefined)
}

/** The bytes asked for, [first, end). Throws STORAGE_INVALID_RANGE. */
export function rangeOf(
  name: string,
  size: number,
  { offset = 0, length }: ReadOptions,
): { first: number; end: number } {
  const whole = (value: number) => Number.isInteger(value) && value >= 0
  const fits = length === undefined || length === Number.POSITIVE_INFINITY || (whole(length) && length > 0)
  if (whole(offset) && offset < size && fits) return { first: offset, end: Math.min(size, offset + (length ?? size)) }
  const asked = `${length ?? 'all'} bytes from byte ${offset}`
  const text = `the object ${JSON.stringify(name)} has ${size} bytes; asked for ${asked}`
  throw new PluginError('STORAGE_INVALID_RANGE', text)
}

/** Begins to read an object; `onEnd` is called once, however it ends. */
export async function openRead(
  place: Place,
  name: string,
  options: ReadOptions,
  operation: Operation,
  onEnd: () => void,
): Promise<AsyncIterable<Uint8Array>> {
  const file = await openFile(place, name, operation)
  try {
    const { size } = file.attributes
    requireBytes(name, size)
    return new Reading(place, name, file, rangeOf(name, size, options), options, operation, onEnd).bytes()
  } catch (error) {
    closeQuietly(file)
    throw error
  }
}

class Reading {
  readonly #place: Place
  readonly #name: string
  readonly #options: ReadOptions
  readonly #operation: Operation
  readonly #onEnd: () => void
  readonly #first: number
  readonly #end: number
  /** Requests under way, in the order of the file. */
  #asked: Promise<Buffer>[] = []
  #file: OpenFile
  #position: number
  #askedTo: number
  #breaks = 0
  #ended = false

  constructor(
    place: Place,
    name: string,
    file: OpenFile,
    range: { first: number; end: number },
    options: ReadOptions,
    operation: Operation,
    onEnd: () => void,
  ) {
    this.#place = place
    this.#name = name
    this.#file = file
    this.#first = range.first
    this.#position = range.first
    this.#askedTo = range.first
    this.#end = range.end
    this.#options = options
    this.#operation = operation
    this.#onEnd = onEnd
  }

  bytes(): AsyncIterable<Uint8Array> {
    // Also when the reader has stopped asking: an ended call holds no file open.
    const finish = () => {
      this.#operation.signal.removeEventListener('abort', finish)
      if (this.#ended) return
      this.#ended = true
      closeQuietly(this.#file)
      this.#onEnd()
    }
    this.#operation.signal.addEventListener('abort', finish, { once: true })
    if (this.#operation.signal.aborted) finish()
    return this.#iterate(finish)
  }

  async *#iterate(finish: () => void): AsyncGenerator<Uint8Array> {
    // Few at first: of many reads only the beginning is wanted.
    let width = 2
    try {
      while (this.#position < this.#end) {
        this.#operation.check()
        try {
          this.#ask(Math.min(width, widthOf(this.#place, this.#file.channel.readBytes)))
          const wanted = Math.min(this.#file.channel.readBytes, this.#end - this.#position)
          const chunk = await this.#operation.orEnd(
            this.#asked.shift() ?? Promise.reject(new Error('nothing asked for')),
          )
          if (chunk.length < wanted) throw this.#cut(chunk.length)
          width *= 2
          this.#breaks = 0
          this.#position += chunk.length
          this.#options.onProgress?.(this.#position - this.#first)
          yield chunk
        } catch (error) {
          this.#operation.check()
          await this.#resume(error)
        }
      }
    } finally {
      finish()
    }
  }

  #ask(width: number): void {
    const { channel, handle } = this.#file
    while (this.#asked.length < width && this.#askedTo < this.#end) {
      const length = Math.min(channel.readBytes, this.#end - this.#askedTo)
      const asked = channel.read(handle, this.#askedTo, length)
      // Its failure is told when it is its turn.
      asked.catch(() => undefined)
      this.#asked.push(asked)
      this.#askedTo += length
    }
  }

  /** Goes on where the connection broke, in the same file. */
  async #resume(error: unknown): Promise<void> {
    const path = pathOf(this.#place.root, this.#name)
    if (!isPassing(error) || ++this.#breaks > MOST_BREAKS) throw translated(error, `reading ${path}`)
    this.#asked = []
    this.#askedTo = this.#position
    if (this.#breaks > 1) {
      const wait = jittered(this.#breaks, BREAK_BASE_MS, 0, LONGEST_BREAK_MS)
      await delay(wait, undefined, { signal: this.#operation.signal }).catch(() => undefined)
    }
    this.#operation.check()
    const before = this.#file.attributes
    try {
      const file = await openFile(this.#place, this.#name, this.#operation)
      if (this.#ended) closeQuietly(file)
      this.#file = file
    } catch (cause) {
      this.#operation.check()
      return this.#resume(cause)
    }
    const { size, modifiedAt } = this.#file.attributes
    if (size === before.size && modifiedAt.getTime() === before.modifiedAt.getTime()) return
    const text = `reading ${path}: the connection broke, and by now the object was replaced`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: error, retriable: false })
  }

  #cut(got: number): PluginError {
    const path = pathOf(this.#place.root, this.#name)
    const text = `reading ${path}: the file was cut to ${this.#position + got} bytes while it was read`
    return new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof PluginError && error.retriable)
}
