import { PluginError, type SaveOptions } from '@pbmkit/core/plugin'
import { type Operation, PartSource } from '@pbmkit/core/plugin/kit'
import { failureOf, HttpFailure } from './errors.js'
import { type Found, foundOf, type Place, pause, type Resource, requireOk, retried } from './place.js'
import { put } from './put.js'

/** How long telling the server of an upload's end may take (milliseconds). */
const CLEANUP_MS = 5_000
const BYTES = { 'content-type': 'application/octet-stream' }

/** Drains `body` into `key`: in one request when it fits into a chunk, else chunk by chunk into an upload session. */
export async function saveObject(
  place: Place,
  key: string,
  body: AsyncIterable<Uint8Array>,
  chunkBytes: number,
  options: SaveOptions,
  operation: Operation,
): Promise<Found> {
  const source = new PartSource(body)
  const first = await source.next(chunkBytes)
  return first.length < chunkBytes
    ? await inOne(place, key, first, options, operation)
    : await inChunks(place, key, source, first, chunkBytes, options, operation)
}

function inOne(place: Place, key: string, bytes: Buffer, options: SaveOptions, operation: Operation): Promise<Found> {
  const query = new URLSearchParams({ uploadType: 'media', name: key, ...condition(options) })
  const path = `/upload/storage/v1/b/${encodeURIComponent(place.client.bucket.name)}/o?${query}`
  return retried(place, operation, () =>
    // Cut in the middle, nobody could tell whether it took place.
    operation.uncut(async (signal) => {
      const init = { method: 'POST', headers: BYTES, body: new Uint8Array(bytes), signal }
      const response = await requireOk(await place.client.request(path, init))
      return foundOf((await response.json()) as Resource)
    }),
  )
}

/** GCS compares in the moment when the object becomes visible; 0 is the generation of what is not there. */
function condition({ ifAbsent }: SaveOptions): { ifGenerationMatch?: '0' } {
  return ifAbsent === true ? { ifGenerationMatch: '0' } : {}
}

/** One chunk is sent while the next is gathered. Nothing is visible before the last byte is there. */
async function inChunks(
  place: Place,
  key: string,
  source: PartSource,
  first: Buffer,
  chunkBytes: number,
  options: SaveOptions,
  operation: Operation,
): Promise<Found> {
  const [uri] = await operation.orEnd(
    place.client.bucket.file(key).createResumableUpload({
      metadata: { contentType: BYTES['content-type'] },
      ...(options.ifAbsent === true ? { preconditionOpts: { ifGenerationMatch: 0 } } : {}),
    }),
  )
  const session = new UploadSession(place, uri, operation)
  try {
    let chunk = first
    for (;;) {
      const isLast = chunk.length < chunkBytes
      if (isLast) return await session.finish(chunk)
      const sending = session.send(chunk)
      sending.catch((error: unknown) => operation.stop(error))
      const next = await source.next(chunkBytes)
      await sending
      source.release(chunk)
      options.onProgress?.(session.sent)
      chunk = next
    }
  } catch (error) {
    operation.stop(error)
    await session.drop()
    throw error
  }
}

/** An upload whose bytes come in order, by chunks of which all but the last are full. */
class UploadSession {
  readonly #place: Place
  readonly #uri: string
  readonly #operation: Operation
  /** Bytes of chunks that are stored whole. */
  sent = 0

  constructor(place: Place, uri: string, operation: Operation) {
    this.#place = place
    this.#uri = uri
    this.#operation = operation
  }

  async send(chunk: Buffer): Promise<void> {
    const found = await this.#deliver(chunk, undefined, this.#operation.signal)
    if (found !== undefined) throw lost('the server has ended the upload before its last byte')
    this.sent += chunk.length
  }

  /** The last bytes, perhaps none. */
  async finish(chunk: Buffer): Promise<Found> {
    const total = this.sent + chunk.length
    const found = await this.#operation.uncut((signal) => this.#deliver(chunk, total, signal))
    if (found === undefined) throw lost('the server has not ended the upload with its last byte')
    if (found.size !== total) throw lost(`the server has stored ${found.size} bytes of ${total}`)
    return found
  }

  /** Ends the session on the server; one that is left alone is forgotten there after a week and never visible. */
  async drop(): Promise<void> {
    const init = { method: 'DELETE', signal: AbortSignal.timeout(CLEANUP_MS) }
    await fetch(this.#uri, init).then(
      (response) => response.arrayBuffer(),
      () => undefined,
    )
  }

  /** Sends a chunk, again and again from where the server has it, until it has it all. Resolves with the object at its end. */
  async #deliver(chunk: Buffer, total: number | undefined, signal: AbortSignal): Promise<Found | undefined> {
    const { attempts, chunkMs } = this.#place.client.retryer
    let from = 0
    let failures = 0
    let deadline = Number.POSITIVE_INFINITY
    let asks = false
    for (;;) {
      try {
        const answer = asks ? await this.#ask(signal) : await this.#put(chunk, from, total, signal)
        if ('found' in answer) return answer.found
        const stored = answer.stored - this.sent
        if (stored < 0 || stored > chunk.length)
          throw lost(`the server has ${answer.stored} bytes of the upload, which was not to be`)
        if (stored === chunk.length && total === undefined) return undefined
        // Less than was sent is no failure as long as it gets on.
        if (stored > from) failures = 0
        else if (!asks) throw new HttpFailure(503, '', 'the server stores nothing of a chunk')
        from = stored
        asks = false
      } catch (error) {
        if (signal.aborted) this.#operation.check()
        if (failures === 0) deadline = Date.now() + chunkMs
        failures += 1
        if (failures >= attempts || Date.now() > deadline || !this.#place.translate(error).retriable) throw error
        await pause(this.#place, this.#operation, failures)
        if (signal.aborted) throw error
        asks = true
      }
    }
  }

  #put(chunk: Buffer, from: number, total: number | undefined, signal: AbortSignal): Promise<Answer> {
    const rest = chunk.subarray(from)
    const first = this.sent + from
    const range = rest.length === 0 ? '*' : `${first}-${first + rest.length - 1}`
    return this.#exchange(`bytes ${range}/${total ?? '*'}`, rest, signal)
  }

  /** How much of the upload is stored. */
  #ask(signal: AbortSignal): Promise<Answer> {
    return this.#exchange('bytes */*', Buffer.alloc(0), signal)
  }

  async #exchange(range: string, bytes: Buffer, signal: AbortSignal): Promise<Answer> {
    // The address is the permission: no token goes with it.
    const response = await put(this.#uri, { ...BYTES, 'content-range': range }, bytes, signal)
    if (response.status === 308) {
      await response.arrayBuffer()
      const last = /^bytes=0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1]
      return { stored: last === undefined ? 0 : Number(last) + 1 }
    }
    if (response.ok) return { found: foundOf((await response.json()) as Resource) }
    if (response.status === 404 || response.status === 410) {
      await response.arrayBuffer()
      throw lost('the server has dropped the upload half way; try again')
    }
    throw await failureOf(response)
  }
}

type Answer = { readonly found: Found } | { readonly stored: number }

/** What was sent is gone with the session, and can't be sent again from here. */
function lost(text: string): PluginError {
  return new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
}
