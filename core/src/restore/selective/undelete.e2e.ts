import assert from 'node:assert/strict'
import { compareStates, fixturesFolder, snapshotState } from '@pbmkit/conformance/testbed'
import type { Document } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import { lockCollection } from '../../control/locks.js'
import { insertChunk } from '../../control/pitr-chunks.js'
import { listRestores } from '../../control/restores.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { repairStaging } from '../../recovery/staging.js'
import { PITR_FOLDER, parsePitrChunkName } from '../../store/layout/names.js'
import { type Bench, pitrManifest, startBench } from '../restore.support.js'

/** Can't be read any more once the documents of the backup are there. */
function lostDuringReplay(store: ObjectStore, isLoaded: () => Promise<boolean>): ObjectStore {
  const read: ObjectStore['read'] = async (name, options) => {
    if (name.includes('/oplog/') && (await isLoaded())) throw new Error('the storage is gone')
    return await store.read(name, options)
  }
  return new Proxy(store, {
    get(target, key) {
      if (key === 'read') return read
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Documents go back into what is there; PBM has no such thing. */
describe('Restore of what is missing', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  const { base, end } = pitrManifest()
  const orders = () => bench.admin.db('shop').collection<Document & { _id: number }>('orders')

  before(async () => {
    bench = await startBench('pbm-pitr')
    for await (const { name: fname, size } of bench.store.list({ prefix: `${PITR_FOLDER}/rs0/` })) {
      const chunk = parsePitrChunkName(fname)
      if (chunk === undefined) continue
      const { start: start_ts, end: end_ts } = chunk
      await insertChunk(bench.leader, { rs: 'rs0', fname, compression: 's2', start_ts, end_ts, size })
    }
    assert.equal(await bench.restore(base, { command: { withoutUsersAndRoles: true } }), 'done')
  })
  after(async () => {
    await bench?.stop()
  })

  const restore = (command: Partial<RestoreCommand>) => bench.restore(base, { command })

  async function merged() {
    const [record] = await listRestores(bench.leader)
    return record?.replsets[0]?.merged
  }

  async function assertNothingStaged(): Promise<void> {
    const { databases } = await bench.admin.db('admin').command({ listDatabases: 1, nameOnly: true })
    const left = (databases as { name: string }[]).filter(({ name }) => name.startsWith('pbmkit'))
    assert.deepEqual(left, [])
  }

  it('puts back what was deleted, at the end of the backup and at a time, and nothing else', async () => {
    for (const time of [{}, { oplogTS: end }]) {
      assert.equal(await restore({ nss: ['shop.orders'], ...time }), 'done')
      const whole = await snapshotState(bench.node)
      const { deletedCount } = await orders().deleteMany({ _id: { $mod: [3, 0] } })
      const changed = await orders().findOneAndUpdate({}, { $set: { changed: true } }, { returnDocument: 'after' })
      await orders().insertOne({ _id: -5, own: true })
      assert.equal(await restore({ nss: ['shop.orders'], keepExisting: true, ...time }), 'done')
      const all = await orders().countDocuments()
      assert.deepEqual(await merged(), [
        { ns: 'shop.orders', inserted: deletedCount, existing: all - 1 - deletedCount, conflicts: 0, left_out: [] },
      ])
      assert.deepEqual(await orders().findOne({ _id: changed?._id ?? 0 }), changed)
      await orders().deleteMany({ _id: { $in: [-5, changed?._id ?? 0] } })
      assert.equal(await restore({ nss: ['shop.orders'], keepExisting: true, ...time }), 'done')
      assert.deepEqual(compareStates(whole, await snapshotState(bench.node)), [])
    }
    await assertNothingStaged()
  })

  it('brings back what was dropped, with its indexes, beside what is there', async () => {
    assert.equal(await restore({ nss: ['shop.*'] }), 'done')
    const whole = await snapshotState(bench.node)
    const shop = bench.admin.db('shop')
    for (const name of ['strict', 'recent', 'weather']) await shop.collection(name).drop()
    await shop.collection<{ _id: number }>('orders').deleteOne({})
    const nss = ['shop.orders', 'shop.strict', 'shop.recent', 'shop.weather', 'shop.clustered']
    assert.equal(await restore({ nss, keepExisting: true }), 'done')
    const found = compareStates(whole, await snapshotState(bench.node))
    assert.deepEqual(
      found.filter((difference) => !/: uuid |buckets\.weather: uuid/.test(difference)),
      [],
    )
    await assert.rejects(restore({ nss: ['shop.weather'], keepExisting: true }), {
      code: 'RESTORE_UNSUPPORTED',
      message: /shop\.weather can't be restored into what is there: it is a timeseries/,
    })
    await assert.rejects(restore({ nss: ['shop.capped'], keepExisting: true }), { message: /it is capped/ })
  })

  it('gives what a restore that failed had made its indexes when it is repeated, and keeps what came since', async () => {
    assert.equal(await restore({ nss: ['shop.*'] }), 'done')
    const whole = await snapshotState(bench.node)
    await orders().drop()
    const command = { nss: ['shop.orders'], keepExisting: true }
    const isMade = async () => (await orders().estimatedDocumentCount()) > 0
    const failing = lostDuringReplay(bench.store, isMade)
    await assert.rejects(
      bench.restore(base, { command, withStore: (_signal, work) => work(failing) }),
      /the storage is gone/,
    )
    assert.ok(await isMade())
    await orders().insertOne({ _id: -7 })
    assert.equal(await restore(command), 'done')
    await orders().deleteOne({ _id: -7 })
    const found = compareStates(whole, await snapshotState(bench.node))
    assert.deepEqual(
      found.filter((difference) => !/: uuid /.test(difference)),
      [],
    )
    // From then on its indexes are the user's.
    await orders().dropIndexes()
    assert.equal(await restore(command), 'done')
    assert.deepEqual(
      (await orders().indexes()).map(({ name }) => name),
      ['_id_'],
    )
  })

  it('takes only documents that match, back or beside', async () => {
    assert.equal(await restore({ nss: ['shop.orders'] }), 'done')
    const before = await orders().find().toArray()
    await orders().deleteMany({})
    const query = '{"_id": {"$mod": [{"$numberInt": "7"}, {"$numberInt": "0"}]}}'
    assert.equal(await restore({ nss: ['shop.orders'], keepExisting: true, query }), 'done')
    const matching = before.filter(({ _id }) => Number(_id) % 7 === 0)
    assert.deepEqual(await orders().find().sort({ _id: 1 }).toArray(), matching)
    const [record] = await listRestores(bench.leader)
    assert.deepEqual(record?.selection, { usersAndRoles: false, keepExisting: true, query })

    const pairs = [{ from: 'shop.*', to: 'found.*' }]
    assert.equal(await restore({ pairs, query: '{"_id": {"$lt": 5}}', oplogTS: end }), 'done')
    const few = await bench.admin.db('found').collection('orders').find().toArray()
    assert.ok(few.length > 0 && few.every(({ _id }) => Number(_id) < 5))
    const indexes = await bench.admin.db('found').collection('orders').indexes()
    assert.ok(indexes.length > 1)
    assert.equal(await bench.admin.db('found').collection('weather').countDocuments(), 0)
    const series = { pairs: [{ from: 'shop.weather', to: 'found.weather2' }], query: '{"t": {"$exists": true}}' }
    assert.equal(await restore(series), 'done')
    assert.equal(await bench.admin.db('found').collection('weather2').countDocuments(), 200)
    await bench.admin.db('found').dropDatabase()
    await assertNothingStaged()
  })

  it('counts and lists documents that break a unique index, and keeps those that are there', async () => {
    assert.equal(await restore({ nss: ['shop.orders'] }), 'done')
    const [first] = await orders().find().sort({ _id: 1 }).toArray()
    assert.ok(first)
    await orders().deleteOne({ _id: first._id })
    await orders().insertOne({ ...first, _id: -1 })
    await orders().updateMany({}, [{ $set: { single: '$_id' } }])
    await orders().updateOne({ _id: -1 }, { $unset: { single: '' } })
    await orders().createIndex({ single: 1 }, { unique: true })
    // It has no such field, and so has the one that took its place.
    await assert.rejects(restore({ nss: ['shop.orders'], keepExisting: true }), {
      code: 'DOCUMENTS_LEFT_OUT',
      message: /1 of shop\.orders: _id .* \(index single_1\)/,
    })
    const [record] = await listRestores(bench.leader)
    assert.equal(record?.status, 'error')
    assert.match(record?.error ?? '', /All other documents are in place/)
    const [of] = (await merged()) ?? []
    assert.deepEqual([of?.inserted, of?.conflicts, of?.left_out.length], [0, 1, 1])
    await orders().dropIndex('single_1')
  })

  it('changes no document that is there, whatever it has', async () => {
    const all = bench.admin.db('types').collection<Document & { _id: unknown }>('all')
    await all.updateMany({}, { $set: { changed: true } })
    const before = await all.find().toArray()
    assert.equal(await restore({ nss: ['types.all'], keepExisting: true }), 'done')
    assert.deepEqual(await all.find().toArray(), before)
  })

  it('refuses a query that is none before anything is staged', async () => {
    const before = await snapshotState(bench.node)
    for (const query of ['{', '{"$nope": 1}', '{"$where": "1"}', '[]']) {
      await assert.rejects(restore({ nss: ['shop.orders'], keepExisting: true, query }), { code: 'QUERY_INVALID' })
    }
    await assert.rejects(restore({ nss: ['shop.orders'], query: '{}' }), { code: 'RESTORE_UNSUPPORTED' })
    assert.deepEqual(compareStates(before, await snapshotState(bench.node)), [])
  })

  it('leaves nothing staged, also where it was killed', async () => {
    const name = `pbmkit_staging_${'ab'.repeat(12)}`
    await bench.admin.db(name).collection<{ _id: number }>('0').insertOne({ _id: 1 })
    // A restore to a time within that one, which is at bringing it back.
    const locks = bench.leader.db('admin').collection<Document>(lockCollection('restore'))
    const { insertedId } = await locks.insertOne({ type: 'restore', replset: 'rs0', opid: 'cd'.repeat(12) })
    await repairStaging(bench)
    assert.equal(await bench.admin.db(name).collection('0').countDocuments(), 1)
    await locks.deleteOne({ _id: insertedId })
    await repairStaging(bench)
    await assertNothingStaged()
  })
})
