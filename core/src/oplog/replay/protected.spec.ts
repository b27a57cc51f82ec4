import assert from 'node:assert/strict'
import { type Document, UUID } from 'bson'
import { optime } from '../entry.js'
import { classify } from './classify.js'
import { IndexCatalog } from './index-catalog.js'
import { isExcluded, isUsersOrRoles } from './namespaces.js'
import { bytes, COLLECTION, each, entry, OTHER, RecordingSink, session } from './oplog-entries.support.js'
import { Replay } from './replay.js'

const RESERVED = new UUID('33333333-3333-4333-8333-333333333333')
const EVIL = new UUID('44444444-4444-4444-8444-444444444444')

const command = (o: Document, fields: Document = {}) => ({ op: 'c', ns: 'admin.$cmd', ui: EVIL, o, ...fields })
const change = (op: string, ns: string, fields: Document = {}) => ({ op, ns, ui: EVIL, o: { _id: 'x' }, ...fields })
const inApplyOps = (...inner: Document[]) => command({ applyOps: inner }, { ui: undefined })

/** As a restore begins: `shop.a`, `admin.evil`, and the users, whose UUID and the configuration's are reserved. */
async function replayed(...operations: Document[]): Promise<string[]> {
  const sink = new RecordingSink()
  const catalog = new IndexCatalog()
  catalog.create('shop.a', bytes(COLLECTION), undefined)
  catalog.create('admin.evil', bytes(EVIL), undefined)
  catalog.create('admin.system.users', undefined, undefined)
  catalog.reserved.add(bytes(RESERVED).toString('hex'))
  const isKept = (_ns: string, id: string) => id === 'admin.pbm'
  const replay = new Replay({ sink, catalog, end: optime({ t: 200, i: 0 }), listNames: async () => new Map(), isKept })
  await replay.run(each(operations.map((operation, index) => entry(index + 1, operation))))
  await replay.finish()
  // All that reaches the server.
  for (const { ns, ui, o } of sink.operations) {
    assert.ok(!isExcluded(ns), ns)
    assert.ok(ui?.equals(bytes(RESERVED)) !== true)
    assert.ok(!o.includes(Buffer.from(RESERVED.buffer)))
  }
  return sink.done
}

describe('What a replay does not touch', () => {
  for (const ns of [
    ...['admin.pbmConfig', 'admin.pbmRUsers', 'admin.pbmkitRestore.chunks', 'admin.system.buckets.pbmConfig'],
    ...['admin.system.version', 'admin.system.keys', 'admin.system.new_users', 'admin.system.buckets.system.users'],
    ...['config.settings', 'config.system.sessions', 'local.oplog.rs', '__mdb_internal_x.y', 'shop.system.profile'],
  ]) {
    it(`${ns}, by changes, commands and renames, however they are wrapped`, async () => {
      assert.equal(isExcluded(ns), true)
      const [db, ...rest] = ns.split('.')
      const collection = rest.join('.')
      const operations = [
        ...['i', 'u', 'd'].map((op) => change(op, ns)),
        ...['create', 'drop', 'collMod', 'emptycapped', 'createIndexes'].map((verb) =>
          command({ [verb]: collection }, { ns: `${db}.$cmd` }),
        ),
        command({ renameCollection: ns, to: 'admin.pbmBackups', dropTarget: RESERVED }, { ns: `${db}.$cmd` }),
      ]
      assert.deepEqual(await replayed(...operations, inApplyOps(...operations)), [])
      assert.deepEqual(await replayed({ ...inApplyOps(...operations), ...session() }), [])
    })
  }

  for (const ns of ['shop.items', 'admin.mine', 'admin.system.users', 'admin.system.js', 'shop.pbmConfig']) {
    it(`is not ${ns}`, () => assert.equal(isExcluded(ns), false))
  }

  it('is what a rename would replace: the source is gone, and nothing else', async () => {
    for (const to of ['admin.pbmConfig', 'admin.system.version', 'admin.system.buckets.pbmConfig', 'config.settings']) {
      for (const dropTarget of [undefined, true, RESERVED, COLLECTION]) {
        const rename = command({ renameCollection: 'admin.evil', to, ...(dropTarget && { dropTarget }) })
        assert.deepEqual(await replayed(rename), ['drop admin.$cmd'])
        assert.deepEqual(await replayed(inApplyOps(rename)), ['drop admin.$cmd'])
      }
    }
  })

  it('leaves a control collection that was made anew under a UUID the target has for it', async () => {
    const made = { ui: RESERVED }
    const done = await replayed(
      command({ create: 'tmp1.convertToCapped.pbmLog', capped: true, size: 4096 }, made),
      change('i', 'admin.tmp1.convertToCapped.pbmLog', made),
      command({ renameCollection: 'admin.tmp1.convertToCapped.pbmLog', to: 'admin.pbmLog', dropTarget: OTHER }, made),
    )
    assert.deepEqual(done, [])
  })

  it('does not drop by a UUID that it does not know', async () => {
    const rename = command({ renameCollection: 'shop.a', to: 'shop.b', dropTarget: RESERVED }, { ui: COLLECTION })
    assert.deepEqual(await replayed({ ...rename, ns: 'shop.$cmd' }), ['renameCollection shop.$cmd'])
  })

  for (const [what, operation] of [
    ['an insert', change('i', 'shop.items', { ui: RESERVED })],
    ['an update', change('u', 'shop.items', { ui: RESERVED, o2: { _id: 1 } })],
    ['a delete', change('d', 'shop.items', { ui: RESERVED })],
    ['a create', command({ create: 'items' }, { ns: 'shop.$cmd', ui: RESERVED })],
    ['a create in applyOps', inApplyOps(command({ create: 'items' }, { ns: 'shop.$cmd', ui: RESERVED }))],
  ] as const) {
    it(`fails for ${what} by the UUID of what is not touched`, async () => {
      await assert.rejects(replayed(operation), { code: 'REPLAY_INCOMPLETE', message: /shop\.items/ })
    })
  }
})

describe('Users and roles in a replay', () => {
  const refused: [string, Document][] = [
    ['a rename onto the users', command({ renameCollection: 'admin.evil', to: 'admin.system.users' })],
    ['a rename of the roles', command({ renameCollection: 'admin.system.roles', to: 'admin.evil' })],
    ['a rename of a control collection', command({ renameCollection: 'admin.pbmConfig', to: 'shop.a' })],
    ['a rename onto views', command({ renameCollection: 'admin.evil', to: 'admin.system.views' })],
    ['a drop of the users', command({ drop: 'system.users' })],
    ['a drop of admin', command({ dropDatabase: 1 })],
    ['a drop of admin under another name', command({ dropDatabase: 'x' })],
    ['an update of any user', change('u', 'admin.system.users', { o: { $set: { a: 1 } }, o2: { _id: { $gte: '' } } })],
    ['a delete of any user', change('d', 'admin.system.users', { o: { _id: { $gte: '' } } })],
    ['a delete of any view', change('d', 'admin.system.views', { o: { _id: { $gte: '' } } })],
  ]
  for (const [what, operation] of refused) {
    it(`refuses ${what}, before a restore too`, async () => {
      const found = entry(1, operation)
      assert.throws(() => classify(found, found.ts), { code: 'OPLOG_UNSUPPORTED' })
      await assert.rejects(replayed(operation), { code: 'OPLOG_UNSUPPORTED' })
      await assert.rejects(replayed(inApplyOps(operation)), { code: 'OPLOG_UNSUPPORTED' })
      await assert.rejects(replayed({ ...inApplyOps(operation), ...session() }), { code: 'OPLOG_UNSUPPORTED' })
    })
  }

  it('refuses applyOps nested without end', async () => {
    let nested: Document = change('i', 'shop.a')
    for (let depth = 0; depth < 50; depth++) nested = inApplyOps(nested)
    await assert.rejects(replayed(nested), { code: 'OPLOG_UNSUPPORTED', message: /nested/ })
  })

  it('knows them by name whatever the UUID, and keeps those of the connection', async () => {
    const done = await replayed(
      change('i', 'admin.system.users', { o: { _id: 'admin.pbm' } }),
      change('u', 'admin.system.users', { o: { $set: { a: 1 } }, o2: { _id: 'admin.pbm' } }),
      change('i', 'admin.system.users', { ui: COLLECTION, o: { _id: 'shop.ann' } }),
      command({ collMod: 'system.users' }),
      command({ dropIndexes: 'system.users', index: '*' }),
    )
    assert.deepEqual(done, ['i admin.system.users shop.ann'])
    assert.ok(isUsersOrRoles('admin.system.users'))
  })

  it('are no views, nor are control collections', async () => {
    const view = (_id: string) => change('i', 'admin.system.views', { o: { _id, viewOn: 'evil', pipeline: [] } })
    assert.deepEqual(await replayed(view('admin.pbmConfig'), view('admin.system.users'), view('admin.v')), [
      'create admin.$cmd',
      'i admin.system.views admin.v',
    ])
  })
})
