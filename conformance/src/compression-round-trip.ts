import assert from 'node:assert/strict'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { pack, sameBytes, unpack } from './compression-checks.js'
import { collect, inChunks, SAMPLE_KINDS, sample } from './compression-samples.js'
import type { TestRunner } from './runner.js'

const KIB = 1024
const MIB = 1024 * KIB
const SMALL = [1, 2, 3, 4, 7, 8, 15, 16, 17, 60, 61, 64, 65, 255, 256, 257, 1000, 4095, 4096, 4097]
const MIDDLE = [64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 500_000]
/** Around the blocks that codecs work in. */
const LARGE = [MIB - 1, MIB, MIB + 1, 2 * MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB, 8 * MIB + 1]

export function roundTripCases(it: TestRunner['it'], plugin: CompressionPlugin): void {
  it('round trip of no bytes', async () => {
    const packed = await pack(plugin, Buffer.alloc(0))
    sameBytes(await unpack(plugin, packed), Buffer.alloc(0))
  })

  it('round trip of a source without a chunk', async () => {
    const packed = await collect(plugin.compress(inChunks(Buffer.alloc(0), 1)))
    sameBytes(await unpack(plugin, packed), Buffer.alloc(0))
  })

  for (const kind of SAMPLE_KINDS) {
    for (const size of [...SMALL, ...MIDDLE]) {
      it(`round trip of ${size} bytes, ${kind}`, async () => {
        const bytes = sample(kind, size)
        sameBytes(await unpack(plugin, await pack(plugin, bytes)), bytes)
      })
    }
  }

  for (const size of LARGE) {
    it(`round trip of ${size} bytes in chunks, documents`, async () => {
      const bytes = sample('documents', size)
      const packed = await collect(plugin.compress(inChunks(bytes, 300_007)))
      sameBytes(await collect(plugin.decompress(inChunks(packed, 65_521))), bytes)
    })
  }

  it('round trip of 12 MiB in one chunk, mixed', async () => {
    const bytes = sample('mixed', 12 * MIB)
    sameBytes(await unpack(plugin, await pack(plugin, bytes)), bytes)
  })

  if (plugin.suffix === '') return
  it('makes documents smaller at its default level', async () => {
    const bytes = sample('documents', MIB)
    const packed = await pack(plugin, bytes)
    assert.ok(packed.length < 0.8 * bytes.length, `${bytes.length} bytes became ${packed.length}`)
  })

  it('adds next to nothing to bytes that can not be made smaller', async () => {
    const bytes = sample('random', MIB)
    const packed = await pack(plugin, bytes)
    assert.ok(packed.length < 1.02 * bytes.length, `${bytes.length} bytes became ${packed.length}`)
  })
}
