import assert from 'node:assert/strict'
import { hasCode, type PluginErrorCode } from '@pbmkit/core/plugin'
import { compressSync } from 'snappy'
import { type Dialect, maskedChecksum, readFramed, S2, SNAPPY, writeFramed } from './index.js'

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

function chunk(type: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const header = Buffer.from([type, 0, 0, 0])
  header.writeUIntLE(body.length, 1, 3)
  return Buffer.concat([header, body])
}

function checksum(bytes: Uint8Array): Buffer {
  const field = Buffer.alloc(4)
  field.writeUInt32LE(maskedChecksum(bytes))
  return field
}

const identifier = (dialect: Dialect) => chunk(0xff, Buffer.from(dialect.identifier))
const stored = (bytes: Uint8Array) => chunk(1, checksum(bytes), bytes)
const packed = (bytes: Buffer) => chunk(0, checksum(bytes), compressSync(bytes))
const read = (...parts: Uint8Array[]) => collect(readFramed(chunks(...parts)))

async function refused(code: PluginErrorCode, ...parts: Uint8Array[]): Promise<void> {
  await assert.rejects(read(...parts), (error) => hasCode(error, code))
}

const text = Buffer.from('the same words, the same words, and the same words once more')
/** Two literals and a repeat: no Snappy decoder takes it. */
const onlyS2 = Buffer.from([12, 3 << 2, ...Buffer.from('abcd'), 0x01, 4, 0x01, 0])

describe('maskedChecksum', () => {
  it('is CRC-32C, rotated by 15 and offset', () => {
    // CRC-32C of "123456789" is 0xe3069283.
    const rotated = ((0xe3069283 >>> 15) | (0xe3069283 << 17)) >>> 0
    assert.equal(maskedChecksum(Buffer.from('123456789')), (rotated + 0xa282ead8) % 2 ** 32)
  })
})

describe('readFramed', () => {
  for (const dialect of [SNAPPY, S2]) {
    it(`reads packed and stored chunks of ${dialect.identifier}`, async () => {
      assert.equal((await read(identifier(dialect), packed(text), stored(text))).toString(), `${text}${text}`)
    })
  }

  it('reads blocks that only S2 has, among blocks of Snappy', async () => {
    const expected = Buffer.from('abcdabcdabcd')
    const block = chunk(0, checksum(expected), onlyS2)
    const all = await read(identifier(S2), packed(text), block, packed(text), block, stored(text))
    assert.equal(all.toString(), `${text}${expected}${text}${expected}${text}`)
  })

  it('reads streams whose identifier recurs and changes', async () => {
    const all = await read(identifier(SNAPPY), packed(text), identifier(S2), packed(text), identifier(S2), packed(text))
    assert.equal(all.toString(), `${text}${text}${text}`)
  })

  it('takes a block of 4 MiB in S2, and none above 64 KiB in Snappy', async () => {
    const block = Buffer.alloc(4 * 1024 * 1024, 'large')
    assert.equal(
      Buffer.compare(await read(identifier(S2), packed(block), stored(block)), Buffer.concat([block, block])),
      0,
    )
    await refused('CODEC_CORRUPT', identifier(S2), packed(Buffer.alloc(4 * 1024 * 1024 + 1)))
    await refused('CODEC_CORRUPT', identifier(S2), stored(Buffer.alloc(4 * 1024 * 1024 + 1)))
    await refused('CODEC_CORRUPT', identifier(SNAPPY), packed(Buffer.alloc(64 * 1024 + 1)))
    await refused('CODEC_CORRUPT', identifier(SNAPPY), stored(Buffer.alloc(64 * 1024 + 1)))
  })

  it('skips padding, an index and other chunks that may be skipped', async () => {
    const skippable = [0x82, 0x99, 0xb0, 0xfd, 0xfe].map((type) => chunk(type, Buffer.alloc(70_000, type)))
    const all = await read(identifier(S2), ...skippable, packed(text), ...skippable)
    assert.equal(all.toString(), text.toString())
  })

  it('refuses reserved chunks', async () => {
    for (const type of [0x02, 0x03, 0x40, 0x7f]) await refused('CODEC_CORRUPT', identifier(S2), chunk(type, text))
  })

  it('refuses what one flipped bit makes of a chunk with data', async () => {
    const flipped = [packed(text), stored(text)]
    for (const bytes of flipped) {
      bytes.writeUInt8(bytes.readUInt8(0) | 0x80, 0)
      await refused('CODEC_CORRUPT', identifier(S2), bytes, packed(text))
    }
  })

  it('refuses a wrong checksum, in a packed and in a stored chunk', async () => {
    await refused('CODEC_CORRUPT', identifier(S2), chunk(0, Buffer.alloc(4), compressSync(text)))
    await refused('CODEC_CORRUPT', identifier(S2), chunk(1, Buffer.alloc(4), text))
  })

  it('refuses chunks too short for a checksum, and those without an identifier before them', async () => {
    await refused('CODEC_CORRUPT', identifier(S2), chunk(0, Buffer.alloc(3)))
    await refused('CODEC_CORRUPT', packed(text))
    await refused('CODEC_CORRUPT', chunk(0xff, Buffer.from('sNaPpX')))
    await refused('CODEC_CORRUPT', chunk(0xff, Buffer.from('S2sTwOo')))
  })

  it('tells a cut stream', async () => {
    const whole = Buffer.concat([identifier(S2), packed(text)])
    for (const length of [3, 9, 11, 16, whole.length - 1]) await refused('CODEC_TRUNCATED', whole.subarray(0, length))
    await refused('CODEC_TRUNCATED', identifier(S2), chunk(0xfe, text).subarray(0, -1))
  })

  it('reads nothing from nothing, from an identifier alone and from empty blocks', async () => {
    assert.equal((await read()).length, 0)
    assert.equal((await read(identifier(S2))).length, 0)
    assert.equal((await read(identifier(S2), stored(Buffer.alloc(0)), packed(Buffer.alloc(0)))).length, 0)
  })
})

describe('writeFramed', () => {
  const snappy = async (block: Buffer) => compressSync(block)

  it('writes nothing for nothing', async () => {
    assert.equal((await collect(writeFramed(chunks(), S2, 1024, snappy))).length, 0)
  })

  it('cuts the input into blocks and stores those that gain too little', async () => {
    const noise = Buffer.from(Array.from({ length: 1024 }, (_, index) => (index * 2654435761) >>> 24))
    const same = Buffer.alloc(1024, 'x')
    const written = await collect(writeFramed(chunks(same, noise, text), SNAPPY, 1024, snappy))
    assert.deepEqual(written, Buffer.concat([identifier(SNAPPY), packed(same), stored(noise), packed(text)]))
  })

  it('stores every block that its encoder does not take', async () => {
    const written = await collect(writeFramed(chunks(text), S2, 1024, async () => undefined))
    assert.deepEqual(written, Buffer.concat([identifier(S2), stored(text)]))
  })
})
