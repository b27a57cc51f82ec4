import assert from 'node:assert/strict'
import {
  Binary,
  BSON,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'bson'
import { findField, findString } from './elements.js'
import { fromExtendedJson, toExtendedJson } from './extended-json.js'
import { hasZeroTimestamp, nextZeroCandidate } from './zero-timestamp.js'

const zero = new Timestamp({ t: 0, i: 0 })
const everyType = {
  double: new Double(1.5),
  string: 'text\0with a zero',
  document: { nested: { deep: 1 } },
  array: [1, 'two'],
  binary: new Binary(Buffer.from([1, 2, 3])),
  id: new ObjectId(),
  boolean: true,
  date: new Date(0),
  nothing: null,
  expression: new BSONRegExp('a+', 'i'),
  code: new Code('f()'),
  scoped: new Code('f()', { x: 1 }),
  symbol: new BSONSymbol('s'),
  int: new Int32(7),
  timestamp: new Timestamp({ t: 1, i: 2 }),
  long: Long.fromString('9007199254740993'),
  decimal: Decimal128.fromString('1E+3'),
  min: new MinKey(),
  max: new MaxKey(),
  reference: new DBRef('c', new ObjectId()),
  last: 'found',
}

describe('elements of raw documents', () => {
  it('walks past every type to the last field', () => {
    assert.equal(findString(Buffer.from(BSON.serialize(everyType)), 'last'), 'found')
  })

  it('finds fields by their whole name only, at the top level only', () => {
    const document = Buffer.from(BSON.serialize({ ab: 1, deep: { a: 2 }, é: 3 }))
    assert.equal(findField(document, 'a'), undefined)
    assert.equal(document.readInt32LE(findField(document, 'é')?.value), 3)
  })

  it('refuses a document whose insides overrun it', () => {
    const document = Buffer.from(BSON.serialize({ a: 'text' }))
    document.writeInt32LE(1000, 7)
    assert.throws(() => findField(document, 'b'), /not a BSON element/)
  })
})

describe('zero timestamps', () => {
  const has = (value: object) => hasZeroTimestamp(Buffer.from(BSON.serialize(value)), 0)

  it('are seen at the top level, outside _id, and nowhere else', () => {
    assert.equal(has({ _id: 1, t: zero }), true)
    assert.equal(has({ _id: zero }), false)
    assert.equal(has({ _id: 1, nested: { t: zero }, list: [zero] }), false)
    assert.equal(has({ _id: 1, t: new Timestamp({ t: 0, i: 1 }), l: Long.fromNumber(0) }), false)
  })

  it('never escape the native search', () => {
    const document = Buffer.from(BSON.serialize({ _id: 'x', t: zero }))
    assert.notEqual(nextZeroCandidate(document, 0), -1)
    assert.equal(nextZeroCandidate(Buffer.from(BSON.serialize({ _id: 'x', n: 'none' })), 0), -1)
  })
})

describe('Extended JSON', () => {
  it('keeps integer-like keys where they are', () => {
    const text = '{"b":{"$numberInt":"1"},"2":{"$numberDouble":"1.0"},"1":[{"$numberLong":"-5"},null,true,"é"]}'
    assert.equal(toExtendedJson(fromExtendedJson(text)), text)
  })

  it('gives every type back bit for bit', () => {
    const { expression: _, scoped: __, ...rest } = everyType
    const document = Buffer.from(BSON.serialize(rest))
    assert.deepEqual(fromExtendedJson(toExtendedJson(document)), document)
  })

  it('takes relaxed numbers', () => {
    assert.deepEqual(BSON.deserialize(fromExtendedJson('{"a":1,"b":1.5,"c":3000000000}')), { a: 1, b: 1.5, c: 3e9 })
  })

  it('says where text is wrong', () => {
    for (const text of ['', '{', '{"a":}', '{"a":1,}', '{"a":1} x', '{"a" 1}', `${'['.repeat(300)}`]) {
      assert.throws(() => fromExtendedJson(text), /wrong at character \d+/)
    }
  })
})
