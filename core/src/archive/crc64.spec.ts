import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createCrc64 } from './crc64.js'

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
