import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareStates, type DatabaseState, fixturesFolder, snapshotState } from '@pbmkit/conformance/testbed'
import { Timestamp } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import { insertChunk } from '../../control/pitr-chunks.js'
import { listRestores } from '../../control/restores.js'
import { PITR_FOLDER, parsePitrChunkName } from '../../store/layout/names.js'
import { type Bench, expectedState, fixtureFolder, startBench } from '../restore.support.js'

/** Not in PBM's backup, and not set by the oplog. A restored collection has a UUID of its own. */
const UNLIKE = /^shop\.orders: index hid|: uuid /

/** From a full backup of PBM, and its chunks. */
describe('Restore of chosen namespaces', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  let base = ''
  let end = ''
  const manifest = JSON.parse(readFileSync(join(fixtureFolder('pbm-pitr'), 'manifest.json'), 'utf8')) as {
    snapshots: { name: string }[]
    marks: { label: string; unix: number }[]
  }
  const timeOf = (label: string) =>
    new Timestamp({ t: manifest.marks.find((mark) => mark.label === label)?.unix ?? 0, i: 0 })

  before(async () => {
    bench = await startBench('pbm-pitr')
    base = manifest.snapshots[0]?.name ?? ''
    end = manifest.marks.at(-1)?.label ?? ''
    for await (const { name: fname, size } of bench.store.list({ prefix: `${PITR_FOLDER}/rs0/` })) {
      const chunk = parsePitrChunkName(fname)
      if (chunk === undefined) continue
      const { start: start_ts, end: end_ts } = chunk
      await insertChunk(bench.leader, { rs: 'rs0', fname, compression: 's2', start_ts, end_ts, size })
    }
    // Who makes users here is not in it.
    assert.equal(await bench.restore(base, { command: { withoutUsersAndRoles: true } }), 'done')
  })
  after(async () => {
    await bench?.stop()
  })

  async function refused(command: Partial<RestoreCommand>, expected: object): Promise<void> {
    const before = await snapshotState(bench.node)
    await assert.rejects(bench.restore(base, { command }), expected)
    assert.deepEqual(compareStates(before, await snapshotState(bench.node)), [])
  }

  const dbOf = (state: DatabaseState, db: string): DatabaseState => ({
    dbs: { [db]: state.dbs[db] ?? {} },
    users: [],
    roles: [],
  })
  const differences = async (db: string, label: string) =>
    compareStates(dbOf(await expectedState('pbm-pitr', label), db), dbOf(await snapshotState(bench.node), db)).filter(
      (difference) => !UNLIKE.test(difference),
    )

  it('gives a database at the end of the backup and at a time, and leaves the others byte for byte', async () => {
    const others = async () => {
      const { dbs } = await snapshotState(bench.node)
      return { dbs: { ...dbs, shop: {} }, users: [], roles: [] }
    }
    const before = await others()
    for (const label of ['snapshot', end]) {
      await bench.node.db('shop').dropDatabase()
      const oplogTS = label === 'snapshot' ? {} : { oplogTS: timeOf(label) }
      assert.equal(await bench.restore(base, { command: { nss: ['shop.*'], ...oplogTS } }), 'done')
      assert.deepEqual(await differences('shop', label), [])
      assert.deepEqual(compareStates(before, await others()), [])
    }
    const [record] = await listRestores(bench.leader)
    assert.deepEqual([record?.nss, record?.selection], [['shop.*'], { usersAndRoles: false }])
  })

  it('tells what it would do, and does not', async () => {
    const before = await snapshotState(bench.node)
    const whole = await bench.plan(base, { oplogTS: timeOf(end) })
    const { dbs } = await expectedState('pbm-pitr', end)
    const names = Object.entries(dbs).flatMap(([db, all]) =>
      Object.keys(all)
        .filter((name) => !name.startsWith('system.'))
        .map((name) => `${db}.${name}`),
    )
    assert.deepEqual(
      whole.namespaces.map(({ ns }) => ns),
      names.sort(),
    )
    assert.ok(whole.oplog.some(({ kind }) => kind === 'chunk'))
    const one = await bench.plan(base, { nss: ['shop.orders'] })
    const { count } = (await expectedState('pbm-pitr', 'snapshot')).dbs.shop?.orders ?? {}
    assert.deepEqual({ $numberInt: String(one.totals.restored.documents) }, count)
    assert.deepEqual(
      one.dropped.map(({ ns }) => ns),
      ['shop.orders'],
    )
    assert.deepEqual(
      one.objects.map(({ name }) => name.endsWith('shop.orders.s2')),
      [true],
    )
    assert.equal(one.usersAndRoles, 'none')
    await assert.rejects(bench.plan(base, { nss: ['shop.order'] }), { code: 'NAMESPACE_MISSING' })
    assert.deepEqual(compareStates(before, await snapshotState(bench.node)), [])
  })

  it('refuses what is nowhere, with what is there, before anything is dropped', async () => {
    await refused(
      { nss: ['shop.order', 'shop.orders'] },
      { code: 'NAMESPACE_MISSING', message: /has shop\.order; there is shop\.orders/ },
    )
    await refused({ nss: ['shopp.*'] }, { code: 'NAMESPACE_MISSING' })
    await refused({ nss: ['admin.*'] }, { code: 'NAMESPACE_INVALID' })
    await refused({ nsFrom: 'shop.orders', nsTo: 'shop.strict' }, { code: 'NAMESPACE_EXISTS' })
    const pairs = [{ from: 'shop.*', to: 'shop.*' }]
    await refused({ pairs }, { code: 'NAMESPACE_INVALID' })
    await refused({ nsFrom: 'shop.*', nsTo: 'shop.b' }, { code: 'NAMESPACE_INVALID' })
  })

  it('puts a collection beside the live one, which stays', async () => {
    const before = await snapshotState(bench.node)
    const command = { nsFrom: 'shop.orders', nsTo: 'beside.orders_then', oplogTS: timeOf(end) }
    assert.equal(await bench.restore(base, { command }), 'done')
    const { dbs } = await snapshotState(bench.node)
    const { beside, ...others } = dbs
    assert.deepEqual(compareStates(before, { ...before, dbs: others }), [])
    const expected = (await expectedState('pbm-pitr', end)).dbs.shop?.orders
    assert.deepEqual(beside?.orders_then?.sha256, expected?.sha256)
    assert.deepEqual(beside?.orders_then?.count, expected?.count)
    await bench.node.db('beside').dropDatabase()
  })

  it('puts a database beside the live one, with time series and views, at each time', async () => {
    const before = await snapshotState(bench.node)
    for (const label of ['snapshot', end]) {
      const oplogTS = label === 'snapshot' ? {} : { oplogTS: timeOf(label) }
      const command = { pairs: [{ from: 'shop.*', to: 'shop_friday.*' }], ...oplogTS }
      assert.equal(await bench.restore(base, { command }), 'done')
      const { dbs } = await snapshotState(bench.node)
      const { shop_friday, ...others } = dbs
      assert.deepEqual(compareStates(before, { ...before, dbs: others }), [])
      const { shop } = (await expectedState('pbm-pitr', label)).dbs
      const moved = { dbs: { shop: shop_friday ?? {} }, users: [], roles: [] }
      const found = compareStates({ dbs: { shop: shop ?? {} }, users: [], roles: [] }, moved)
      assert.deepEqual(
        found.filter((difference) => !UNLIKE.test(difference)),
        [],
      )
      await bench.node.db('shop_friday').dropDatabase()
    }
    const [record] = await listRestores(bench.leader)
    const pairs = [{ from: 'shop.*', to: 'shop_friday.*' }]
    assert.deepEqual([record?.nss, record?.selection], [['shop.*'], { usersAndRoles: false, pairs }])
  })

  it('restores users and roles of the databases chosen, and no others', async () => {
    const usersOf = async (db: string) => {
      const { users } = await bench.admin.db(db).command({ usersInfo: 1 })
      return (users as { user: string }[]).map(({ user }) => user)
    }
    for (const db of ['shop', 'odd'])
      await bench.admin.db(db).command({ createUser: 'newer', pwd: 'secret', roles: [] })
    assert.equal(await bench.restore(base, { command: { nss: ['shop.*'] } }), 'done')
    assert.deepEqual(await usersOf('shop'), ['newer'])
    assert.equal(await bench.restore(base, { command: { nss: ['shop.*'], usersAndRoles: true } }), 'done')
    assert.deepEqual(await usersOf('shop'), ['ann'])
    assert.deepEqual(await usersOf('odd'), ['newer'])
  })
})
