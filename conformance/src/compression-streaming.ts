import assert from 'node:assert/strict'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { pack, sameBytes, unpack } from './compression-checks.js'
import { collect, inChunks, inOddChunks, sample, whole } from './compression-samples.js'
import type { TestRunner } from './runner.js'

/** The largest chunk that may come out: larger ones mean that memory grows with the object. */
const LARGEST_CHUNK = 16 * 1024 * 1024

export function streamingCases(it: TestRunner['it'], plugin: CompressionPlugin): void {
  const small = sample('documents', 5_000)
  const large = sample('mixed', 3_000_000)

  it('compresses single bytes', async () => {
    sameBytes(await unpack(plugin, await collect(plugin.compress(inChunks(small, 1)))), small)
  })

  it('decompresses single bytes', async () => {
    sameBytes(await collect(plugin.decompress(inChunks(await pack(plugin, small), 1))), small)
  })

  for (let seed = 1; seed <= 5; seed++) {
    it(`takes chunks of arbitrary sizes, empty ones too (${seed})`, async () => {
      const packed = await collect(plugin.compress(inOddChunks(large, 200_000, seed)))
      sameBytes(await collect(plugin.decompress(inOddChunks(packed, 90_000, seed + 100))), large)
    })
  }

  it('takes plain Uint8Arrays that are views into larger memory', async () => {
    const memory = new Uint8Array(small.length + 20).fill(0xee)
    memory.set(small, 10)
    const packed = await pack(plugin, memory.subarray(10, 10 + small.length))
    const padded = new Uint8Array(packed.length + 20).fill(0xee)
    padded.set(packed, 10)
    sameBytes(await unpack(plugin, padded.subarray(10, 10 + packed.length)), small)
  })

  it('leaves the chunks of its source as they are', async () => {
    const given = Buffer.from(large)
    const packed = await collect(plugin.compress(inChunks(given, 100_000)))
    sameBytes(given, large, 'the input of compress')
    const kept = Buffer.from(packed)
    await collect(plugin.decompress(inChunks(packed, 100_000)))
    sameBytes(packed, kept, 'the input of decompress')
  })

  it('gives chunks that stay as they are', async () => {
    const kept: Uint8Array[] = []
    const copies: Buffer[] = []
    for await (const chunk of plugin.decompress(inChunks(await pack(plugin, large), 50_000))) {
      kept.push(chunk)
      copies.push(Buffer.from(chunk))
    }
    sameBytes(Buffer.concat(kept), Buffer.concat(copies), 'chunks looked at later')
  })

  it('never gives an empty or a giant chunk', async () => {
    const zeros = sample('zeros', 40 * 1024 * 1024)
    for await (const chunk of plugin.decompress(plugin.compress(inChunks(zeros, 1024 * 1024)))) {
      assert.ok(chunk.length > 0, 'a chunk without a byte')
      assert.ok(chunk.length <= LARGEST_CHUNK, `a chunk of ${chunk.length} bytes`)
    }
  })

  it('keeps streams that run at the same time apart', async () => {
    const inputs = Array.from({ length: 8 }, (_, index) => sample('mixed', 400_000 + index, index + 1))
    const outputs = await Promise.all(
      inputs.map((bytes) => collect(plugin.decompress(plugin.compress(inChunks(bytes, 70_000))))),
    )
    for (const [index, bytes] of inputs.entries()) sameBytes(outputs[index] ?? Buffer.alloc(0), bytes)
  })

  it('reads concatenated streams', async () => {
    const parts = [small, large, sample('random', 10), sample('zeros', 70_000)]
    const packed = await Promise.all(parts.map((bytes) => pack(plugin, bytes)))
    sameBytes(await unpack(plugin, Buffer.concat(packed)), Buffer.concat(parts))
  })

  it('reads concatenated streams that are cut into single bytes', async () => {
    const packed = await Promise.all([small, Buffer.from('x'), small].map((bytes) => pack(plugin, bytes)))
    const expected = Buffer.concat([small, Buffer.from('x'), small])
    sameBytes(await collect(plugin.decompress(inChunks(Buffer.concat(packed), 1))), expected)
  })

  it('reads concatenated streams whose borders are those of chunks', async () => {
    const packed = await pack(plugin, small)
    async function* twice(): AsyncGenerator<Uint8Array> {
      yield packed
      yield Buffer.alloc(0)
      yield packed
    }
    sameBytes(await collect(plugin.decompress(twice())), Buffer.concat([small, small]))
  })

  it('reads concatenated streams with an empty one in the middle', async () => {
    const packed = [await pack(plugin, small), await pack(plugin, Buffer.alloc(0)), await pack(plugin, small)]
    sameBytes(await unpack(plugin, Buffer.concat(packed)), Buffer.concat([small, small]))
  })

  if (plugin.levels === undefined) return
  const { min, max } = plugin.levels
  it('reads concatenated streams of different levels', async () => {
    const packed = [await pack(plugin, small, min), await pack(plugin, large, max), await pack(plugin, small)]
    const all = await collect(plugin.decompress(whole(Buffer.concat(packed))))
    sameBytes(all, Buffer.concat([small, large, small]))
  })
}
