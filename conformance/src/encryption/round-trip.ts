import { sameBytes } from '../compression-checks.js'
import { collect, inChunks, sample } from '../compression-samples.js'
import { cipherOf, type EncryptionBench, opened, sealed, shapeOf } from './fixture.js'

const KIB = 1024
const MIB = 1024 * KIB
const SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 1000, 4095, 4096, 4097, 65_519, 65_520, 65_521, 500_000]
/** Around the blocks that formats work in. */
const BLOCKS = [64 * KIB, 128 * KIB, 256 * KIB, MIB, 4 * MIB]

export function roundTripCases(bench: EncryptionBench): void {
  const { it } = bench

  it('round trip of no bytes', async () => {
    const cipher = await cipherOf(bench)
    sameBytes(await opened(cipher, await sealed(cipher, Buffer.alloc(0))), Buffer.alloc(0))
  })

  it('round trip of a source without a chunk', async () => {
    const cipher = await cipherOf(bench)
    const none = await collect(cipher.seal(inChunks(Buffer.alloc(0), 1)))
    sameBytes(await opened(cipher, none), Buffer.alloc(0))
  })

  for (const size of [...SIZES, ...BLOCKS.flatMap((block) => [block - 1, block, block + 1])]) {
    it(`round trip of ${size} bytes`, async () => {
      const cipher = await cipherOf(bench)
      const bytes = sample('random', size)
      sameBytes(await opened(cipher, await sealed(cipher, bytes)), bytes)
    })
  }

  for (const blocks of [1, 2, 3]) {
    for (const more of [-1, 0, 1]) {
      const told = more === 0 ? '' : more > 0 ? ' and a byte' : ' less a byte'
      it(`round trip of ${blocks} of its own blocks${told}`, async () => {
        const cipher = await cipherOf(bench)
        const { block } = await shapeOf(cipher)
        const bytes = sample('mixed', blocks * block + more)
        sameBytes(await opened(cipher, await sealed(cipher, bytes)), bytes)
      })
    }
  }

  it('round trip of 12 MiB in one chunk', async () => {
    const cipher = await cipherOf(bench)
    const bytes = sample('mixed', 12 * MIB)
    sameBytes(await opened(cipher, await sealed(cipher, bytes)), bytes)
  })

  it('opens with the same options in another process', async () => {
    const packed = await sealed(await cipherOf(bench), sample('documents', 5_000))
    const other = await bench.plugin.open(await bench.options(), {
      signal: new AbortController().signal,
      warn: () => undefined,
    })
    sameBytes(await opened(other, packed), sample('documents', 5_000))
  })
}
