import assert from 'node:assert/strict'
import { compareStates, randomWork, seededRandom } from '@pbmkit/conformance/testbed'
import { balancerStatus, findRestore, type RestoreCommand } from '@pbmkit/core'
import { type Document, Timestamp } from 'mongodb'
import { filesystemConfig, restoreEnded, sendRestore, unlocked } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { compareChosen, ofDatabase, type RoutedState, routedState, shardedWork } from './sharded-selective.support.js'
import { nextSecond, slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts } from './sharded-transfers.support.js'

const SEED = Number(process.env.PBMKIT_SEED ?? Date.now() % 1_000_000)
const PITR = 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'

interface Moment {
  readonly time: Timestamp
  readonly state: RoutedState
}

describe(`restores of chosen namespaces of a sharded cluster (PBMKIT_SEED=${SEED})`, function () {
  this.timeout(300_000)
  const random = seededRandom(SEED)
  const moments: Moment[] = []
  let bench: ShardedBench
  let base = ''

  before(async () => {
    bench = await startShardedBench({ shards: [{ name: 's1' }, { name: 'second', id: 's2' }] })
    await bench.configure(filesystemConfig(bench.storage, PITR))
    const { cluster } = bench
    await loadAccounts(cluster)
    await cluster.setBalancer('off')
    for (const db of ['work', 'plain']) await cluster.createDatabase(db, 's2')
    await work(30)
    base = (await backUp(bench)).name
    await slicedEverywhere(bench)
    for (let n = 0; n < 3; n++) {
      await work(20)
      moments.push({ state: await routedState(cluster), time: await nextSecond(bench) })
    }
  })
  after(() => bench?.stop())

  async function work(steps: number): Promise<void> {
    const { cluster } = bench
    await shardedWork(cluster, 'work', { random, steps })
    await randomWork(await cluster.shard('s2').set.client(), ['plain'], random, steps)
  }

  async function refused(backup: string, command: Partial<RestoreCommand>, reason: RegExp): Promise<void> {
    const before = await routedState(bench.cluster)
    const { status, error } = await restoreEnded(bench, await sendRestore(bench.leader, backup, command))
    await unlocked(bench)
    assert.equal(status, 'error')
    assert.match(error ?? '', reason)
    assert.match(error ?? '', /Nothing of the data was changed/)
    assert.deepEqual(await routedState(bench.cluster), before)
  }

  it('bring back what a full backup has of it, with its chunks and zones, and leave all else', async () => {
    const { cluster, leader } = bench
    await cluster.setBalancer('full')
    await cluster.setBalancer('off')
    const { name } = await backUp(bench)
    const then = await routedState(cluster)
    await cluster.moveRange('bank.accounts', 's1', { min: { _id: 70 }, max: { _id: 500 }, waitForDelete: true })
    for (const { set } of cluster.shards) {
      const db = (await set.client()).db('bank')
      for (const one of ['accounts', 'moving']) await db.collection(one).updateMany({}, { $set: { spoilt: true } })
    }
    await cluster.moveRange('bank.moving', 's2', { min: { _id: 150 }, waitForDelete: true })
    await (await cluster.shard('s2').set.client()).db('side').collection('notes').drop()
    const before = await routedState(cluster)
    const old = await listed('bank.accounts')
    const nss = ['bank.accounts', 'side.notes']
    await restore(bench, name, { nss })
    assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
    // Whoever remembers how it was is told that this is old.
    for (const { set } of cluster.shards) {
      const { timestamp, lastmodEpoch } = old
      const shardVersion = { t: timestamp, e: lastmodEpoch, v: new Timestamp({ t: 1, i: 0 }) }
      const asked = (await set.client()).db('bank').command({ find: 'accounts', shardVersion })
      await assert.rejects(asked, { codeName: 'StaleConfig' })
    }
    await cluster.moveRange('bank.accounts', 's2', { max: { _id: 30 }, waitForDelete: true })
    assert.equal((await balancerStatus(leader)).mode, 'off')
    await cluster.moveRange('bank.accounts', 's1', { max: { _id: 30 }, waitForDelete: true })
  })

  async function listed(ns: string) {
    const collections = bench.leader
      .db('config')
      .collection<{ _id: string; timestamp: Timestamp; lastmodEpoch: unknown }>('collections')
    const found = await collections.findOne({ _id: ns })
    assert.ok(found)
    return found
  }

  it('give each moment back, through moves, splits, drops and renames', async () => {
    const { cluster } = bench
    await storedUpTo(bench, await nextSecond(bench))
    for (const [index, { state: then, time }] of moments.entries()) {
      const sharded = Object.keys(then.shown).filter((ns) => ns.startsWith('work.'))
      const plain = Object.keys(then.shards.s2?.plain ?? {}).filter((name) => !name.startsWith('system.'))
      const one = sharded[random(sharded.length)] ?? 'bank.accounts'
      const other = plain.length === 0 ? 'side.notes' : `plain.${plain[random(plain.length)]}`
      const nss = index % 2 === 0 ? [one, other] : ['work.*']
      const before = await routedState(cluster)
      await restore(bench, base, { nss, oplogTS: time })
      const found = compareChosen(nss, { before, then, after: await routedState(cluster) })
      assert.deepEqual(found, [], `${nss} at ${time.t},${time.i}`)
    }
  })

  it('bring back a database that was dropped, on the shard that it was on, unless it has begun on another', async () => {
    const { cluster } = bench
    const { name } = await backUp(bench)
    const then = await routedState(cluster)
    const nss = ['side.*']
    await ofDatabase(cluster, 'side', { _shardsvrDropDatabase: 1 })
    await cluster.createDatabase('side', 's1')
    await refused(
      name,
      { nss },
      /The primary shard of side is s1, and was s2 at that time: .*movePrimary: 'side', to: 's2'/,
    )
    await ofDatabase(cluster, 'side', { _shardsvrDropDatabase: 1 })
    const before = await routedState(cluster)
    await restore(bench, name, { nss })
    const after = await routedState(cluster)
    assert.deepEqual(compareChosen(nss, { before, then, after }), [])
    assert.deepEqual(after.databases, then.databases)
  })

  it('are refused before anything is dropped where no shard has what was chosen', async () => {
    const nss = ['bank.accounts', 'bank.account']
    await refused(base, { nss }, /has bank\.account; there is bank\.accounts/)
    await refused(base, { nsFrom: 'bank.accounts', nsTo: 'bank.moving' }, /bank\.moving is there already/)
  })

  for (const layout of ['objects', 'archive'] as const) {
    it(`bring back what a selective backup has: layout ${layout}`, async () => {
      const { cluster } = bench
      const more = layout === 'archive' ? 'backup: {layout: archive}\n' : ''
      await bench.configure(filesystemConfig(bench.storage, `${PITR}${more}`))
      const admin = (await cluster.config.client()).db('side')
      for (const user of ['clerk', 'other']) await admin.command({ createUser: user, pwd: user, roles: ['read'] })
      const nss = ['bank.*', 'side.*']
      const { name } = await backUp(bench, { nss, usersAndRoles: true })
      const then = await routedState(cluster)
      await admin.command({ dropUser: 'clerk' })
      await admin.command({ createUser: 'late', pwd: 'late', roles: ['read'] })
      for (const one of ['accounts', 'moving']) await ofDatabase(cluster, 'bank', { _shardsvrDropCollection: one })
      const before = await routedState(cluster)
      await restore(bench, name)
      assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
      const { users } = await admin.command({ usersInfo: 1 })
      assert.deepEqual(users.map(({ user }: { user: string }) => user).sort(), ['clerk', 'other'])
      for (const user of ['clerk', 'other']) await admin.command({ dropUser: user })
      await refused(name, { nss: ['work.*'] }, /is selective: it has bank\.\*, side\.\*, and not work\.\*/)
    })
  }

  it('put a collection beside the live one, sharded as it was, also on other shards', async () => {
    const { cluster } = bench
    const { state, time } = moments[0] ?? assert.fail()
    const sharded = Object.keys(state.shown).find((ns) => ns.startsWith('work.')) ?? assert.fail('nothing is sharded')
    const copies = [
      { nsFrom: sharded, nsTo: 'work.beside' },
      { nsFrom: 'bank.accounts', nsTo: 'swapped.accounts', rsMap: { s1: 'second', second: 's1' } },
    ]
    for (const copy of copies) {
      const before = await routedState(cluster)
      await restore(bench, base, { ...copy, oplogTS: time })
      const after = await routedState(cluster)
      const isSwapped = 'rsMap' in copy
      const swap = (text: string) =>
        text.replaceAll(/"s([12])"/g, (_, one) => `"s${isSwapped ? 3 - Number(one) : one}"`)
      assert.equal(after.shown[copy.nsTo], swap(state.shown[copy.nsFrom] ?? ''))
      for (const id of ['s1', 's2']) {
        const there = isSwapped ? (id === 's1' ? 's2' : 's1') : id
        const found = documentsOf(after.shards[there], copy.nsTo)
        assert.deepEqual(found, documentsOf(state.shards[id], copy.nsFrom), `${copy.nsTo} on ${there}`)
      }
      await ofDatabase(cluster, copy.nsTo.split('.')[0] ?? '', { _shardsvrDropCollection: copy.nsTo.split('.')[1] })
      const left = await routedState(cluster)
      assert.deepEqual([left.shards, left.exact], [before.shards, before.exact])
    }
  })

  it('put databases beside the live ones, and refuse one that has begun on another shard', async () => {
    const { cluster } = bench
    const { state, time } = moments[1] ?? assert.fail()
    const pairs = [
      { from: 'work.*', to: 'work_then.*' },
      { from: 'bank.accounts', to: 'bank_then.accounts' },
    ]
    const before = await routedState(cluster)
    await restore(bench, base, { pairs, oplogTS: time })
    const after = await routedState(cluster)
    for (const ns of ['bank.accounts', ...Object.keys(state.shown).filter((one) => one.startsWith('work.'))]) {
      const there = ns.replace('.', '_then.')
      assert.equal(after.shown[there], state.shown[ns], there)
      for (const id of ['s1', 's2'])
        assert.deepEqual(documentsOf(after.shards[id], there), documentsOf(state.shards[id], ns), `${there} on ${id}`)
    }
    for (const db of ['work_then', 'bank_then']) await ofDatabase(cluster, db, { _shardsvrDropDatabase: 1 })
    const left = await routedState(cluster)
    assert.deepEqual([left.shards, left.exact, left.databases], [before.shards, before.exact, before.databases])
    await refused(
      base,
      { pairs: [{ from: 'bank.accounts', to: 'side.then' }] },
      /The primary shard of side is s2, and was s1/,
    )
  })

  it('put back what is missing, on the shards that own it now, and take no orphan for a document', async () => {
    const { cluster } = bench
    const create = (name: string, key: Document) => cluster.shardCollection(`lost.${name}`, { key })
    const of = async (shard: string, name: string) =>
      (await cluster.shard(shard).set.client()).db('lost').collection<{ _id: number } & Document>(name)
    await cluster.createDatabase('lost', 's1')
    await create('byKey', { 'a.k': 1 })
    await create('byId', { _id: 'hashed' })
    await create('gone', { k: 1 })
    await cluster.moveRange('lost.byKey', 's2', { min: { 'a.k': 50 }, waitForDelete: true })
    for (let _id = 0; _id < 100; _id++)
      await (await of(_id < 50 ? 's1' : 's2', 'byKey')).insertOne({ _id, a: { k: _id }, text: `t${_id}` })
    // Left of a move: older than what its owner has.
    await (await of('s1', 'byKey')).insertMany([70, 71].map((_id) => ({ _id, a: { k: _id }, text: 'stale' })))
    await (await of('s1', 'plain')).insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id, n: _id })))
    await (await of('s1', 'gone')).insertMany([1, 2, 3].map((k) => ({ _id: k, k })))
    await onShard('s1', 'lost', { clusterInsert: 'byId', documents: Array.from({ length: 40 }, (_, _id) => ({ _id })) })
    const { name } = await backUp(bench)
    for (const one of ['byKey', 'plain'])
      await onShard('s2', 'lost', { clusterDelete: one, deletes: [{ q: { _id: { $gte: 20, $lt: 80 } }, limit: 0 }] })
    await (await of('s1', 'byKey')).deleteMany({ text: 'stale' })
    await onShard('s1', 'lost', { clusterDelete: 'plain', deletes: [{ q: { _id: { $gt: 4 } }, limit: 0 }] })
    await onShard('s1', 'lost', { clusterDelete: 'byId', deletes: [{ q: { _id: { $lt: 30 } }, limit: 0 }] })
    // Others have moved, one that is there has another key by now, and one collection is sharded since.
    await cluster.moveRange('lost.byKey', 's1', { min: { 'a.k': 60 }, waitForDelete: true })
    await cluster.moveRange('lost.byKey', 's2', { max: { 'a.k': 30 }, waitForDelete: true })
    await onShard('s1', 'lost', { clusterInsert: 'byKey', documents: [{ _id: 40, a: { k: 5 }, text: 'newer' }] })
    await cluster.shardCollection('lost.plain', { key: { _id: 1 } })
    await cluster.moveRange('lost.plain', 's2', { min: { _id: 10 }, waitForDelete: true })
    await ofDatabase(cluster, 'lost', { _shardsvrDropCollection: 'gone' })
    const before = await routedState(cluster)
    const nss = ['lost.*']
    const query = '{"_id": {"$lt": 75}}'
    await restore(bench, name, { nss, keepExisting: true, query })
    await restore(bench, name, { nss, keepExisting: true })
    const after = await routedState(cluster)
    const left = ({ exact, shards }: RoutedState) => {
      const { 'lost.gone': _, ...routing } = exact
      const data = ['s1', 's2'].map((id) => ({ dbs: { ...shards[id], lost: {} }, users: [], roles: [] }))
      return { routing, data }
    }
    assert.deepEqual(left(after), left(before))
    const shown = async (ns: string) => {
      const found = (await onShard('s2', 'lost', { clusterFind: ns, sort: { _id: 1 }, batchSize: 1000 })).cursor
        .firstBatch
      return found as Document[]
    }
    const texts = Array.from({ length: 100 }, (_, _id) =>
      _id === 40 ? { _id, a: { k: 5 }, text: 'newer' } : { _id, a: { k: _id }, text: `t${_id}` },
    )
    assert.deepEqual(await shown('byKey'), texts)
    assert.deepEqual(
      await shown('byId'),
      Array.from({ length: 40 }, (_, _id) => ({ _id })),
    )
    assert.deepEqual(
      await shown('plain'),
      Array.from({ length: 20 }, (_, _id) => ({ _id, n: _id })),
    )
    assert.deepEqual(
      await shown('gone'),
      [1, 2, 3].map((k) => ({ _id: k, k })),
    )
    for (const [shard, range] of [
      ['s1', { $gte: 30, $lt: 50 }],
      ['s1', { $gte: 60 }],
      ['s2', { $lt: 30 }],
    ] as const)
      assert.ok(await (await of(shard, 'byKey')).countDocuments({ 'a.k': range }), `${shard} ${JSON.stringify(range)}`)
    assert.equal(await (await of('s1', 'byKey')).countDocuments({ 'a.k': { $lt: 30 } }), 0)
    const pairs = [{ from: 'lost.*', to: 'found.*' }]
    await restore(bench, name, { pairs, query: '{"_id": {"$gte": 60, "$lt": 72}}' })
    const beside = (await onShard('s2', 'found', { clusterFind: 'byKey', sort: { _id: 1 } })).cursor.firstBatch
    assert.deepEqual(
      beside,
      Array.from({ length: 12 }, (_, n) => ({ _id: n + 60, a: { k: n + 60 }, text: `t${n + 60}` })),
    )
    assert.ok((await routedState(cluster)).shown['found.byKey'])
    for (const db of ['lost', 'found']) await ofDatabase(cluster, db, { _shardsvrDropDatabase: 1 })
    for (const { set } of cluster.shards) {
      const { databases } = await (await set.client()).db('admin').command({ listDatabases: 1, nameOnly: true })
      assert.deepEqual(
        (databases as { name: string }[]).filter((one) => one.name.startsWith('pbmkit')),
        [],
      )
    }
  })

  async function onShard(shard: string, db: string, command: Document): Promise<Document> {
    return await (await bench.cluster.shard(shard).set.client()).db(db).command(command)
  }

  it('give the balancer back as it was, on or off', async () => {
    const { cluster, leader } = bench
    await cluster.setBalancer('full')
    try {
      const { name } = await restore(bench, base, { nss: ['bank.moving'] })
      assert.equal((await balancerStatus(leader)).mode, 'full')
      const record = await findRestore(leader, name)
      assert.deepEqual(record?.suspended, [])
      assert.ok(record.replsets.every(({ chosen }) => chosen === undefined))
    } finally {
      await cluster.setBalancer('off')
    }
  })

  it('let every moment before and after them be gone back to', async () => {
    const { cluster } = bench
    const state = await routedState(cluster)
    const later = { state, time: await nextSecond(bench) }
    await work(5)
    await storedUpTo(bench, later.time)
    for (const { state: then, time } of [later, moments[1] ?? assert.fail()]) {
      await restore(bench, base, { oplogTS: time })
      const { shards, exact } = await routedState(cluster)
      for (const [ns, text] of Object.entries(then.exact)) assert.equal(exact[ns], text, `${ns} at ${time.t}`)
      for (const id of ['s1', 's2']) {
        const own = Object.entries(shards[id] ?? {}).filter(([db]) => db in (then.shards[id] ?? {}))
        const sides = [then.shards[id] ?? {}, Object.fromEntries(own)].map((dbs) => ({ dbs, users: [], roles: [] }))
        const [one = assert.fail(), other = assert.fail()] = sides
        assert.deepEqual(compareStates(one, other), [], `${id} at ${time.t}`)
      }
    }
  })
})

/** What of a collection does not say which one it is. */
function documentsOf(dbs: RoutedState['shards'][string] | undefined, ns: string) {
  const dot = ns.indexOf('.')
  const { count, sha256, indexes } = dbs?.[ns.slice(0, dot)]?.[ns.slice(dot + 1)] ?? {}
  return { count, sha256, indexes }
}
