import assert from 'node:assert/strict'
import { refuses } from '../compression-checks.js'
import { collect, numbers, sample } from '../compression-samples.js'
import {
  cipherOf,
  DAMAGED,
  type EncryptionBench,
  flipped,
  REFUSED,
  refusal,
  sealed,
  shapeOf,
  taken,
} from './fixture.js'

export function damageCases(bench: EncryptionBench): void {
  const { it } = bench
  const small = sample('documents', 100)

  it('refuses an object cut at any point', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, small)
    for (let length = 0; length < packed.length; length++) {
      const where = `cut to ${length} of ${packed.length} bytes`
      const { given } = await refusal(cipher, packed.subarray(0, length), small, REFUSED, where)
      assert.equal(given.length, 0, `${where}: bytes of a block that is not whole came out`)
    }
  })

  it('refuses every flipped bit', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, small)
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const where = `bit ${bit % 8} of byte ${bit >> 3} flipped`
      const { given } = await refusal(cipher, flipped(packed, bit), small, REFUSED, where)
      assert.equal(given.length, 0, `${where}: bytes of a block that is altered came out`)
    }
  })

  it('refuses every flipped bit of an empty object', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, Buffer.alloc(0))
    for (let bit = 0; bit < packed.length * 8; bit++) {
      await refusal(cipher, flipped(packed, bit), Buffer.alloc(0), REFUSED, `bit ${bit} flipped`)
    }
  })

  it('gives the blocks before an altered one, and not a byte of it', async () => {
    const cipher = await cipherOf(bench)
    const shape = await shapeOf(cipher)
    const bytes = sample('mixed', 3 * shape.block + 100)
    const packed = await sealed(cipher, bytes)
    const next = numbers(42)
    for (let block = 0; block < 4; block++) {
      const start = shape.header + block * (shape.block + shape.overhead)
      const end = Math.min(packed.length, start + shape.block + shape.overhead)
      for (const at of [start, end - 1, start + next(end - start)]) {
        const where = `byte ${at} in block ${block} altered`
        const { given } = await refusal(cipher, flipped(packed, at * 8 + next(8)), bytes, DAMAGED, where)
        assert.ok(shape.overhead === 0 || given.length <= block * shape.block, `${where}: it came out`)
      }
    }
  })

  it('refuses an object whose last block is gone', async () => {
    const { cipher, shape, bytes, head, blocks } = await fourBlocks()
    for (let left = blocks.length - 1; left > 0; left--) {
      const cut = Buffer.concat([head, ...blocks.slice(0, left)])
      await refusal(cipher, cut, bytes, DAMAGED, `only ${left} of ${blocks.length} blocks of ${shape.block} bytes`)
    }
  })

  it('refuses an object cut after its header', async () => {
    const { cipher, bytes, head } = await fourBlocks()
    await refusal(cipher, head, bytes, DAMAGED, 'only the header')
  })

  it('refuses two blocks that changed places', async () => {
    const { cipher, bytes, head, blocks } = await fourBlocks()
    for (const [one, other] of [
      [0, 1],
      [1, 2],
      [0, 2],
      [0, 3],
    ] as const) {
      const swapped = [...blocks]
      swapped[one] = blocks[other] ?? Buffer.alloc(0)
      swapped[other] = blocks[one] ?? Buffer.alloc(0)
      await refusal(cipher, Buffer.concat([head, ...swapped]), bytes, DAMAGED, `blocks ${one} and ${other} swapped`)
    }
  })

  it('refuses a block that is gone from the middle', async () => {
    const { cipher, bytes, head, blocks } = await fourBlocks()
    for (const gone of [0, 1, 2]) {
      const rest = blocks.filter((_, index) => index !== gone)
      await refusal(cipher, Buffer.concat([head, ...rest]), bytes, DAMAGED, `without block ${gone}`)
    }
  })

  it('refuses a block that is there twice', async () => {
    const { cipher, bytes, head, blocks } = await fourBlocks()
    for (const twice of [0, 1, 3]) {
      const doubled = blocks.flatMap((block, index) => (index === twice ? [block, block] : [block]))
      await refusal(cipher, Buffer.concat([head, ...doubled]), bytes, DAMAGED, `block ${twice} twice`)
    }
  })

  it('refuses blocks of another object', async () => {
    const one = await fourBlocks()
    const other = await fourBlocks(2)
    for (const at of [0, 1, 3]) {
      const spliced = one.blocks.map((block, index) => (index === at ? (other.blocks[index] ?? block) : block))
      await refusal(
        one.cipher,
        Buffer.concat([one.head, ...spliced]),
        one.bytes,
        DAMAGED,
        `block ${at} of another object`,
      )
    }
  })

  it('refuses an object with the header of another', async () => {
    const one = await fourBlocks()
    const other = await fourBlocks(2)
    const spliced = Buffer.concat([other.head, ...one.blocks])
    await refusal(one.cipher, spliced, Buffer.alloc(0), DAMAGED, 'the header of another object')
  })

  it('refuses two objects in a row', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, small)
    await refusal(cipher, Buffer.concat([packed, packed]), small, DAMAGED, 'the same object twice')
    const { head, blocks, bytes } = await fourBlocks()
    await refusal(cipher, Buffer.concat([head, ...blocks, packed]), bytes, DAMAGED, 'another object behind')
  })

  const trailers = {
    'a zero byte': Buffer.alloc(1),
    text: Buffer.from('and so on'),
    '5,000 bytes': sample('random', 5000),
  }
  for (const [name, trailer] of Object.entries(trailers)) {
    it(`refuses an object followed by ${name}`, async () => {
      const cipher = await cipherOf(bench)
      const packed = await sealed(cipher, small)
      await refusal(cipher, Buffer.concat([packed, trailer]), small, DAMAGED, 'in the same chunk')
      async function* apart(): AsyncGenerator<Uint8Array> {
        yield packed
        yield trailer
      }
      await refuses(collect(cipher.open(apart())), DAMAGED, 'in a chunk of its own')
    })
  }

  const strangers = {
    'no bytes': Buffer.alloc(0),
    text: Buffer.from('This is not sealed at all, but it is long enough to hold any header. '.repeat(20)),
    zeros: Buffer.alloc(4000),
    'random bytes': sample('random', 4000),
  }
  for (const [name, bytes] of Object.entries(strangers)) {
    it(`refuses what is no sealed object: ${name}`, async () => {
      await refusal(await cipherOf(bench), bytes, Buffer.alloc(0), DAMAGED, name)
    })
  }

  async function fourBlocks(seed = 1) {
    const cipher = await cipherOf(bench)
    const shape = await shapeOf(cipher)
    const bytes = sample('mixed', 3 * shape.block + 1000, seed)
    return { cipher, shape, bytes, ...taken(await sealed(cipher, bytes), shape) }
  }
}
