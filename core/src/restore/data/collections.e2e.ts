import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { BSON, type MongoClient, type UUID } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { createCollections, dropReplaced } from './collections.js'
import { setExpiry } from './expiry.js'
import { ForeignCollections } from './foreign.js'
import { catalogOf, listTarget } from './target.js'

describe('Collections of the target', () => {
  const guard = deadlineGuard(new AbortController().signal)
  let set: ReplicaSet
  let client: MongoClient

  before(async () => {
    set = await startReplicaSet()
    client = await set.client()
  })
  after(async () => {
    await set?.stop()
  })

  const namespace = (collection: string, uuid: string): NamespaceMetadata => ({
    db: 'app',
    collection,
    collectionName: collection,
    type: 'collection',
    options: undefined,
    indexes: [],
    uuid,
    crc: 0n,
    size: 0,
  })
  const uuids = async () => {
    const found = await client.db('app').listCollections({}, { nameOnly: false }).toArray()
    return new Map(found.map(({ name, info }) => [name, (info?.uuid as UUID | undefined)?.toHexString(false)]))
  }

  it('are replaced by those of the backup, the one that the server lets nobody drop as well', async () => {
    const app = client.db('app')
    await app.collection<{ _id: string }>('system.js').insertOne({ _id: 'f' })
    await app.createCollection('view', { viewOn: 'plain', pipeline: [] })
    await app.createCollection('series', { timeseries: { timeField: 'at' } })
    const wanted = new Map([
      ['system.js', '11111111111141118111111111111111'],
      ['view', '22222222222242228222222222222222'],
      ['series', '33333333333343338333333333333333'],
    ])
    const namespaces = [...wanted].map(([name, uuid]) => namespace(name, uuid))
    assert.deepEqual(await dropReplaced(client, namespaces, guard), { dropped: 3, kept: 0 })
    await createCollections(client, namespaces, guard)
    const found = await uuids()
    found.delete('system.views')
    assert.deepEqual([...found].sort(), [...wanted].sort())
    assert.equal(await app.collection('system.js').countDocuments(), 0)
  })

  it('are dropped for their UUID only where the oplog of the restore gives their name, too', async () => {
    const app = client.db('app')
    await app.createCollection('moved')
    await app.createCollection('named')
    const moved = (await uuids()).get('moved') ?? ''
    const backup = [namespace('back', moved), namespace('named', '55555555555545558555555555555550')]
    await assert.rejects(dropReplaced(client, backup, guard), { code: 'UUID_TAKEN' })
    assert.ok((await uuids()).has('named'))
    const foreign = new ForeignCollections(await listTarget(client), backup)
    assert.throws(() => foreign.refuse(), { message: /app\.moved has the UUID of app\.back/ })
    const o = raw({ renameCollection: 'app.back', to: 'app.moved' })
    foreign.see({ op: 'c', ns: 'app.$cmd', ui: Buffer.from(moved, 'hex'), o, o2: undefined })
    foreign.refuse()
    assert.deepEqual(await dropReplaced(client, backup, guard, foreign.doomed), { dropped: 2, kept: 2 })
  })

  it('are refused where the oplog of the restore creates what was renamed since', async () => {
    const app = client.db('app')
    await app.createCollection('aside')
    const ui = Buffer.from((await uuids()).get('aside') ?? '', 'hex')
    const foreign = new ForeignCollections(await listTarget(client), [])
    foreign.refuse()
    foreign.see({ op: 'c', ns: 'app.$cmd', ui, o: raw({ create: 'thing' }), o2: undefined })
    assert.throws(() => foreign.refuse(), { message: /app\.aside has the UUID of app\.thing/ })
    await app.dropCollection('aside')
  })

  it('stay where the oplog of the restore creates them without their UUID: views, beside time series', async () => {
    const app = client.db('app')
    await app.createCollection('measured', { timeseries: { timeField: 'at' } })
    const views = (await uuids()).get('system.views') ?? ''
    const foreign = new ForeignCollections(await listTarget(client), [])
    const ui = Buffer.from(views, 'hex')
    foreign.see({ op: 'c', ns: 'app.$cmd', ui, o: raw({ create: 'system.views' }), o2: undefined })
    foreign.refuse()
    assert.equal((await dropReplaced(client, [], guard, foreign.doomed)).dropped, 0)
    assert.equal((await uuids()).get('system.views'), views)
    await app.dropCollection('measured')
  })

  it('are not dropped by somebody who was suspended, though no signal tells it yet', async () => {
    await client.db('app').createCollection('kept')
    const stopped = deadlineGuard(new AbortController().signal, () => assert.fail('stopped'))
    const doomed = [namespace('kept', '44444444444444448444444444444444')]
    await assert.rejects(dropReplaced(client, doomed, stopped), /stopped/)
    assert.ok((await uuids()).has('kept'))
    await client.db('app').dropCollection('kept')
  })

  it('have their UUIDs again, buckets of time series too, whatever their options', async () => {
    const app = client.db('app')
    const series = [
      { timeseries: { timeField: 'at', metaField: 'm', granularity: 'minutes' }, expireAfterSeconds: 100 },
      { timeseries: { timeField: 'at' }, collation: { locale: 'de' } },
    ]
    const stored = async (name: string) => {
      const found = await app.listCollections({ name }, { nameOnly: false }).toArray()
      return found.map(({ info, ...kept }) => kept)
    }
    for (const [index, options] of series.entries()) {
      const name = `series ${index}`
      const bucketsUuid = `${index}6666666666646668666666666666666`
      await app.createCollection(name, options)
      const before = [await stored(name), await stored(`system.buckets.${name}`)]
      const wanted = { ...namespace(name, ''), type: 'timeseries' as const, uuid: undefined, bucketsUuid }
      const described = { ...wanted, options: Buffer.from(BSON.serialize(options)) }
      await dropReplaced(client, [described], guard)
      await createCollections(client, [described], guard)
      await setExpiry(client, (await catalogOf(client, [described])).expiring(), { guard })
      assert.equal((await uuids()).get(`system.buckets.${name}`), bucketsUuid)
      assert.deepEqual([await stored(name), await stored(`system.buckets.${name}`)], before)
      await app.collection(name).insertOne({ at: new Date(), m: 1 })
      assert.equal(await app.collection(name).countDocuments(), 1)
      assert.deepEqual(await app.collection(name).indexes(), [])
    }
  })

  it('have an _id index of their own collation, whatever is stored of it', async () => {
    const app = client.db('app')
    await app.createCollection('collated', { collation: { locale: 'fr' } })
    const described = async () => (await app.listCollections({ name: 'collated' }, { nameOnly: false }).toArray())[0]
    const { options } = (await described()) ?? {}
    const own = await app.collection('collated').indexes()
    const stored = [[], [raw({ v: 2, key: { _id: 1 }, name: '_id_' })]]
    for (const [digit, indexes] of stored.entries()) {
      const wanted = {
        ...namespace('collated', `${digit}8888888888848888888888888888888`),
        indexes,
        options: raw(options ?? {}),
      }
      await dropReplaced(client, [wanted], guard)
      await createCollections(client, [wanted], guard)
      assert.deepEqual((await described())?.options, options)
      assert.deepEqual(await app.collection('collated').indexes(), own)
    }
  })

  it('that can not be created are named, whatever is made together with them', async () => {
    const uuid = (digit: number) => `${digit}7777777777747778777777777777777`
    const made = [1, 2, 3, 4, 5].map((digit) => namespace(`made ${digit}`, uuid(digit)))
    await createCollections(client, made, guard)
    const others = [6, 7, 8].map((digit) => namespace(`other ${digit}`, uuid(digit)))
    const options = raw({ capped: true, size: 'large' })
    const doomed = others.map((one) => (one.collection === 'other 8' ? { ...one, options } : one))
    await assert.rejects(createCollections(client, doomed, guard), {
      code: 'CREATE_FAILED',
      message: /collection app\.other 8 can't be created/,
    })
    const found = await uuids()
    for (const { collection, uuid: wanted } of [...made, ...others.slice(0, 2)]) {
      assert.equal(found.get(collection), wanted)
    }
  })

  it('are made while a transaction is open, without holding up the rest of the server', async () => {
    const app = client.db('app')
    const beats = client.db('admin').collection<{ _id: number }>('beats')
    await beats.insertOne({ _id: 0 })
    await app.createCollection('busy')
    await client.withSession(async (session) => {
      session.startTransaction()
      await app.collection<{ _id: number }>('busy').insertOne({ _id: 1 }, { session })
      const made = createCollections(client, [namespace('later', '55555555555545558555555555555555')], guard)
      // What stands for a heartbeat gets through although the collection can't be made yet.
      for (let beat = 1; beat <= 3; beat++) {
        await beats.insertOne({ _id: beat })
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      assert.ok(!(await uuids()).has('later'))
      await session.abortTransaction()
      await made
    })
    assert.ok((await uuids()).has('later'))
  })
})
