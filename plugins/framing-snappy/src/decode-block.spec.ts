import assert from 'node:assert/strict'
import { hasCode } from '@pbmkit/core/plugin'
import fc from 'fast-check'
import { compressSync } from 'snappy'
import { decodeBlock, decodedLength } from './decode-block.js'

/** What an S2 block is made of: bytes as they are, copies of earlier output, and repeats of the last offset. */
type Element =
  | { readonly kind: 'literal'; readonly bytes: Uint8Array; readonly form: 0 | 1 | 2 | 3 | 4 }
  | { readonly kind: 'copy'; readonly form: 1 | 2 | 4; readonly offset: number; readonly length: number }
  | { readonly kind: 'repeat'; readonly form: 0 | 1 | 2 | 3; readonly length: number }

const LENGTH_BASE = [4, 8, 260, 65540] as const

function littleEndian(value: number, bytes: number): Buffer {
  const written = Buffer.alloc(bytes)
  if (bytes > 0) written.writeUIntLE(value, 0, bytes)
  return written
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}

/** Encodes one element in the length form it asks for, which need not be the shortest. */
function encode(element: Element): Buffer {
  if (element.kind === 'literal') {
    const { bytes, form } = element
    const tag = form === 0 ? (bytes.length - 1) << 2 : (59 + form) << 2
    return Buffer.concat([Buffer.from([tag]), littleEndian(form === 0 ? 0 : bytes.length - 1, form), bytes])
  }
  if (element.kind === 'repeat') {
    const { form, length } = element
    const field = form === 0 ? length - 4 : 4 + form
    return Buffer.concat([
      Buffer.from([1 | (field << 2), 0]),
      littleEndian(form === 0 ? 0 : length - LENGTH_BASE[form], form),
    ])
  }
  const { form, offset, length } = element
  if (form === 1) return Buffer.from([1 | ((length - 4) << 2) | ((offset >> 8) << 5), offset & 0xff])
  return Buffer.concat([Buffer.from([(form === 2 ? 2 : 3) | ((length - 1) << 2)]), littleEndian(offset, form)])
}

/** What the elements mean, told by the plainest loop there is. */
function expand(elements: readonly Element[]): Buffer {
  const output: number[] = []
  let offset = 0
  for (const element of elements) {
    if (element.kind === 'literal') {
      output.push(...element.bytes)
      continue
    }
    if (element.kind === 'copy') offset = element.offset
    for (let n = 0; n < element.length; n++) output.push(output[output.length - offset] as number)
  }
  return Buffer.from(output)
}

function blockOf(elements: readonly Element[], length = expand(elements).length): Buffer {
  return Buffer.concat([varint(length), ...elements.map(encode)])
}

const literal = (bytes: Uint8Array, form: 0 | 1 | 2 | 3 | 4 = 0): Element => ({ kind: 'literal', bytes, form })
const copy = (form: 1 | 2 | 4, offset: number, length: number): Element => ({ kind: 'copy', form, offset, length })
const repeat = (form: 0 | 1 | 2 | 3, length: number): Element => ({ kind: 'repeat', form, length })

function decodes(elements: readonly Element[]): void {
  const block = blockOf(elements)
  const expected = expand(elements)
  assert.equal(decodedLength(block), expected.length)
  assert.equal(Buffer.compare(decodeBlock(block), expected), 0)
}

const text = Buffer.from('a block of some bytes that are not all alike, 0123456789.')
const long = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * index) % 251))

/** Elements made from numbers that are brought into range for the output so far. */
const arbitraryElements = fc
  .array(fc.tuple(fc.nat(11), fc.nat(1 << 20), fc.nat(1 << 20), fc.uint8Array({ minLength: 1, maxLength: 300 })), {
    maxLength: 40,
  })
  .map((seeds) => {
    const elements: Element[] = [literal(text)]
    let size = text.length
    let copied = false
    for (const [choice, a, b, bytes] of seeds) {
      let element: Element
      if (choice < 4 || size > 300_000) {
        const form = ([0, 1, 2, 3, 4] as const)[a % 5] ?? 0
        element = literal(form === 0 ? bytes.subarray(0, 60) : bytes.subarray(0, 256), form)
      } else if (choice === 4) element = copy(1, 1 + (a % Math.min(size, 2047)), 4 + (b % 8))
      else if (choice === 5 || choice === 6) element = copy(2, 1 + (a % Math.min(size, 65_535)), 1 + (b % 64))
      else if (choice === 7) element = copy(4, 1 + (a % size), 1 + (b % 64))
      else if (!copied) continue
      else if (choice === 8) element = repeat(0, 4 + (b % 5))
      else if (choice === 9) element = repeat(1, 8 + (b % 256))
      else if (choice === 10) element = repeat(2, 260 + (b % 3000))
      else element = repeat(3, 65_540 + (b % 1000))
      copied ||= element.kind === 'copy'
      size += element.kind === 'literal' ? element.bytes.length : element.length
      elements.push(element)
    }
    return elements
  })

describe('decodeBlock', () => {
  it('decodes a block of nothing', () => {
    assert.equal(decodeBlock(Buffer.from([0])).length, 0)
  })

  for (const length of [1, 2, 59, 60]) {
    it(`takes a literal of ${length} bytes whose length is in the tag`, () =>
      decodes([literal(long.subarray(0, length))]))
  }
  for (const [form, lengths] of [
    [1, [1, 60, 61, 256]],
    [2, [1, 256, 257, 65_536]],
    [3, [1, 65_537]],
    [4, [1, 65_537]],
  ] as const) {
    for (const length of lengths) {
      it(`takes a literal of ${length} bytes whose length takes ${form} bytes`, () =>
        decodes([literal(long.subarray(0, length), form)]))
    }
  }

  for (const offset of [1, 2, 3, 7, 8, 47, 48, 57]) {
    for (const length of [4, 11]) {
      it(`takes a short copy of ${length} bytes from ${offset} back`, () =>
        decodes([literal(text), copy(1, offset, length)]))
    }
    for (const form of [2, 4] as const) {
      for (const length of [1, 3, 48, 64]) {
        it(`takes a copy of ${length} bytes from ${offset} back, written in ${form} bytes`, () =>
          decodes([literal(text), copy(form, offset, length)]))
      }
    }
  }
  for (const [form, offset] of [
    [1, 2047],
    [2, 65_535],
    [4, 65_536],
    [4, 70_000],
  ] as const) {
    it(`takes the offset ${offset} written in ${form} bytes`, () => decodes([literal(long, 3), copy(form, offset, 11)]))
  }

  for (const [form, lengths] of [
    [0, [4, 5, 6, 7, 8]],
    [1, [8, 9, 263]],
    [2, [260, 261, 65_795]],
    [3, [65_540, 65_541, 200_000]],
  ] as const) {
    for (const length of lengths) {
      it(`takes a repeat of ${length} bytes in length form ${form}`, () => {
        decodes([literal(text), copy(1, 5, 4), repeat(form, length)])
        decodes([literal(text), copy(2, 50, 64), literal(text), repeat(form, length), repeat(0, 4)])
      })
    }
  }

  it('keeps the last offset across literals and every kind of copy', () => {
    decodes([
      literal(text),
      copy(4, 40, 10),
      literal(text),
      repeat(0, 8),
      copy(2, 3, 5),
      repeat(1, 100),
      literal(text),
      repeat(0, 4),
    ])
  })

  it('decodes whatever elements come', () => {
    fc.assert(fc.property(arbitraryElements, decodes), { numRuns: 200 })
  })

  it('decodes what Snappy writes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('alpha', 'beta', 'gamma', '0', '1'), { maxLength: 3000, size: 'max' }),
        (words) => {
          const bytes = Buffer.from(words.join(' '))
          assert.deepEqual(decodeBlock(compressSync(bytes)), bytes)
        },
      ),
      { numRuns: 50 },
    )
  })

  const damaged = {
    'no length': Buffer.alloc(0),
    'a length without end': Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    'more output than its length says': blockOf([literal(text)], text.length - 1),
    'less output than its length says': blockOf([literal(text)], text.length + 1),
    'a literal cut in its bytes': blockOf([literal(text)]).subarray(0, -1),
    'a literal cut in its length': Buffer.from([5, 61 << 2, 1]),
    'a short copy cut': blockOf([literal(text), copy(1, 4, 4)]).subarray(0, -1),
    'a copy cut': blockOf([literal(text), copy(2, 4, 4)]).subarray(0, -1),
    'a long copy cut': blockOf([literal(text), copy(4, 4, 4)]).subarray(0, -1),
    'a repeat cut': blockOf([literal(text), copy(1, 4, 4), repeat(3, 65_540)]).subarray(0, -1),
    'a copy from before its start': blockOf([literal(text), copy(2, text.length + 1, 4)], text.length + 4),
    'a copy from nowhere': blockOf([literal(text), copy(2, 0, 4)], text.length + 4),
    'a copy that is too long': blockOf([literal(text), copy(2, 4, 9)], text.length + 8),
    'a repeat before any copy': blockOf([literal(text), repeat(0, 4)], text.length + 4),
  }
  for (const [name, block] of Object.entries(damaged)) {
    it(`refuses a block with ${name}`, () => {
      assert.throws(
        () => decodeBlock(block),
        (error) => hasCode(error, 'CODEC_CORRUPT'),
      )
    })
  }

  it('ends on any bytes, by a result or as corrupt', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(500), (bytes, length) => {
        try {
          assert.equal(decodeBlock(Buffer.concat([varint(length), bytes])).length, length)
        } catch (error) {
          assert.ok(hasCode(error, 'CODEC_CORRUPT'), String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
})
