import assert from 'node:assert/strict'
import { BSON, type Document, Timestamp } from 'bson'
import fc from 'fast-check'
import { type OplogEntry, optime, readEntries } from '../entry.js'
import { IndexCatalog } from './index-catalog.js'
import { bytes, COLLECTION, each, entry, OTHER, RecordingSink, raw, session } from './oplog-entries.support.js'
import type { ReplayOptions } from './options.js'
import { Replay } from './replay.js'

const END = optime({ t: 200, i: 0 })

function bench(options: Partial<ReplayOptions> = {}) {
  const sink = new RecordingSink()
  const catalog = new IndexCatalog()
  catalog.create('shop.a', bytes(COLLECTION), undefined)
  const replay = new Replay({ sink, catalog, end: END, listNames: async () => new Map(), ...options })
  return { sink, catalog, replay }
}

async function replayed(entries: readonly OplogEntry[], options: Partial<ReplayOptions> = {}) {
  const { sink, catalog, replay } = bench(options)
  await replay.run(each(entries))
  await replay.finish()
  const indexes = catalog.wanted().map(({ ns, specs }) => [ns, specs.map((spec) => BSON.deserialize(spec).name)])
  return { done: sink.done, operations: sink.operations, indexes: Object.fromEntries(indexes) }
}

const insert = (increment: number, _id: number, fields: Document = {}) =>
  entry(increment, { op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id }, ...fields })
const command = (increment: number, o: Document, fields: Document = {}) =>
  entry(increment, { op: 'c', ns: 'shop.$cmd', ui: COLLECTION, o, ...fields })

describe('Replay of an oplog', () => {
  it('takes start and end inclusive and passes over what was replayed already', async () => {
    const { sink, replay } = bench({ start: optime({ t: 100, i: 2 }), end: optime({ t: 100, i: 5 }) })
    await replay.run(each([insert(1, 1), insert(2, 2), insert(3, 3)]))
    await replay.run(each([insert(3, 3), insert(4, 4), insert(5, 5), insert(6, 6)]))
    await replay.finish()
    assert.deepEqual(sink.done, ['i shop.a 2', 'i shop.a 3', 'i shop.a 4', 'i shop.a 5'])
    assert.equal(replay.ended, true)
  })

  it('gives the same whatever the pieces and the chunks of bytes', async () => {
    const all = Array.from({ length: 40 }, (_, index) => ({
      ts: new Timestamp({ t: 100, i: index + 1 }),
      op: 'i',
      ns: 'shop.a',
      ui: COLLECTION,
      o: { _id: index },
    }))
    const expected = all.map((_, index) => `i shop.a ${index}`)
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(39)), fc.integer({ min: 1, max: 300 }), async (cuts, size) => {
        const { sink, replay } = bench()
        const borders = [0, ...cuts.sort((a, b) => a - b), 39]
        for (const [index, border] of borders.slice(1).entries()) {
          // Each piece begins with the last entry of the one before.
          const piece = Buffer.concat(all.slice(borders[index], border + 1).map(raw))
          const chunks = Array.from({ length: Math.ceil(piece.length / size) }, (_, at) =>
            piece.subarray(at * size, (at + 1) * size),
          )
          await replay.run(readEntries(each(chunks)))
        }
        await replay.finish()
        assert.deepEqual(sink.done, expected)
      }),
      { numRuns: 50 },
    )
  })

  it('leaves alone control collections, identity, sessions and no-ops, inside transactions too', async () => {
    const others = ['admin.pbmBackups', 'admin.system.version', 'config.transactions', 'local.x', 'admin.pbmRUsers']
    const inner = others.map((ns) => ({ op: 'i', ns, ui: OTHER, o: { _id: 1 } }))
    const { done } = await replayed([
      ...others.map((ns, index) => entry(index + 1, { op: 'i', ns, ui: OTHER, o: { _id: 1 } })),
      entry(20, { op: 'n', ns: '', o: { msg: 'periodic noop' } }),
      entry(21, {
        ...session(),
        op: 'c',
        ns: 'admin.$cmd',
        o: { applyOps: [...inner, { op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: 9 } }] },
      }),
      entry(22, { op: 'c', ns: 'admin.$cmd', ui: OTHER, o: { drop: 'pbmRUsers' } }),
    ])
    assert.deepEqual(done, ['i shop.a 9'])
  })

  it('sends changes to the name the collection has now, with the indexes following', async () => {
    const { done, indexes } = await replayed([
      command(1, { createIndexes: 'a', v: 2, key: { x: 1 }, name: 'x' }),
      command(2, { renameCollection: 'shop.a', to: 'shop.b' }),
      insert(3, 1),
      command(4, { commitIndexBuild: 'b', indexes: [{ v: 2, key: { y: 1 }, name: 'y' }] }),
    ])
    assert.deepEqual(done, ['renameCollection shop.$cmd', 'i shop.b 1'])
    assert.deepEqual(indexes, { 'shop.b': ['x', 'y'] })
  })

  it('builds no index of a collection that convertToCapped replaced', async () => {
    const { done, indexes } = await replayed([
      command(1, { createIndexes: 'a', v: 2, key: { x: 1 }, name: 'x' }),
      command(2, { create: 'tmp.convertToCapped.a', capped: true, size: 4096 }, { ui: OTHER }),
      insert(3, 1, { ns: 'shop.tmp.convertToCapped.a', ui: OTHER }),
      command(
        4,
        { renameCollection: 'shop.tmp.convertToCapped.a', to: 'shop.a', dropTarget: COLLECTION },
        { ui: OTHER },
      ),
    ])
    assert.deepEqual(done, ['create shop.$cmd', 'i shop.tmp.convertToCapped.a 1', 'renameCollection shop.$cmd'])
    assert.deepEqual(indexes, {})
  })

  it('applies of collMod only what is not about an index', async () => {
    const { operations } = await replayed([
      command(1, { collMod: 'a', index: { name: 'x', hidden: true } }),
      command(2, { collMod: 'a', validationAction: 'warn', index: { name: 'x', hidden: true } }),
    ])
    assert.deepEqual(
      operations.map(({ o }) => BSON.deserialize(o)),
      [{ collMod: 'a', validationAction: 'warn' }],
    )
  })

  it('does not make again what is there, nor drop what is not', async () => {
    const { done } = await replayed([
      command(1, { create: 'a', idIndex: { v: 2, key: { _id: 1 }, name: '_id_' } }),
      command(2, { drop: 'b' }, { ui: OTHER }),
      insert(3, 1),
    ])
    assert.deepEqual(done, ['i shop.a 1'])
  })

  it('passes over changes of a collection dropped before the dump saw it', async () => {
    const { done } = await replayed([
      insert(1, 1, { ns: 'shop.gone', ui: OTHER }),
      command(2, { drop: 'gone' }, { ui: OTHER, o2: { numRecords: 1 } }),
      insert(3, 3),
    ])
    assert.deepEqual(done, ['i shop.a 3'])
  })

  it('fails when changes of an unknown collection are not followed by its drop', async () => {
    await assert.rejects(replayed([insert(1, 1, { ns: 'shop.lost', ui: OTHER })]), {
      code: 'REPLAY_INCOMPLETE',
      message: /shop\.lost/,
    })
  })

  it('drops transactions that have not committed by the end', async () => {
    const { sink, replay } = bench()
    const o = { applyOps: [{ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: 1 } }], prepare: true }
    await replay.run(each([entry(1, { ...session(), op: 'c', ns: 'admin.$cmd', o })]))
    assert.deepEqual(await replay.finish(), { openTransactions: 1 })
    assert.deepEqual(sink.done, [])
  })

  it('makes system.views before the first view, once, and writes views by name', async () => {
    const view = (increment: number, _id: string) =>
      entry(increment, { op: 'i', ns: 'shop.system.views', ui: OTHER, o: { _id, viewOn: 'a', pipeline: [] } })
    const { done, operations } = await replayed([view(1, 'shop.v'), view(2, 'shop.w')])
    assert.deepEqual(done, ['create shop.$cmd', 'i shop.system.views shop.v', 'i shop.system.views shop.w'])
    assert.ok(operations.every(({ ui }) => ui === undefined))
  })

  it('leaves the users it is told to keep', async () => {
    const user = (increment: number, _id: string) =>
      entry(increment, { op: 'i', ns: 'admin.system.users', ui: OTHER, o: { _id } })
    const { done } = await replayed([user(1, 'admin.me'), user(2, 'shop.ann')], {
      isKept: (ns, id) => ns === 'admin.system.users' && id === 'admin.me',
    })
    assert.deepEqual(done, ['i admin.system.users shop.ann'])
  })

  it('refuses commands it does not know rather than leave them out', async () => {
    await assert.rejects(replayed([command(1, { importCollection: 'a' })]), {
      code: 'OPLOG_UNSUPPORTED',
      message: /importCollection/,
    })
    await assert.rejects(replayed([entry(1, { op: 'zz', ns: 'shop.a', o: { _id: 1 } })]), { code: 'OPLOG_UNSUPPORTED' })
  })

  it('keeps documents byte for byte', async () => {
    const document = Buffer.from(
      BSON.serialize({
        _id: 1,
        inner: new Map([
          ['10', 1],
          ['2', 2],
          ['x', 3],
        ]),
      }),
    )
    const { operations } = await replayed([
      insert(1, 1, {
        o: new Map(
          Object.entries({
            _id: 1,
            inner: new Map([
              ['10', 1],
              ['2', 2],
              ['x', 3],
            ]),
          }),
        ),
      }),
    ])
    assert.ok(operations[0]?.o.equals(document))
  })

  it('lets what the target had before make way for what the oplog creates or renames to', async () => {
    const { sink, catalog, replay } = bench()
    for (const [ns, uuid] of [
      ['shop.new', COLLECTION],
      ['shop.c', OTHER],
    ] as const)
      catalog.create(ns, bytes(uuid), undefined).foreign = true
    catalog.create('shop.a', undefined, undefined)
    catalog.foreignViews.add('shop.v')
    await replay.run(
      each([
        // The same UUID: the target is the cluster of the backup, later.
        command(1, { create: 'new' }),
        command(2, { renameCollection: 'shop.new', to: 'shop.c' }),
        command(3, { create: 'v' }, { ui: undefined }),
      ]),
    )
    await replay.finish()
    assert.deepEqual(sink.done, [
      ...['drop shop.$cmd', 'create shop.$cmd'],
      ...['drop shop.$cmd', 'renameCollection shop.$cmd'],
      ...['_id shop.system.views', 'create shop.$cmd'],
    ])
  })

  it('keeps the views that only the target has where the oplog drops all of a database', async () => {
    for (const [drops, rest] of [
      [command(2, { drop: 'system.views' }, { ui: OTHER }), []],
      [command(2, { dropDatabase: 1 }), ['drop shop.$cmd']],
    ] as const) {
      const { sink, catalog, replay } = bench()
      catalog.create('shop.system.views', undefined, undefined)
      catalog.foreignViews.add('shop.theirs')
      catalog.ownViews.add('shop.v').add('other.v')
      const w = { _id: 'shop.w', viewOn: 'a', pipeline: [] }
      await replay.run(each([entry(1, { op: 'i', ns: 'shop.system.views', ui: OTHER, o: w }), drops]))
      await replay.finish()
      const inserted = 'i shop.system.views shop.w'
      assert.deepEqual(sink.done.slice(0, 3), [inserted, '_id shop.system.views', '_id shop.system.views'])
      assert.ok(catalog.findByName('shop.system.views') !== undefined)
      assert.deepEqual(sink.done.slice(3), rest)
      assert.deepEqual([...catalog.ownViews], ['other.v'])
    }
  })

  it('touches nothing that the target had before because of its UUID alone', async () => {
    const aside = () => {
      const { sink, catalog, replay } = bench()
      catalog.create('shop.b', bytes(OTHER), undefined).foreign = true
      return { sink, replay, catalog }
    }
    const refused = { code: 'UUID_TAKEN', message: /shop\.b has the UUID of shop\.(new|c)/ }
    for (const taking of [
      command(1, { create: 'new' }, { ui: OTHER }),
      command(1, { renameCollection: 'shop.a', to: 'shop.c', dropTarget: OTHER }),
    ]) {
      const { sink, replay } = aside()
      await assert.rejects(replay.run(each([taking])), refused)
      assert.deepEqual(sink.done, [])
    }
    // The collection that these were about was dropped before the dump saw it.
    const { sink, replay, catalog } = aside()
    const ofOther = { op: 'i', ns: 'shop.new', ui: OTHER, o: { _id: 1 } }
    await replay.run(each([entry(1, ofOther), command(2, { drop: 'new' }, { ui: OTHER })]))
    await replay.run(each([command(3, { dropDatabase: 1 }, { ui: undefined })]))
    await replay.finish()
    assert.deepEqual(sink.done, ['drop shop.$cmd'])
    assert.deepEqual(
      [...catalog.collections()].map(({ ns }) => ns),
      ['shop.b'],
    )
  })

  it('takes of what lies before the start only transactions that commit after it', async () => {
    const { sink, replay } = bench({ start: optime({ t: 100, i: 3 }) })
    const part = { op: 'c', ns: 'admin.$cmd', ...session() }
    const inner = (_id: number) => ({ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id } })
    const previous = (i: number) => ({ prevOpTime: { ts: new Timestamp({ t: 100, i }), t: 1 } })
    await replay.run(
      each([
        entry(1, { ...part, o: { applyOps: [inner(1)], partialTxn: true } }),
        insert(2, 2),
        insert(3, 3),
        entry(4, { ...part, ...previous(1), o: { applyOps: [inner(4)], count: 2 } }),
      ]),
    )
    await replay.finish()
    assert.deepEqual(sink.done, ['i shop.a 3', 'i shop.a 1', 'i shop.a 4'])
  })

  it('drops indexes at once where the target has them', async () => {
    const dropped: string[] = []
    const { catalog, replay } = bench({ dropIndexes: async (ns, names) => void dropped.push(`${ns} ${names.join()}`) })
    const target = catalog.findByName('shop.a')
    if (target !== undefined) catalog.addIndex(target, raw({ v: 2, key: { x: 1 }, name: 'x_1', unique: true }))
    await replay.run(
      each([command(1, { dropIndexes: 'a', index: 'x_1' }), command(2, { dropIndexes: 'a', index: 'y' })]),
    )
    await replay.finish()
    assert.deepEqual(dropped, ['shop.a x_1'])
  })
})
