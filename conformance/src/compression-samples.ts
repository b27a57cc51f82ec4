/** A small deterministic generator of numbers below `bound` (mulberry32): the same samples in every run. */
export function numbers(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

export type SampleKind = 'zeros' | 'random' | 'documents' | 'mixed'
export const SAMPLE_KINDS: readonly SampleKind[] = ['zeros', 'random', 'documents', 'mixed']

/** `size` bytes: all zero, incompressible, alike documents in a row, or stretches of these three. */
export function sample(kind: SampleKind, size: number, seed = 1): Buffer {
  const next = numbers(seed * 7919 + size)
  if (kind === 'zeros') return Buffer.alloc(size)
  if (kind === 'random') return randomBytes(size, next)
  if (kind === 'documents') return documents(size, next)
  const stretches: Buffer[] = []
  for (let length = 0; length < size; ) {
    const stretch = sample(
      (['zeros', 'random', 'documents'] as const)[next(3)] ?? 'zeros',
      1 + next(40_000),
      seed + length,
    )
    stretches.push(stretch)
    length += stretch.length
  }
  return Buffer.concat(stretches, size)
}

function randomBytes(size: number, next: (bound: number) => number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at < size; at++) bytes[at] = next(256)
  return bytes
}

/** Looks like a dump: a length, field names that recur, ids that count up, words and a few arbitrary bytes. */
function documents(size: number, next: (bound: number) => number): Buffer {
  const words = ['amber', 'bravo', 'copper', 'delta', 'ember', 'fjord', 'grove', 'harbour']
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0, id = 0; at < size; id++) {
    const word = words[next(words.length)] ?? ''
    const text = `\0\0\0\x10_id\0${id}\x02name\0${word} ${words[next(8)]}\0\x01price\0${next(100_000)}\x08open\0\x01\0`
    at += bytes.write(text, at, 'latin1')
  }
  return bytes
}

/** `bytes` in one chunk. */
export async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** `bytes` in chunks of `size` bytes. */
export async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** `bytes` in chunks of arbitrary sizes up to `largest`, some of them empty. */
export async function* inOddChunks(bytes: Uint8Array, largest: number, seed: number): AsyncGenerator<Uint8Array> {
  const next = numbers(seed)
  for (let at = 0; at < bytes.length; ) {
    const size = next(4) === 0 ? 0 : next(largest) + 1
    yield bytes.subarray(at, at + size)
    at += size
  }
  yield bytes.subarray(bytes.length)
}

/** All chunks in one; they are joined only at the end, so that a codec which overwrites an earlier chunk shows. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
