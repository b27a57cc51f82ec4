import assert from 'node:assert/strict'
import { BSON } from 'bson'
import { requireWellFormed } from './well-formed.js'

describe('a document as it should be', () => {
  const whole = Buffer.from(
    BSON.serialize({
      a: { b: [1, 'two', true, null, /x/i] },
      code: new BSON.Code('f', { s: 1 }),
      id: new BSON.ObjectId(),
    }),
  )

  it('is taken with every kind of value', () => {
    requireWellFormed(whole)
    requireWellFormed(Buffer.from(BSON.serialize({})))
  })

  it('is refused where a value does not end as it should, however deep', () => {
    const nested = (value: Buffer, change: (copy: Buffer, at: number) => void) => {
      const copy = Buffer.from(whole)
      change(copy, copy.indexOf(value))
      return copy
    }
    const wrong = [
      whole.subarray(0, -1),
      nested(Buffer.from('two\0'), (copy, at) => copy.writeUInt8(1, at + 3)),
      nested(Buffer.from([0x08, 0x32, 0x00, 0x01]), (copy, at) => copy.writeUInt8(7, at + 3)),
      nested(Buffer.from('b\0'), (copy, at) => copy.writeInt32LE(9999, at + 2)),
    ]
    for (const bytes of wrong) assert.throws(() => requireWellFormed(bytes), { code: 'BSON_CORRUPT' })
  })
})
