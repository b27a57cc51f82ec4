import { Buffer } from 'node:buffer'
import {
  Binary,
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
  serialize,
  Timestamp,
  UUID,
} from 'bson'

/** Documents whose values a driver can build: every BSON type, and the edges of each. */
const EDGES: Readonly<Record<string, unknown>> = {
  double: [new Double(0), new Double(-0), new Double(1.5), new Double(5e-324), new Double(Number.MAX_VALUE)],
  doubleSpecial: [new Double(Number.NaN), new Double(Number.POSITIVE_INFINITY), new Double(Number.NEGATIVE_INFINITY)],
  string: ['', 'nul \u0000 inside', 'ünïcödé 漢字 🎈', 'x'.repeat(10_000)],
  object: { nested: { deeper: { deepest: {} } } },
  array: [[], [[]], [1, [2, [3, { four: 4 }]]]],
  binary: [0, 1, 2, 3, 5, 6, 128, 255].map((subtype) => new Binary(Buffer.from(`subtype ${subtype}`), subtype)),
  uuid: new UUID('00112233-4455-6677-8899-aabbccddeeff'),
  objectId: [new ObjectId('000000000000000000000000'), new ObjectId('ffffffffffffffffffffffff')],
  boolean: [true, false],
  date: [
    new Date(0),
    new Date(-62_135_596_800_000),
    new Date('2024-02-29T23:59:59.999Z'),
    new Date(8.64e15),
    new Date(-1),
  ],
  null: null,
  regexp: [new BSONRegExp('^a/b', 'imsx'), new BSONRegExp('', '')],
  code: new Code('function () { return 1 }'),
  codeWithScope: new Code('x', { x: new Int32(1), nested: { y: Long.fromNumber(2) } }),
  symbol: new BSONSymbol('a symbol'),
  int32: [new Int32(0), new Int32(2 ** 31 - 1), new Int32(-(2 ** 31))],
  // The server fills in an empty timestamp at the top level of a document only: these stay as they are.
  timestamp: { zero: new Timestamp({ t: 0, i: 0 }), some: new Timestamp({ t: 4_294_967_295, i: 7 }) },
  long: [Long.ZERO, Long.MAX_VALUE, Long.MIN_VALUE, Long.fromNumber(1)],
  decimal: ['0', '-0', '1.10', '1.1', 'NaN', 'Infinity', '-Infinity', '9.999999999999999999999999999999999E+6144'].map(
    (text) => Decimal128.fromString(text),
  ),
  minKey: new MinKey(),
  maxKey: new MaxKey(),
  dbRef: new DBRef('orders', new ObjectId('0123456789abcdef01234567'), 'shop'),
  fieldNames: { '': 'empty', 'a.b': 'dotted', $inner: 'dollar', 'ключ 🔑': 'unicode', ' ': 'blank' },
}

/** One document a type, then ids of many types. */
export function typeDocuments(): Uint8Array[] {
  const documents = Object.entries(EDGES).map(([name, value]) =>
    serialize({ _id: name, value }, { ignoreUndefined: false }),
  )
  const ids: unknown[] = [
    new Int32(1),
    new Double(1.5),
    Long.fromString('9007199254740993'),
    new ObjectId('65a000000000000000000001'),
    new UUID('ffffffff-0000-4000-8000-000000000000'),
    { compound: 1, id: 'x' },
    new Date(1_700_000_000_000),
    true,
    null,
    Decimal128.fromString('2.50'),
    new MinKey(),
    new MaxKey(),
  ]
  documents.push(...ids.map((_id) => serialize({ _id, kind: 'id' })))
  return [...documents, ...handMade()]
}

/** What old drivers wrote and no current one can build. Restored data must keep these bytes too. */
function handMade(): Uint8Array[] {
  return [
    withElement('undefined', Buffer.from([0x06, ...Buffer.from('value\0')])),
    withElement(
      'dbPointer',
      Buffer.concat([Buffer.from([0x0c]), Buffer.from('value\0'), bsonString('shop.orders'), Buffer.alloc(12, 0xab)]),
    ),
    withElement(
      'duplicateFields',
      Buffer.concat([1, 2].map((n) => Buffer.from([0x10, ...Buffer.from('value\0'), n, 0, 0, 0]))),
    ),
    withElement(
      'invalidUtf8',
      Buffer.concat([Buffer.from([0x02]), Buffer.from('value\0'), int32(4), Buffer.from([0xff, 0xfe, 0xc0, 0])]),
    ),
    withElement(
      'nanPayload',
      Buffer.concat([Buffer.from([0x01]), Buffer.from('value\0'), Buffer.from('01000000deadf47f', 'hex')]),
    ),
    withElement('oldBoolean', Buffer.from([0x08, ...Buffer.from('value\0'), 1])),
  ]
}

function withElement(id: string, element: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from([0x02]), Buffer.from('_id\0'), bsonString(id), element, Buffer.from([0])])
  return Buffer.concat([int32(body.length + 4), body])
}

function bsonString(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`)
  return Buffer.concat([int32(bytes.length), bytes])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
