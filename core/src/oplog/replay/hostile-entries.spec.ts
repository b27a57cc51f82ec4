import assert from 'node:assert/strict'
import { BSON, type Document, Timestamp, UUID } from 'bson'
import fc from 'fast-check'
import { documentsIn } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { type Operation, optime, readEntries } from '../entry.js'
import { withoutControlEntries } from '../reading/control-entries.js'
import type { OperationSink } from './apply.js'
import { documentHash } from './document-hash.js'
import { IndexCatalog } from './index-catalog.js'
import { isExcluded, isUsersOrRoles } from './namespaces.js'
import { bytes, COLLECTION, each, OTHER, raw, session } from './oplog-entries.support.js'
import { Replay } from './replay.js'

const RESERVED = new UUID('33333333-3333-4333-8333-333333333333')

const namespaces = fc.constantFrom(
  ...['shop.a', 'shop.b', 'shop.$cmd', 'admin.$cmd', 'admin.evil', 'admin.pbmConfig', 'admin.system.version', 'shop'],
  ...['admin.system.users', 'admin.system.views', 'shop.system.views', 'config.chunks', 'local.x', '', 'admin', '.'],
  ...['shop.system.buckets.a', 'admin.system.buckets.pbmConfig', 'admin.pbmConfig\0', 'config.$cmd'],
)
const collections = fc.constantFrom('a', 'evil', 'pbmConfig', 'system.version', 'system.users', 'system.views', '', 1)
const uuids = fc.constantFrom(undefined, COLLECTION, OTHER, RESERVED, new UUID('44444444-4444-4444-8444-444444444444'))
const verbs = fc.constantFrom(
  ...['create', 'drop', 'dropDatabase', 'createIndexes', 'commitIndexBuild', 'dropIndexes', 'collMod', 'emptycapped'],
  ...['renameCollection', 'applyOps', 'commitTransaction', 'somethingNew'],
)
const ids = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.constantFrom<unknown>({ $gte: '' }, 'admin.pbm', 'admin.pbmConfig', null),
)

const changes: fc.Arbitrary<Document> = fc.record({
  op: fc.constantFrom('i', 'u', 'd', 'n', 'x'),
  ns: namespaces,
  ui: uuids,
  o: fc.record({ _id: ids, viewOn: fc.constant('a') }, { requiredKeys: [] }),
  o2: fc.option(fc.record({ _id: ids }), { nil: undefined }),
})
const commands: fc.Arbitrary<Document> = fc
  .tuple(verbs, fc.oneof(collections, namespaces), namespaces, fc.oneof(uuids, fc.constant(true)), namespaces, uuids)
  .map(([verb, target, to, dropTarget, ns, ui]) => {
    const o = { [verb]: target, to, ...(dropTarget && { dropTarget }), index: 'a_1', key: { a: 1 }, name: 'a_1' }
    return { op: 'c', ns, ui, o }
  })
const operations = fc.oneof(changes, commands)
const wrapped = fc.oneof(
  { weight: 3, arbitrary: operations },
  fc.tuple(fc.array(operations, { maxLength: 4 }), fc.boolean()).map(([inner, transaction]) => ({
    ...{ op: 'c', ns: 'admin.$cmd', o: { applyOps: inner }, ...(transaction ? session() : {}) },
  })),
)

/** Decodes nothing: what the target refuses to read is its own business. */
class RawSink implements OperationSink {
  readonly operations: Operation[] = []
  async change(operation: Operation): Promise<void> {
    this.operations.push(operation)
  }
  async command(operation: Operation): Promise<void> {
    this.operations.push(operation)
  }
  async flush(): Promise<void> {}
}

/** Gives what reached the target. Rejects with nothing but an error for people. */
async function replayed(piece: Buffer): Promise<RawSink> {
  const sink = new RawSink()
  const catalog = new IndexCatalog()
  catalog.create('shop.a', bytes(COLLECTION), undefined)
  catalog.create('admin.evil', bytes(OTHER), undefined)
  catalog.reserved.add(bytes(RESERVED).toString('hex'))
  const isKept = (_ns: string, id: string) => id === 'admin.pbm'
  const replay = new Replay({ sink, catalog, end: optime({ t: 200, i: 0 }), listNames: async () => new Map(), isKept })
  try {
    await replay.run(readEntries(each([piece])))
    await replay.finish()
  } catch (error) {
    assert.ok(error instanceof PbmError, (error as Error).stack)
  } finally {
    await replay.close()
  }
  return sink
}

/** The names that a command of the sink has for the server. */
function reached({ ns, o }: { ns: string; o: Buffer }): string[] {
  const decoded = BSON.deserialize(o)
  const [verb, target] = Object.entries(decoded)[0] ?? []
  if (!ns.endsWith('.$cmd') || typeof target !== 'string') return [ns]
  return verb === 'renameCollection' ? [target, String(decoded.to)] : [`${ns.slice(0, -5)}.${target}`]
}

const stamped = (operation: Document, index: number) =>
  raw({ ts: new Timestamp({ t: 100, i: index + 1 }), v: 2, ...operation })

describe('An oplog that somebody has changed', () => {
  it('never reaches what is guarded', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(wrapped, { maxLength: 12 }), async (all) => {
        const sink = await replayed(Buffer.concat(all.map(stamped)))
        for (const operation of sink.operations) {
          for (const ns of reached(operation)) {
            assert.ok(!isExcluded(ns), ns)
            const isMade = operation.op === 'c' && Object.keys(BSON.deserialize(operation.o)).join() === 'create'
            if (operation.op === 'c') assert.ok(isMade || !isUsersOrRoles(ns), ns)
          }
          assert.ok(operation.ui?.equals(bytes(RESERVED)) !== true)
          const isRename = findString(operation.o, 'renameCollection') !== undefined
          assert.ok(!isRename || !operation.o.includes(Buffer.from(RESERVED.buffer)))
          if (isUsersOrRoles(operation.ns)) {
            const { _id } = BSON.deserialize(operation.op === 'u' ? (operation.o2 ?? operation.o) : operation.o)
            assert.equal(typeof _id, 'string')
            assert.notEqual(_id, 'admin.pbm')
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  it('is replayed or refused in words, whatever its bytes', async () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.array(wrapped, { minLength: 1, maxLength: 5 }), flips, async (all, changed) => {
        const piece = Buffer.concat(all.map(stamped))
        for (const [at, byte] of changed) piece[at % piece.length] = byte
        await replayed(piece)
      }),
      { numRuns: 400 },
    )
  })

  it('has no secrets of control collections, whatever is around them', () => {
    fc.assert(
      fc.property(fc.array(wrapped, { maxLength: 12 }), (all) => {
        const entries = all.map(stamped)
        const stored = [...documentsIn(withoutControlEntries(Buffer.concat(entries)))]
        assert.equal(stored.length, entries.length)
        for (const entry of stored) assert.notEqual(BSON.deserialize(entry).ns, 'admin.pbmConfig')
      }),
      { numRuns: 300 },
    )
  })

  it('is refused with an _id that is nested without end', () => {
    let _id: Buffer = raw({})
    for (let depth = 0; depth < 5_000; depth++)
      _id = Buffer.concat([length(_id.length + 8), Buffer.from('\x03a\0', 'latin1'), _id, Buffer.alloc(1)])
    const o = Buffer.concat([length(_id.length + 10), Buffer.from('\x03_id\0', 'latin1'), _id, Buffer.alloc(1)])
    assert.throws(() => documentHash({ op: 'i', ns: 'shop.a', ui: undefined, o, o2: undefined }), {
      code: 'OPLOG_CORRUPT',
    })
  })
})

function length(bytes: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32LE(bytes)
  return buffer
}
