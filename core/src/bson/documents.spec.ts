import assert from 'node:assert/strict'
import { BSON } from 'bson'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { countDocuments, documentLength, documentsIn, MAX_DOCUMENT_BYTES, wholeDocuments } from './documents.js'

async function* chunked(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? bytes.length)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = []
  for await (const buffer of source) found.push(buffer)
  return found
}

function code(expected: string) {
  return (error: unknown) => error instanceof PbmError && error.code === expected
}

const documents = fc.array(
  fc
    .record({ a: fc.string(), n: fc.integer(), b: fc.uint8Array({ maxLength: 300 }) })
    .map((value) => BSON.serialize(value)),
  { maxLength: 40 },
)
const sizes = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 10 })

describe('whole documents out of any chunks', () => {
  it('gives every byte back, cut only between documents', async () => {
    await fc.assert(
      fc.asyncProperty(documents, sizes, async (list, cuts) => {
        const bytes = Buffer.concat(list)
        const buffers = await collect(wholeDocuments(chunked(bytes, cuts)))
        assert.deepEqual(Buffer.concat(buffers), bytes)
        const counted = buffers.reduce((sum, buffer) => sum + countDocuments(buffer), 0)
        assert.equal(counted, list.length)
      }),
    )
  })

  it('refuses data that ends inside a document, at every cut', async () => {
    const bytes = Buffer.from(BSON.serialize({ _id: 1, text: 'twelve bytes' }))
    for (let end = 1; end < bytes.length; end++) {
      await assert.rejects(collect(wholeDocuments(chunked(bytes.subarray(0, end), [3]))), code('BSON_TRUNCATED'))
    }
  })

  it('takes a document of the greatest length in small chunks', async () => {
    const empty = BSON.calculateObjectSize({ _id: 1, b: Buffer.alloc(0) })
    const bytes = Buffer.from(BSON.serialize({ _id: 1, b: Buffer.alloc(MAX_DOCUMENT_BYTES - empty) }))
    assert.equal(bytes.length, MAX_DOCUMENT_BYTES)
    const [document] = await collect(wholeDocuments(chunked(bytes, [65_536])))
    assert.equal(document?.length, MAX_DOCUMENT_BYTES)
  })
})

describe('the length of a document', () => {
  it('is refused below 5, above the bound, and without the zero at the end, with the place', () => {
    for (const length of [0, 4, -1, MAX_DOCUMENT_BYTES + 1]) {
      const bytes = Buffer.alloc(8)
      bytes.writeInt32LE(length)
      assert.throws(() => documentLength(bytes, 0, 1000), /byte 1000/)
    }
    assert.throws(() => documentLength(Buffer.from([5, 0, 0, 0, 1]), 0), code('BSON_CORRUPT'))
  })

  it('is -1 while bytes are missing', () => {
    assert.equal(documentLength(Buffer.from([5, 0, 0]), 0), -1)
    assert.equal(documentLength(Buffer.from([5, 0, 0, 0]), 0), -1)
    assert.equal(documentLength(Buffer.from([5, 0, 0, 0, 0]), 0), 5)
  })

  it('parts a buffer into its documents', () => {
    const list = [{ a: 1 }, { b: 'x' }].map((value) => Buffer.from(BSON.serialize(value)))
    assert.deepEqual([...documentsIn(Buffer.concat(list))], list)
    assert.throws(() => countDocuments(Buffer.concat(list).subarray(0, -1)), code('BSON_TRUNCATED'))
  })
})
