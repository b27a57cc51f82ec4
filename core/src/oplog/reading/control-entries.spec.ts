import assert from 'node:assert/strict'
import { BSON, type Document, Timestamp } from 'bson'
import fc from 'fast-check'
import { documentsIn } from '../../bson/documents.js'
import { COLLECTION, raw, session } from '../replay/oplog-entries.support.js'
import { withoutControlEntries } from './control-entries.js'

const SECRET = 'hunter2'

/** As a server logs them, in all ways to say something of a control collection. */
const control: Document[] = [
  ...['pbmConfig', 'pbmCmd', 'pbmBackups.old', 'pbmRUsers', 'pbmkitRestore.chunks'].flatMap((collection) => [
    { op: 'i', ns: `admin.${collection}`, ui: COLLECTION, o: { _id: 1, password: SECRET } },
    {
      op: 'u',
      ns: `admin.${collection}`,
      ui: COLLECTION,
      o: { $v: 2, diff: { u: { password: SECRET } } },
      o2: { _id: 1 },
    },
    { op: 'd', ns: `admin.${collection}`, ui: COLLECTION, o: { _id: SECRET } },
    // The image of a document that a retryable findAndModify found.
    { op: 'n', ns: `admin.${collection}`, o: { _id: 1, password: SECRET }, ...session() },
    { op: 'c', ns: 'admin.$cmd', ui: COLLECTION, o: { create: collection, comment: SECRET } },
    { op: 'c', ns: 'admin.$cmd', ui: COLLECTION, o: { drop: collection, comment: SECRET } },
  ]),
  { op: 'c', ns: 'admin.$cmd', o: { renameCollection: 'admin.pbmBackups', to: 'admin.pbmBackups.old', x: SECRET } },
]
const others: Document[] = [
  { op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: 1, text: 'admin.pbmConfig and admin.$cmd' } },
  { op: 'i', ns: 'shop.admin.pbmConfig', ui: COLLECTION, o: { _id: 1 } },
  { op: 'i', ns: 'admin.pbmOfMine', ui: COLLECTION, o: { _id: 1 } },
  { op: 'n', ns: '', o: { msg: 'periodic noop' } },
  { op: 'c', ns: 'admin.$cmd', ui: COLLECTION, o: { create: 'mine' } },
  { op: 'c', ns: 'admin.$cmd', ui: COLLECTION, o: { renameCollection: 'admin.mine', to: 'admin.pbmConfig' } },
  { op: 'c', ns: 'admin.$cmd', o: { applyOps: [{ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: 2 } }] } },
]

const stamped = (operations: readonly Document[]) =>
  operations.map((operation, i) => ({ ts: new Timestamp({ t: 100, i }), v: 2, wall: new Date(i), ...operation }))
const decoded = (entries: Buffer) => [...documentsIn(entries)].map((entry) => BSON.deserialize(entry))
const keptOf = ({ ts, v, wall }: Document) => ({ ts, v, wall })

describe('Oplog entries of control collections', () => {
  it('are no-ops of the same time in what is stored', () => {
    const entries = stamped(control)
    const stored = withoutControlEntries(Buffer.concat(entries.map(raw)))
    assert.equal(stored.includes(SECRET), false)
    assert.deepEqual(
      decoded(stored),
      entries.map((entry) => ({ op: 'n', ns: '', o: {}, ...keptOf(entry) })),
    )
  })

  it('are no-ops inside of applyOps and transactions, which keep the rest', () => {
    for (const around of [{}, session(), { ...session(), multiOpType: 1 }]) {
      const o = { applyOps: [others[0], ...control, { op: 'c', ns: 'admin.$cmd', o: { applyOps: control } }], count: 9 }
      const entry = raw({ ...stamped([{ op: 'c', ns: 'admin.$cmd', ...around, o }])[0] })
      const [found] = decoded(withoutControlEntries(entry))
      assert.deepEqual(found?.o.applyOps[0], BSON.deserialize(raw(others[0] ?? {})))
      assert.deepEqual(found?.o.applyOps[1], { op: 'n', ns: '', o: {} })
      assert.equal(found?.o.applyOps.length, o.applyOps.length)
      assert.equal(found?.o.count, 9)
      assert.equal(raw(found ?? {}).includes(SECRET), false)
      assert.deepEqual(Object.keys(found ?? {}), Object.keys(BSON.deserialize(entry)))
    }
  })

  it('are looked for in vain in what has none, which is given as it is', () => {
    const entries = Buffer.concat(stamped(others).map(raw))
    assert.equal(withoutControlEntries(entries), entries)
    assert.equal(withoutControlEntries(Buffer.alloc(0)).length, 0)
  })

  it('are found among any others, and nothing else changes', () => {
    const any = fc.array(fc.constantFrom(...control, ...others), { maxLength: 30 })
    fc.assert(
      fc.property(any, (operations) => {
        const entries = stamped(operations)
        const stored = [...documentsIn(withoutControlEntries(Buffer.concat(entries.map(raw))))]
        assert.equal(stored.length, entries.length)
        for (const [index, entry] of entries.entries()) {
          const found = stored[index] ?? Buffer.alloc(0)
          if (others.includes(operations[index] ?? {})) assert.ok(found.equals(raw(entry)))
          else assert.deepEqual(BSON.deserialize(found).ts, entry.ts)
          assert.equal(found.includes(SECRET), false)
        }
      }),
      { numRuns: 100 },
    )
  })
})
