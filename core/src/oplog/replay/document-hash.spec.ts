import assert from 'node:assert/strict'
import { BSON, Decimal128, Double, Int32, Long } from 'bson'
import fc from 'fast-check'
import type { Operation } from '../entry.js'
import { documentHash } from './document-hash.js'
import { raw } from './oplog-entries.support.js'

function change(op: string, _id: unknown, ns = 'shop.a'): Operation {
  const o2 = op === 'u' ? raw({ _id }) : undefined
  return { op, ns, ui: undefined, o: op === 'u' ? raw({ $v: 2, diff: {} }) : raw({ x: 1, _id }), o2 }
}

describe('The lane of a change', () => {
  it('is that of its document, whatever is done to it', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.integer(), fc.uint8Array(), fc.dictionary(fc.string(), fc.integer())),
        (id) => {
          const _id = BSON.deserialize(raw({ id })).id
          const hash = documentHash(change('i', _id))
          assert.notEqual(hash, undefined)
          assert.equal(documentHash(change('u', _id)), hash)
          assert.equal(documentHash(change('d', _id)), hash)
        },
      ),
    )
  })

  it('does not depend on the type of a number, which the server does not tell apart in keys', () => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (value, nested) => {
        const hashes = [
          new Int32(value),
          new Double(value),
          Long.fromNumber(value),
          Decimal128.fromString(`${value}.0`),
        ].map((_id) => documentHash(change('i', nested ? { a: [_id] } : _id)))
        assert.equal(new Set(hashes).size, 1)
      }),
    )
    assert.equal(documentHash(change('i', new Double(-0))), documentHash(change('i', new Int32(0))))
  })

  it('differs between documents and between collections, and is none without an _id', () => {
    const lanes = new Set(Array.from({ length: 100 }, (_, n) => (documentHash(change('i', n)) ?? 0) % 4))
    assert.equal(lanes.size, 4)
    assert.notEqual(documentHash(change('i', 1)), documentHash(change('i', 1, 'shop.b')))
    assert.equal(documentHash({ ...change('i', 1), o: raw({ x: 1 }) }), undefined)
  })
})
