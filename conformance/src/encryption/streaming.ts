import assert from 'node:assert/strict'
import { sameBytes } from '../compression-checks.js'
import { collect, inChunks, inOddChunks, sample } from '../compression-samples.js'
import { cipherOf, type EncryptionBench, opened, sealed } from './fixture.js'

/** The largest chunk that may come out: larger ones mean that memory grows with the object. */
const LARGEST_CHUNK = 16 * 1024 * 1024

export function streamingCases(bench: EncryptionBench): void {
  const { it } = bench
  const small = sample('documents', 5_000)
  const large = sample('mixed', 3_000_000)

  it('seals single bytes', async () => {
    const cipher = await cipherOf(bench)
    sameBytes(await opened(cipher, await collect(cipher.seal(inChunks(small, 1)))), small)
  })

  it('opens single bytes', async () => {
    const cipher = await cipherOf(bench)
    sameBytes(await collect(cipher.open(inChunks(await sealed(cipher, small), 1))), small)
  })

  for (let seed = 1; seed <= 5; seed++) {
    it(`takes chunks of arbitrary sizes, empty ones too (${seed})`, async () => {
      const cipher = await cipherOf(bench)
      const packed = await collect(cipher.seal(inOddChunks(large, 200_000, seed)))
      sameBytes(await collect(cipher.open(inOddChunks(packed, 90_000, seed + 100))), large)
    })
  }

  it('takes plain Uint8Arrays that are views into larger memory', async () => {
    const cipher = await cipherOf(bench)
    const memory = new Uint8Array(small.length + 20).fill(0xee)
    memory.set(small, 10)
    const packed = await sealed(cipher, memory.subarray(10, 10 + small.length))
    const padded = new Uint8Array(packed.length + 20).fill(0xee)
    padded.set(packed, 10)
    sameBytes(await opened(cipher, padded.subarray(10, 10 + packed.length)), small)
  })

  it('leaves the chunks of its source as they are', async () => {
    const cipher = await cipherOf(bench)
    const given = Buffer.from(large)
    const packed = await collect(cipher.seal(inChunks(given, 100_000)))
    sameBytes(given, large, 'the input of seal')
    const kept = Buffer.from(packed)
    await collect(cipher.open(inChunks(packed, 100_000)))
    sameBytes(packed, kept, 'the input of open')
  })

  it('gives chunks that stay as they are', async () => {
    const cipher = await cipherOf(bench)
    const kept: Uint8Array[] = []
    const copies: Buffer[] = []
    for await (const chunk of cipher.open(inChunks(await sealed(cipher, large), 50_000))) {
      kept.push(chunk)
      copies.push(Buffer.from(chunk))
    }
    sameBytes(Buffer.concat(kept), Buffer.concat(copies), 'chunks looked at later')
  })

  it('never gives an empty or a giant chunk', async () => {
    const cipher = await cipherOf(bench)
    const zeros = sample('zeros', 40 * 1024 * 1024)
    for await (const chunk of cipher.open(cipher.seal(inChunks(zeros, 1024 * 1024)))) {
      assert.ok(chunk.length > 0, 'a chunk without a byte')
      assert.ok(chunk.length <= LARGEST_CHUNK, `a chunk of ${chunk.length} bytes`)
    }
    for await (const chunk of cipher.seal(inChunks(zeros, 1024 * 1024))) {
      assert.ok(chunk.length > 0, 'a sealed chunk without a byte')
      assert.ok(chunk.length <= LARGEST_CHUNK, `a sealed chunk of ${chunk.length} bytes`)
    }
  })

  it('keeps objects that are sealed and opened at the same time apart', async () => {
    const cipher = await cipherOf(bench)
    const inputs = Array.from({ length: 8 }, (_, index) => sample('mixed', 400_000 + index, index + 1))
    const packed = await Promise.all(inputs.map((bytes) => collect(cipher.seal(inChunks(bytes, 70_000)))))
    const outputs = await Promise.all(packed.map((bytes) => collect(cipher.open(inChunks(bytes, 33_333)))))
    for (const [index, bytes] of inputs.entries()) sameBytes(outputs[index] ?? Buffer.alloc(0), bytes)
  })
}
