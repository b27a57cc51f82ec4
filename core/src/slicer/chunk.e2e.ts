import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { BSON } from 'bson'
import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { documentsIn } from '../bson/documents.js'
import { connectNode } from '../mongo/connect.js'
import { none } from '../plugin-host/none.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { storeChunk } from './chunk.js'

describe('chunks of the oplog', () => {
  let set: ReplicaSet
  let node: MongoClient
  const store = new FaultyStore()
  before(async () => {
    set = await startReplicaSet({ members: 1, mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
    node = await connectNode(set.uri(), { appName: 'test' })
    await node.db('work').collection('numbers').insertOne({})
  })
  after(async () => {
    await node.close()
    await set.stop()
  })

  const snapshots = (mode: 'alwaysOn' | 'off') =>
    node.db('admin').command({ configureFailPoint: 'disableSnapshotting', mode })

  const chunk = (start: Timestamp, end: Timestamp) =>
    storeChunk({
      ...{ node, store, rs: 'rs0', start, end, method: { plugin: none, name: 'none', level: undefined } },
      assertHeld: () => undefined,
      signal: new AbortController().signal,
    })

  async function newest(): Promise<Timestamp> {
    const oplog = node.db('local').collection<Document>('oplog.rs', { readConcern: { level: 'local' } })
    const entry = await oplog.findOne({}, { sort: { $natural: -1 } })
    assert.ok(entry)
    return entry.ts as Timestamp
  }

  it('are not stored as reaching further than what was read; the next attempt gets all', async () => {
    const start = await newest()
    await snapshots('alwaysOn')
    let end: Timestamp
    try {
      const numbers = Array.from({ length: 20 }, (_, n) => ({ n }))
      await node
        .db('work')
        .collection('numbers')
        .insertMany(numbers, { writeConcern: { w: 1 } })
      end = await newest()
      await assert.rejects(chunk(start, end), { code: 'OPLOG_INCOMPLETE' })
      assert.deepEqual([...store.objects.keys()], [])
    } finally {
      await snapshots('off')
    }
    await node.db('work').collection('numbers').insertOne({})
    const { entries, document } = await chunk(start, end)
    assert.ok(entries > 1)
    assert.deepEqual(document.end_ts, end)
  })

  it('may end between two entries', async () => {
    const start = await newest()
    let last = start
    while (last.t === start.t) {
      await node.db('work').collection('numbers').insertOne({})
      last = await newest()
    }
    const { document } = await chunk(start, new Timestamp({ t: last.t, i: 0 }))
    assert.equal(document.end_ts.i, 0)
  })

  it('hold nothing of control collections but when something happened', async () => {
    const admin = node.db('admin')
    const config = admin.collection<Document>('pbmConfig')
    const start = await newest()
    const storage = (secret: string) => ({ type: 's3', s3: { credentials: { 'secret-access-key': secret } } })
    await config.insertOne({ storage: storage('s3cret-inserted') })
    await config.updateOne({}, { $set: { 'storage.s3.credentials.secret-access-key': 's3cret-updated' } })
    await config.findOneAndReplace({}, { profile: true, storage: storage('s3cret-replaced') })
    await admin.collection<Document>('pbmCmd').insertOne({ cmd: 'addConfigProfile', profile: storage('s3cret-sent') })
    const inside = { op: 'i', ns: 'admin.pbmConfig', o: { _id: 1, storage: storage('s3cret-inside') } }
    const kept = { op: 'i', ns: 'work.numbers', o: { _id: 'kept' } }
    await admin.command({ applyOps: [inside, kept] })
    await config.drop()
    const end = await newest()
    const { document, entries } = await chunk(start, end)
    const stored = store.objects.get(document.fname)?.bytes ?? Buffer.alloc(0)
    assert.equal(stored.includes('s3cret'), false)
    assert.equal(stored.includes('kept'), true)
    const logged = await node
      .db('local')
      .collection<Document>('oplog.rs')
      .find({ ts: { $gte: start, $lte: end } })
      .toArray()
    const found = [...documentsIn(stored)].map((entry) => BSON.deserialize(entry).ts)
    assert.deepEqual(
      found.map(String),
      logged.map(({ ts }) => String(ts)),
    )
    assert.equal(entries, logged.length)
  })
})
