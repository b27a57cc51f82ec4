import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { createCrc64 } from './crc64.js'
import { BLOCK_BYTES, DISTANCES, REACH_BYTES, STEP_BYTES } from './crc64-wasm.js'

/** Bit by bit, as the definition has it. */
function reference(bytes: Uint8Array): bigint {
  let register = 0xffffffffffffffffn
  for (const byte of bytes) {
    register ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ (register & 1n ? 0xc96c5795d7870f42n : 0n)
  }
  return BigInt.asIntN(64, register ^ 0xffffffffffffffffn)
}

function checksum(...pieces: Uint8Array[]): bigint {
  const crc = createCrc64()
  for (const piece of pieces) crc.update(piece)
  return crc.digest()
}

describe('CRC-64/XZ', () => {
  it('has the check value of its catalogue', () => {
    assert.equal(BigInt.asUintN(64, checksum(Buffer.from('123456789'))), 0x995dc9bbdf1939fan)
    assert.equal(checksum(), 0n)
  })

  it('is that of the definition, over blocks, eights and single bytes', () => {
    const bytes = Buffer.from(Array.from({ length: 70_001 }, (_, index) => (index * 167) ^ (index >> 7)))
    for (const length of [0, 1, 7, 8, 9, 65_535, 65_536, 65_537, 70_001]) {
      assert.equal(checksum(bytes.subarray(0, length)), reference(bytes.subarray(0, length)), `${length} bytes`)
    }
  })

  it('folds by a multiple of its polynomial', () => {
    // Of x^(64 n), as `reference` holds polynomials: by n times eight bytes of zeros.
    const powerOf = (numbers: number) => {
      let register = 1n << 63n
      for (let bit = 0; bit < 64 * numbers; bit++)
        register = (register >> 1n) ^ (register & 1n ? 0xc96c5795d7870f42n : 0n)
      return register
    }
    const farthest = Math.max(...DISTANCES)
    assert.equal(REACH_BYTES, 8 * farthest)
    assert.equal(
      DISTANCES.reduce((sum, distance) => sum ^ powerOf(farthest - distance), powerOf(farthest)),
      0n,
    )
  })

  it('is the same folded as looked up', () => {
    const bytes = Buffer.from(Array.from({ length: 3 * BLOCK_BYTES }, (_, index) => (index * 53) ^ (index >> 9)))
    const borders = [32 * 1024, BLOCK_BYTES, BLOCK_BYTES + REACH_BYTES, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + REACH_BYTES]
    const around = [-STEP_BYTES, -9, -8, -1, 0, 1, 7, 8, 63, STEP_BYTES]
    for (const length of borders.flatMap((border) => around.map((more) => border + more))) {
      const whole = bytes.subarray(0, length)
      const pieces = Array.from({ length: Math.ceil(length / 9999) }, (_, index) =>
        whole.subarray(index * 9999, (index + 1) * 9999),
      )
      assert.equal(checksum(whole), checksum(...pieces), `${length} bytes`)
    }
  })

  it('is the same on a processor without vectors', function () {
    // The flags that take them away are those of one kind of processor.
    if (process.arch !== 'x64') this.skip()
    const bytes = Buffer.from(Array.from({ length: BLOCK_BYTES + 70_001 }, (_, index) => (index * 53) ^ (index >> 9)))
    const program = `import { createCrc64 } from ${JSON.stringify(new URL('./crc64.js', import.meta.url).href)}
      const crc = createCrc64()
      crc.update(Buffer.from(Array.from({ length: ${bytes.length} }, (_, index) => (index * 53) ^ (index >> 9))))
      console.log(String(crc.digest()))`
    const flags = ['--no-enable-sse4-1', '--no-enable-ssse3', '--input-type=module', '--eval', program]
    assert.equal(execFileSync(process.execPath, flags, { encoding: 'utf8' }).trim(), String(checksum(bytes)))
  })

  it('does not depend on how the bytes are cut, nor on other checksums under way', () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) ^ (index >> 5)))
    const whole = checksum(bytes)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const borders = [0, ...cuts.sort((a, b) => a - b), bytes.length]
        const [crc, other] = [createCrc64(), createCrc64()]
        for (const [index, border] of borders.slice(1).entries()) {
          crc.update(bytes.subarray(borders[index], border))
          other.update(Buffer.from([index]))
        }
        assert.equal(crc.digest(), whole)
        assert.equal(crc.digest(), whole, 'asked again')
      }),
    )
  })
})
