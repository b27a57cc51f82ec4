import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/**
 * Runs `source` through a Node duplex (a zlib stream, say) with backpressure in both directions. An error of either side
 * ends the iteration; breaking off the iteration destroys the duplex.
 */
export async function* throughDuplex(source: AsyncIterable<Uint8Array>, duplex: Duplex): AsyncGenerator<Buffer> {
  const feeding = pipeline(Readable.from(source, { objectMode: false }), duplex, { end: true })
  feeding.catch(() => undefined)
  try {
    for await (const chunk of duplex) yield chunk as Buffer
    await feeding
  } finally {
    duplex.destroy()
  }
}

/** Joins chunks of any size into blocks of exactly `size` bytes; only the last may be shorter. */
export async function* blocksOf(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = []
  let held = 0
  for await (const chunk of source) {
    let rest = chunk
    while (held + rest.length >= size) {
      const head = rest.subarray(0, size - held)
      yield pending.length === 0 ? asBuffer(head) : Buffer.concat([...pending, head], size)
      pending = []
      rest = rest.subarray(size - held)
      held = 0
    }
    if (rest.length > 0) {
      pending.push(rest)
      held += rest.length
    }
  }
  if (held > 0) yield Buffer.concat(pending, held)
}

/** Maps blocks through `work` with at most `width` of them under way, keeping their order. */
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
      if (running.length >= width) yield await (running.shift() as Promise<Out>)
    }
    while (running.length > 0) yield await (running.shift() as Promise<Out>)
  } finally {
    await Promise.allSettled(running)
  }
}

/** The same bytes as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
