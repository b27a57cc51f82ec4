import assert from 'node:assert/strict'
import { PassThrough, Transform } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { createGzip, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { hasCode } from '../plugin/errors.js'
import { ByteReader } from './byte-reader.js'
import { blocksOf, mapOrdered, throughDuplex } from './streams.js'

/** A source that counts what was taken from it and knows whether it was closed. */
class Watched implements AsyncIterable<Uint8Array> {
  taken = 0
  closed = false
  readonly #chunks: readonly Uint8Array[]
  readonly #failure: Error | undefined

  constructor(chunks: readonly Uint8Array[], failure?: Error) {
    this.#chunks = chunks
    this.#failure = failure
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.#chunks) {
        this.taken++
        yield chunk
      }
      if (this.#failure !== undefined) throw this.#failure
    } finally {
      this.closed = true
    }
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  chunks.push(bytes.subarray(at))
  return chunks
}

const arbitraryBytes = fc.uint8Array({ maxLength: 5000, size: 'max' })
const arbitrarySizes = fc.array(fc.nat(700), { maxLength: 30 })

describe('throughDuplex', () => {
  it('carries every byte, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryBytes, arbitrarySizes, async (bytes, sizes) => {
        const packed = await collect(throughDuplex(new Watched(cut(bytes, sizes)), createGzip()))
        assert.deepEqual(gunzipSync(packed), Buffer.from(bytes))
      }),
      { numRuns: 40 },
    )
  })

  it('passes an error of the source on unchanged and destroys the duplex', async () => {
    const failure = new Error('the disk is gone')
    const duplex = new PassThrough()
    const through = throughDuplex(new Watched([Buffer.from('x')], failure), duplex, () => new Error('renamed'))
    await assert.rejects(collect(through), (error) => error === failure)
    assert.ok(duplex.destroyed)
  })

  it('translates an error of the duplex and closes the source', async () => {
    const source = new Watched(Array.from({ length: 100 }, () => Buffer.alloc(1000)))
    const duplex = new Transform({ transform: (_chunk, _encoding, done) => done(new Error('bad bytes')) })
    const through = throughDuplex(source, duplex, (error) => new Error('translated', { cause: error }))
    await assert.rejects(collect(through), /translated/)
    await until(() => source.closed)
    assert.ok(source.taken < 100)
  })

  it('stops the source and the duplex when the reader breaks off', async () => {
    const source = new Watched(Array.from({ length: 1000 }, () => Buffer.alloc(64 * 1024)))
    const duplex = new PassThrough()
    for await (const chunk of throughDuplex(source, duplex)) {
      assert.ok(chunk.length > 0)
      break
    }
    await until(() => source.closed)
    assert.ok(duplex.destroyed)
    assert.ok(source.taken < 100, `${source.taken} chunks were read ahead`)
  })

  it('does not wait for a source that hangs when the reader breaks off', async () => {
    async function* hanging(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first')
      await new Promise<never>(() => undefined)
    }
    for await (const chunk of throughDuplex(hanging(), new PassThrough())) {
      assert.equal(chunk.toString(), 'first')
      break
    }
  })
})

describe('blocksOf', () => {
  it('gives blocks of the size, and a shorter one only at the end', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryBytes, arbitrarySizes, fc.integer({ min: 1, max: 900 }), async (bytes, sizes, size) => {
        const blocks: Buffer[] = []
        for await (const block of blocksOf(new Watched(cut(bytes, sizes)), size)) blocks.push(block)
        assert.deepEqual(Buffer.concat(blocks), Buffer.from(bytes))
        assert.equal(blocks.length, Math.ceil(bytes.length / size))
        for (const block of blocks.slice(0, -1)) assert.equal(block.length, size)
      }),
    )
  })

  it('takes chunks between the least and the largest size as they come', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryBytes, arbitrarySizes, fc.integer({ min: 2, max: 900 }), async (bytes, sizes, size) => {
        const least = Math.ceil(size / 2)
        const blocks: Buffer[] = []
        for await (const block of blocksOf(new Watched(cut(bytes, sizes)), size, least)) blocks.push(block)
        assert.deepEqual(Buffer.concat(blocks), Buffer.from(bytes))
        for (const block of blocks) assert.ok(block.length > 0 && block.length <= size)
        // Two neighbours are never both small: small ones are joined.
        for (let at = 1; at < blocks.length; at++) {
          assert.ok(blocks.slice(at - 1, at + 1).some((block) => block.length >= least))
        }
      }),
    )
    const chunks = [300, 300, 100, 100, 300, 900].map((length) => Buffer.alloc(length))
    const blocks: Buffer[] = []
    for await (const block of blocksOf(new Watched(chunks), 400, 200)) blocks.push(block)
    assert.deepEqual(
      blocks.map((block) => block.length),
      [300, 300, 200, 300, 400, 400, 100],
    )
    assert.equal(blocks[0]?.buffer, chunks[0]?.buffer, 'not copied')
  })

  it('joins a block larger than its first buffer', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
    const chunks = cut(
      bytes,
      Array.from({ length: 3000 }, () => 100),
    )
    const blocks: Buffer[] = []
    for await (const block of blocksOf(new Watched(chunks), 200_000)) blocks.push(block)
    assert.deepEqual(
      blocks.map((block) => block.length),
      [200_000, 100_000],
    )
    assert.deepEqual(Buffer.concat(blocks), bytes)
  })
})

describe('mapOrdered', () => {
  async function* numbers(count: number): AsyncGenerator<number> {
    for (let n = 0; n < count; n++) yield n
  }

  it('keeps the order and never has more than the width under way', async () => {
    let running = 0
    let most = 0
    const seen: number[] = []
    const mapped = mapOrdered(numbers(50), 4, async (n) => {
      most = Math.max(most, ++running)
      for (let turns = (n * 7) % 5; turns >= 0; turns--) await turn()
      running--
      return n
    })
    for await (const n of mapped) seen.push(n)
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, n) => n),
    )
    assert.equal(most, 4)
  })

  it('ends by the error of the work, once no other work is under way', async () => {
    let running = 0
    const mapped = mapOrdered(numbers(50), 4, async (n) => {
      running++
      await turn()
      running--
      if (n >= 5) throw new Error(`work ${n}`)
      return n
    })
    await assert.rejects(async () => {
      for await (const n of mapped) assert.ok(n < 5)
    }, /work 5/)
    assert.equal(running, 0)
  })

  it('waits for the work under way when the reader breaks off', async () => {
    let running = 0
    const mapped = mapOrdered(numbers(50), 4, async (n) => {
      running++
      for (let turns = 0; turns < 5; turns++) await turn()
      running--
      return n
    })
    for await (const n of mapped) if (n === 3) break
    assert.equal(running, 0)
  })
})

describe('ByteReader', () => {
  it('takes exact amounts, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryBytes, arbitrarySizes, arbitrarySizes, async (bytes, sizes, wanted) => {
        const reader = new ByteReader(new Watched(cut(bytes, sizes)), 'test stream')
        let at = 0
        for (const size of wanted) {
          if (at + size > bytes.length) break
          assert.deepEqual(await reader.take(size), Buffer.from(bytes.subarray(at, at + size)))
          at += size
        }
        await reader.skip(bytes.length - at)
        assert.ok(await reader.atEnd())
      }),
    )
  })

  it('says that the stream is cut when it ends too early', async () => {
    const reader = new ByteReader(new Watched([Buffer.from('abc')]), 'test stream')
    await assert.rejects(reader.take(4), (error) => hasCode(error, 'CODEC_TRUNCATED') && /test stream/.test(`${error}`))
  })

  it('closes its source', async () => {
    const source = new Watched([Buffer.from('abc'), Buffer.from('def')])
    const reader = new ByteReader(source, 'test stream')
    await reader.take(2)
    await reader.close()
    await reader.close()
    assert.ok(source.closed)
    assert.ok(await reader.atEnd())
  })
})
