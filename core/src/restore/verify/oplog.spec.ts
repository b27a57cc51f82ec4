import assert from 'node:assert/strict'
import { BSON, type Document, Long, Timestamp, UUID } from 'bson'
import { crcText, createCrc64 } from '../../archive/crc64.js'
import { type Operation, optime } from '../../oplog/entry.js'
import { withoutControlEntries } from '../../oplog/reading/control-entries.js'
import { raw, session } from '../../oplog/replay/oplog-entries.support.js'
import { PluginError } from '../../plugin/errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { none } from '../../plugin-host/none.js'
import { pitrChunkName } from '../../store/layout/names.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { checkPieces, type OplogVerification, verifyPieces } from './oplog.js'

type Stored = Readonly<Record<string, Buffer>>

const at = (i: number) => optime({ t: 100, i })
const change = (i: number, fields: Document = {}) =>
  raw({ ts: new Timestamp({ t: 100, i }), op: 'i', ns: 'shop.a', o: { _id: i }, ...fields })
const chunk = (...entries: Buffer[]) => Buffer.concat(entries)
const piece = (object: string, start: number, end: number): OplogPiece => ({
  object,
  start: at(start),
  end: at(end),
  compression: none,
})

/** What a restore reads with, over buffers. */
function storeOf(objects: Stored): ObjectStore {
  const find = (name: string) => {
    const found = objects[name]
    if (found === undefined) throw new PluginError('STORAGE_NOT_FOUND', `${name} is not there`)
    return found
  }
  return {
    read: async (name: string) =>
      (async function* () {
        yield find(name)
      })(),
    stat: async (name: string) => ({ name, size: find(name).length }),
  } as unknown as ObjectStore
}

async function verify(
  objects: Stored,
  pieces: readonly OplogPiece[],
  range: Omit<OplogVerification, 'exactEnds'> = { start: at(1), end: at(9) },
) {
  const store = storeOf(objects)
  await checkPieces(store, pieces, range)
  await verifyPieces(store, pieces, { routing: true, ...range, exactEnds: true })
}

describe('The pieces of oplog before a restore', () => {
  const [a, b] = [piece('a', 1, 5), piece('b', 5, 9)]
  const good = {
    a: chunk(change(1), change(3), change(5)),
    b: chunk(change(5), change(7), change(9)),
  }

  it('may share the entry at their border, or leave it out', async () => {
    await verify(good, [a, b])
    await verify({ ...good, b: chunk(change(7), change(9)) }, [a, b])
  })

  it('must have their checksum, where it is known', async () => {
    const crc = createCrc64()
    crc.update(good.a)
    const known = { ...a, crc: crcText(crc) }
    await verify(good, [known, b])
    const altered = Buffer.from(good.a)
    // The _id in the middle entry: as good a document as before.
    const at = altered.indexOf('_id', change(1).length) + 4
    altered.writeInt32LE(4, at)
    await verify({ ...good, a: altered }, [a, b])
    await assert.rejects(verify({ ...good, a: altered }, [known, b]), {
      code: 'BACKUP_DAMAGED',
      message: /^a was altered: its checksum is wrong/,
    })
  })

  it('must be of the times that their names say, whatever wrote the backup before them', async () => {
    const [start, end] = [new Timestamp({ t: 100, i: 3 }), new Timestamp({ t: 100, i: 6 })]
    const object = pitrChunkName('rs0', start, end, '')
    const named = piece(object, 3, 6)
    const range = { start: at(3), end: at(6), exactEnds: false }
    const verifyNamed = (...ids: number[]) =>
      verifyPieces(storeOf({ [object]: chunk(...ids.map((id) => change(id))) }), [named], range)
    await verifyNamed(3, 4, 6)
    for (const ids of [
      [2, 4, 6],
      [3, 4, 7],
    ])
      await assert.rejects(verifyNamed(...ids), { code: 'BACKUP_DAMAGED', message: /which is not what its name says/ })
  })

  it('may repeat a stretch, with or without no-ops', async () => {
    const noop = change(4, { op: 'n', ns: '' })
    const longer = piece('a', 1, 7)
    await verify({ a: chunk(change(1), noop, change(5), change(7)), b: good.b }, [longer, b])
    await verify(
      { a: chunk(change(1), change(3), change(5)), b: chunk(change(1), change(3), noop, change(5), change(9)) },
      [a, piece('b', 1, 9)],
    )
    // The second one lies wholly within the first, which also begins later than a third one.
    const whole = chunk(change(2), change(5), change(9))
    await verify({ a: whole, b: chunk(change(5)), c: whole }, [piece('a', 2, 9), piece('b', 3, 5), piece('c', 1, 9)], {
      start: at(2),
      end: at(9),
    })
  })

  it('may differ in what they tell of control collections', async () => {
    const of = (i: number) => change(i, { ns: 'admin.pbmConfig', o: { _id: 1, secret: 'x' } })
    const whole = { a: chunk(change(1), of(3), of(5)), b: chunk(of(5), change(7), change(9)) }
    const stored = (i: number) => withoutControlEntries(of(i))
    const border = [piece('a', 1, 5), piece('b', 5, 9)]
    await verify({ ...whole, b: chunk(stored(5), change(7), change(9)) }, border)
    await verify({ ...whole, a: chunk(change(1), stored(3), stored(5)) }, border)
    const overlap = [piece('a', 1, 5), piece('b', 1, 9)]
    await verify({ ...whole, b: chunk(change(1), stored(3), stored(5), change(9)) }, overlap)
    await verify({ ...whole, b: chunk(change(1), change(9)) }, overlap)
  })

  it('are refused where they contradict each other, with both names', async () => {
    const both = { message: /^a and b overlap and differ at 100\.\d$/ }
    const other = change(5, { o: { _id: 'other' } })
    await assert.rejects(verify({ ...good, b: chunk(other, change(9)) }, [a, b]), both)
    const longer = piece('a', 1, 7)
    await assert.rejects(verify({ a: chunk(change(1), other, change(7)), b: good.b }, [longer, b]), both)
    await assert.rejects(verify({ a: chunk(change(1), change(7)), b: good.b }, [longer, b]), both)
    await assert.rejects(verify({ a: chunk(change(1), change(5), change(6), change(7)), b: good.b }, [longer, b]), both)
  })

  it('are refused where one is missing, empty, cut off, out of order or of another time', async () => {
    await assert.rejects(verify({ a: good.a }, [a, b]), { code: 'BACKUP_OBJECT_MISSING', message: /^b is missing/ })
    await assert.rejects(verify({ ...good, b: Buffer.alloc(0) }, [a, b]), { message: /^b is empty/ })
    await assert.rejects(verify({ ...good, a: chunk(change(1), change(3)) }, [a, b]), { message: /^a ends at 100\.3/ })
    await assert.rejects(verify({ ...good, a: good.a.subarray(0, -1) }, [a, b]), { message: /^a is damaged/ })
    await assert.rejects(verify({ ...good, a: chunk(change(3), change(1), change(5)) }, [a, b]), {
      message: /^a is not in order/,
    })
    await assert.rejects(verify({ ...good, a: good.b }, [a, b]), { message: /^a has an entry of 100\.7/ })
  })

  it('are refused where they begin more transactions than there is room for', async () => {
    const begun = (i: number) =>
      change(i, {
        op: 'c',
        ns: 'admin.$cmd',
        o: { applyOps: [], partialTxn: true },
        ...session(),
        txnNumber: Long.fromNumber(i),
      })
    const all = { a: chunk(...[1, 2, 3, 4, 5].map(begun)) }
    const range = { start: at(1), end: at(5), openTransactionBytes: 100 }
    const code = 'OPLOG_TRANSACTIONS'
    await assert.rejects(verifyPieces(storeOf(all), [a], { ...range, exactEnds: true }), { code })
    await verifyPieces(storeOf(all), [a], { ...range, openTransactionBytes: undefined, exactEnds: true })
  })

  it('are refused where they leave a gap', async () => {
    const message = /gap from 100\.5 to 100\.6: a piece of it is missing beside a and b/
    await assert.rejects(verify(good, [a, piece('b', 6, 9)]), { code: 'BACKUP_DAMAGED', message })
    await assert.rejects(verify(good, [a]), { message: /gap from 100\.5 to 100\.9.*beside a/ })
    await assert.rejects(verify(good, []), { message: /gap from 100\.1/ })
  })

  it('are refused where a transaction of the range began before them', async () => {
    const last = (previous: number, txnNumber = session().txnNumber) =>
      change(7, {
        op: 'c',
        ns: 'admin.$cmd',
        o: { applyOps: [], count: 2 },
        prevOpTime: { ts: new Timestamp({ t: 100, i: previous }), t: 1 },
        ...session(),
        txnNumber,
      })
    const first = change(3, {
      op: 'c',
      ns: 'admin.$cmd',
      o: { applyOps: [], partialTxn: true },
      prevOpTime: { ts: new Timestamp({ t: 0, i: 0 }), t: -1 },
      ...session(),
    })
    const cut = { a: good.a, b: chunk(change(5), last(3), change(9)) }
    await assert.rejects(verify(cut, [a, b]), { code: 'OPLOG_TRANSACTION_CUT', message: /100\.7.*100\.3/ })
    await verify({ ...cut, a: chunk(change(1), first, change(5)) }, [a, b])
    // PBM began with a transaction that was open: the other one had ended.
    const open = { ...cut, a: chunk(first, change(5)), b: chunk(change(5), last(2, Long.fromNumber(9)), change(9)) }
    const range = { start: at(3), end: at(9) }
    const later = [piece('a', 3, 5), b]
    await assert.rejects(verify(open, later, range), { code: 'OPLOG_TRANSACTION_CUT' })
    await verify(open, later, { ...range, mayBeCut: true })
    await assert.rejects(verify(cut, [a, b], { start: at(1), end: at(9), mayBeCut: true }), {
      code: 'OPLOG_TRANSACTION_CUT',
    })
    // It commits after the end.
    await verify(cut, [a, b], { start: at(1), end: at(6) })
  })

  describe('where a replay does not lead to the end', () => {
    const uuid = new UUID('11111111-1111-4111-8111-111111111111')
    const added = { op: 'i', ns: 'config.shards', o: { _id: 's3', host: 's3/h:1' } }
    const resharded = {
      op: 'u',
      ns: 'config.collections',
      o: { $v: 2, diff: { u: { uuid } } },
      o2: { _id: 'shop.orders' },
    }
    const nested = { op: 'c', ns: 'admin.$cmd', o: { applyOps: [resharded] } }
    const withEntry = (fields: Document) => ({ ...good, a: chunk(change(1), change(3, fields), change(5)) })

    it('are refused with what changed the cluster, when that was, and the last time before it', async () => {
      for (const [fields, what] of [
        [added, /shard s3 was added at 1970-01-01T00:01:40 \(100\.3\)/],
        [{ ...added, op: 'd' }, /shard s3 was removed/],
        [nested, /collection shop\.orders was resharded/],
      ] as const) {
        await assert.rejects(verify(withEntry(fields), [a, b]), {
          code: 'OPLOG_BARRIER',
          message: what,
          hint: /^The nearest time that can be restored to: 1970-01-01T00:01:40\. To a later one leads only a backup/,
        })
      }
    })

    it('are refused by a part only where that has what was resharded, and is half done', async () => {
      const seen: string[] = []
      const part = { concerns: () => false, onResharded: (id: string) => void seen.push(id) }
      await verify(withEntry(nested), [a, b], { start: at(1), end: at(9), part })
      assert.deepEqual(seen, [uuid.toHexString(false)])
      await assert.rejects(verify(withEntry(added), [a, b], { start: at(1), end: at(9), part }), {
        code: 'OPLOG_BARRIER',
      })
      const rename = { renameCollection: 'shop.system.resharding.x', to: 'shop.orders', dropTarget: uuid }
      const taken = withEntry({ op: 'c', ns: 'shop.$cmd', o: rename })
      const renames: string[] = []
      const onCommand = ({ o }: Operation) => void renames.push(String(BSON.deserialize(o).to))
      await verify(taken, [a, b], { start: at(1), end: at(9), part, onCommand })
      assert.deepEqual(renames, ['shop.orders'])
      const ns = 'config.system.sharding_ddl_coordinators'
      const _id = { namespace: 'shop.orders', operationType: 'dropCollection' }
      const half = { a: chunk(change(1), change(3, { ns, o: { _id } }), change(5)), b: good.b }
      const judged: string[] = []
      const judge = (concerns: boolean) => ({
        ...part,
        concerns: (one: { operation: string; ns: string }) => {
          judged.push(`${one.operation} ${one.ns}`)
          return concerns
        },
      })
      const range = { start: at(1), end: at(6), asked: true }
      await verify(half, [a, b], { ...range, part: judge(false) })
      await assert.rejects(verify(half, [a, b], { ...range, part: judge(true) }), { code: 'OPLOG_BARRIER' })
      assert.deepEqual(judged, ['dropCollection shop.orders', 'dropCollection shop.orders'])
    })

    it('are good where that lies outside of the range, or is no such change', async () => {
      await verify(withEntry(added), [a, b], { start: at(1), end: at(2) })
      await verify(withEntry(added), [a, b], { start: at(3), end: at(9) })
      await verify(withEntry(added), [a, b], { start: at(1), end: at(9), routing: false })
      await verify(withEntry({ ...added, op: 'u', o2: added.o, o: { $v: 2, diff: { i: { draining: true } } } }), [a, b])
      const split = { ...resharded, o: { $v: 2, diff: { u: { lastmod: new Date(0) } } } }
      await verify(withEntry(split), [a, b])
    })

    it('are refused where a shard takes over what a resharding made, unless it did so before', async () => {
      const rename = { renameCollection: 'shop.system.resharding.x', to: 'shop.orders', dropTarget: uuid }
      const taken = withEntry({ op: 'c', ns: 'shop.$cmd', o: rename })
      await assert.rejects(verify(taken, [a, b]), {
        code: 'OPLOG_UNSUPPORTED',
        message: /to shop\.orders on shop\.system\.resh/,
      })
      await verify(taken, [a, b], { start: at(4), end: at(9) })
    })

    it('are refused at a time when shards were at different steps of an operation, if it was asked for', async () => {
      const _id = { namespace: 'shop.orders', operationType: 'renameCollection' }
      const ns = 'config.system.sharding_ddl_coordinators'
      const [begun, ended] = [change(3, { ns, o: { _id } }), change(7, { op: 'd', ns, o: { _id } })]
      const objects = { a: chunk(change(1), begun, change(5)), b: chunk(change(5), ended, change(9)) }
      const asked = (end: number, stored: Stored = objects) =>
        verify(stored, [a, b], { start: at(1), end: at(end), asked: true })
      await assert.rejects(asked(6), {
        code: 'OPLOG_BARRIER',
        message: /renameCollection of shop\.orders was under way from 1970-01-01T00:01:40 \(100\.3\) to 1970/,
        hint: /00:01:40 or 1970-01-01T00:01:41\.$/,
      })
      await asked(2)
      await asked(7)
      await assert.rejects(asked(6, { ...objects, a: good.a }), { message: /from \? to 1970/ })
      await verify(objects, [a, b], { start: at(1), end: at(6) })
      const harmless = { _id: { ..._id, operationType: 'refineCollectionShardKey' } }
      await asked(6, { a: chunk(change(1), change(3, { ns, o: harmless }), change(5)), b: good.b })
    })
  })
})
