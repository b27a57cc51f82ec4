import { setTimeout as delay } from 'node:timers/promises'
import { PluginError } from '@pbmkit/core/plugin'
import { type ByteRange, jittered, notFound, type OpenObject, type Operation } from '@pbmkit/core/plugin/kit'
import { type Attributes, type Channel, ConnectionLost } from './channel.js'
import { translated } from './errors.js'
import { channelFor, missing, type Place, pathOf, widthOf } from './place.js'

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

/** Begins to read an object. */
export async function openRead(
  place: Place,
  name: string,
  { offset, length }: ByteRange,
  operation: Operation,
): Promise<OpenObject | undefined> {
  const file = await openFile(place, name, operation)
  const end = Math.min(file.attributes.size, offset + length)
  if (offset < end) return new Reading(place, name, file, { first: offset, end }, operation)
  closeQuietly(file)
  return undefined
}

class Reading implements OpenObject {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly #place: Place
  readonly #name: string
  readonly #operation: Operation
  readonly #end: number
  /** Requests under way, in the order of the file. */
  #asked: Promise<Buffer>[] = []
  #file: OpenFile
  #position: number
  #askedTo: number
  #breaks = 0
  #freed = false

  constructor(
    place: Place,
    name: string,
    file: OpenFile,
    range: { readonly first: number; readonly end: number },
    operation: Operation,
  ) {
    this.#place = place
    this.#name = name
    this.#file = file
    this.#position = range.first
    this.#askedTo = range.first
    this.#end = range.end
    this.#operation = operation
    this.bytes = this.#iterate()
  }

  free(): void {
    this.#freed = true
    closeQuietly(this.#file)
  }

  async *#iterate(): AsyncGenerator<Uint8Array> {
    // Few at first: of many reads only the beginning is wanted.
    let width = 2
    while (this.#position < this.#end) {
      try {
        this.#ask(Math.min(width, widthOf(this.#place, this.#file.channel.readBytes)))
        const wanted = Math.min(this.#file.channel.readBytes, this.#end - this.#position)
        const chunk = await (this.#asked.shift() ?? Promise.reject(new Error('nothing asked for')))
        if (chunk.length < wanted) throw this.#cut(chunk.length)
        width *= 2
        this.#breaks = 0
        this.#position += chunk.length
        yield chunk
      } catch (error) {
        this.#operation.check()
        await this.#resume(error)
      }
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
      if (this.#freed) closeQuietly(file)
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
