import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import type { Duplex } from 'node:stream'
import { noteBufferMade } from './young-buffers.js'

/**
 * Runs `source` through a Node duplex (a zlib stream, say) with backpressure in both directions.
 *
 * An error of `source` comes out unchanged; one of the duplex goes through `translate` first, so that a plugin can name
 * its codec's faults without renaming those of the bytes' origin. Breaking off the iteration destroys the duplex and
 * closes the source as soon as its pending read, if any, has settled.
 */
export async function* throughDuplex(
  source: AsyncIterable<Uint8Array>,
  duplex: Duplex,
  translate: (error: unknown) => unknown = (error) => error,
): AsyncGenerator<Buffer> {
  let sourceFailure: { error: unknown } | undefined
  // A duplex may fail after its readable side has ended (bytes behind the end); nobody else would hear it then.
  duplex.on('error', () => undefined)
  const feeding = feed(source, duplex).catch((error: unknown) => {
    sourceFailure = { error }
    duplex.destroy(new Error('the source failed'))
  })
  try {
    for await (const chunk of duplex) yield chunk as Buffer
  } catch (error) {
    throw sourceFailure === undefined ? translate(error) : sourceFailure.error
  } finally {
    // Not awaited: the source may be stuck in a read, and whoever breaks off wants to go on.
    duplex.destroy()
  }
  await feeding
  if (sourceFailure !== undefined) throw sourceFailure.error
}

/** Writes all of `source` into `duplex` and ends it; returns early, closing the source, when the duplex is gone. */
async function feed(source: AsyncIterable<Uint8Array>, duplex: Duplex): Promise<void> {
  for await (const chunk of source) {
    if (duplex.destroyed) return
    if (chunk.length > 0 && !duplex.write(chunk)) await drained(duplex)
    if (duplex.destroyed) return
  }
  duplex.end()
}

async function drained(duplex: Duplex): Promise<void> {
  const waiting = new AbortController()
  try {
    const { signal } = waiting
    await Promise.race([once(duplex, 'drain', { signal }), once(duplex, 'close', { signal })])
  } catch {
    // The duplex failed: its reader tells why.
  } finally {
    waiting.abort()
  }
}

/** A body of these bytes alone, for what is small. */
export async function* bodyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A block grows from this size, so that a tiny object does not cost a whole block of memory. */
const SMALLEST_BUFFER = 64 * 1024

/**
 * Joins chunks of any size into blocks of exactly `size` bytes; only the last may be shorter. With `least`, chunks
 * between the two are blocks as they come, which saves copying them, and others may be shorter too. A block may share
 * memory with the chunk it came from: a source must not write into chunks that it has handed out.
 */
export async function* blocksOf(source: AsyncIterable<Uint8Array>, size: number, least = size): AsyncGenerator<Buffer> {
  let block = Buffer.alloc(0)
  let held = 0
  let usual = Math.min(size, SMALLEST_BUFFER)
  for await (const chunk of source) {
    let rest = chunk
    while (rest.length > 0) {
      if (held === 0 && rest.length >= least) {
        yield asBuffer(rest.subarray(0, size))
        rest = rest.subarray(size)
        continue
      }
      if (held >= least && rest.length >= least) {
        // Filling up would leave a rest of this chunk that has to be copied, and of all that follow.
        yield block.subarray(0, held)
        block = Buffer.alloc(0)
        held = 0
        continue
      }
      const taken = Math.min(rest.length, size - held)
      if (held + taken > block.length) {
        const grown = Buffer.allocUnsafeSlow(Math.min(size, Math.max(usual, block.length * 2, held + taken)))
        noteBufferMade(grown.length)
        block.copy(grown, 0, 0, held)
        block = grown
      }
      block.set(taken === rest.length ? rest : rest.subarray(0, taken), held)
      held += taken
      rest = rest.subarray(taken)
      if (held === size) {
        yield block
        block = Buffer.alloc(0)
        held = 0
        usual = size
      }
    }
  }
  if (held > 0) yield block.subarray(0, held)
}

/**
 * How many blocks of one stream a codec works on at once: more than there are processors for only hold memory, and more
 * than libuv's four threads wait.
 */
export const BLOCKS_IN_FLIGHT = Math.min(4, Math.max(2, availableParallelism()))

/**
 * Maps items through `work` with at most `width` of them under way, keeping their order. The next item is asked for
 * while earlier ones are worked on. Ends, also early or by an error, only when no work is under way any more, so that
 * nothing touches a buffer afterwards and no rejection goes unheard.
 */
export async function* mapOrdered<In, Out>(
  source: AsyncIterable<In>,
  width: number,
  work: (item: In) => Promise<Out>,
): AsyncGenerator<Out> {
  const running: Promise<Out>[] = []
  try {
    for await (const item of source) {
      const started = work(item)
      started.catch(() => undefined)
      running.push(started)
      if (running.length >= width) yield noted(await (running.shift() as Promise<Out>))
    }
    while (running.length > 0) yield noted(await (running.shift() as Promise<Out>))
  } finally {
    await Promise.allSettled(running)
  }
}

/** Codecs allot for the worst case, so what a result holds may be more than it shows. */
function noted<T>(result: T): T {
  if (ArrayBuffer.isView(result)) noteBufferMade(result.buffer.byteLength)
  return result
}

/** The same bytes as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
