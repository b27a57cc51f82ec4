import assert from 'node:assert/strict'
import { BSON, type Document, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'bson'
import fc from 'fast-check'
import { documentsIn } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { databaseOf } from '../../oplog/entry.js'
import { refuseForeignCollection, routedDatabase } from './routing-fit.js'
import { isRestored, renamedHistory, withoutOperations } from './routing-tables.js'

const [OWN, FOREIGN] = [new UUID(), new UUID()]
const DATABASES = new Set(['shop', 'bank'])
const TARGET = new Map([
  [OWN.toHexString(false), 'shop.orders'],
  [FOREIGN.toHexString(false), 'elsewhere.kept'],
])
const at = new Timestamp({ t: 9, i: 1 })
const values = fc.oneof(
  fc.anything({ maxDepth: 2, withNullPrototype: false, withBigInt: false }),
  fc.constantFrom<unknown>(
    OWN,
    FOREIGN,
    new MinKey(),
    new MaxKey(),
    at,
    new ObjectId(),
    'shop.orders',
    'elsewhere.kept',
  ),
)
const tables = fc.dictionary(
  fc.constantFrom(
    '_id',
    'uuid',
    'primary',
    'shard',
    'history',
    'ns',
    'min',
    'max',
    'key',
    'reshardingFields',
    'allowMigrations',
  ),
  values,
)
const raw = (document: Document) => {
  try {
    return Buffer.from(BSON.serialize(document, { ignoreUndefined: true }))
  } catch {
    return Buffer.from(BSON.serialize({}))
  }
}

/** All that a restore of routing tables does with one document of them. */
function see(document: Buffer): void {
  const words = (work: () => void) => {
    try {
      work()
    } catch (error) {
      assert.ok(error instanceof PbmError, (error as Error).stack)
      assert.match(error.code, /^(BACKUP_DAMAGED|BSON_|OPLOG_CORRUPT)/)
    }
  }
  words(() => assert.ok(!['config', 'admin', 'local', ''].includes(routedDatabase(document))))
  words(() => {
    refuseForeignCollection(document, DATABASES, TARGET)
    assert.ok(DATABASES.has(databaseOf(findString(document, '_id') ?? '')))
  })
  words(() => void isRestored(findString(document, 'ns')))
  words(() => void withoutOperations(document))
  words(() => void renamedHistory(document, (one) => one))
}

describe('Documents of routing tables that somebody has changed', () => {
  it('are refused in words where they reach beyond what is restored', () => {
    fc.assert(
      fc.property(tables, (document) => see(raw(document))),
      { numRuns: 1000 },
    )
  })

  it('are refused in words, whatever their bytes', () => {
    const valid = raw({
      _id: 'shop.orders',
      uuid: OWN,
      history: [{ validAfter: at, shard: 's1' }],
      reshardingFields: { state: 'x' },
    })
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = Buffer.from(valid)
        for (const [place, byte] of changes) bytes[4 + (place % (bytes.length - 5))] = byte
        for (const document of documentsIn(bytes)) see(document)
      }),
      { numRuns: 1000 },
    )
  })
})
