import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { PITR_CHUNKS } from '../mongo/control-names.js'
import type { PitrChunkDocument } from './pitr-chunk-document.js'
import {
  findLastChunk,
  insertChunk,
  keepSealedFromPbm,
  listChunks,
  listChunksFrom,
  replaceChunks,
} from './pitr-chunks.js'
import { ensureControlCollections } from './setup.js'

describe('the index of chunks', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const collection = (name: string) => leader.db('admin').collection(name)

  before(async () => {
    set = await startReplicaSet({ mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
    await ensureControlCollections(leader)
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })

  beforeEach(() => collection(PITR_CHUNKS).deleteMany({}))

  it('is replaced without a moment in which it lacks one', async () => {
    const chunk = (rs: string, start: number, size = 1): PitrChunkDocument => {
      const [start_ts, end_ts] = [new Timestamp({ t: start, i: 1 }), new Timestamp({ t: start + 10, i: 1 })]
      return { rs, fname: `pbmPitr/${rs}/${start}`, compression: 's2', start_ts, end_ts, size }
    }
    const index = async () => (await listChunks(leader)).map(({ rs, start_ts, size }) => [rs, start_ts.t, size])
    await replaceChunks(leader, [chunk('rs0', 10), chunk('rs0', 20), chunk('rs1', 15)])
    // No server takes a document of that size.
    const refused = { ...chunk('rs0', 30), fname: 'x'.repeat(17 * 1024 * 1024) }
    await assert.rejects(replaceChunks(leader, [chunk('rs0', 20, 2), refused]))
    assert.deepEqual(
      (await index()).map(([rs, start]) => [rs, start]),
      [
        ['rs0', 10],
        ['rs1', 15],
        ['rs0', 20],
      ],
    )
    await replaceChunks(leader, [chunk('rs0', 20, 3), chunk('rs1', 20)])
    assert.deepEqual((await index()).sort(), [
      ['rs0', 20, 3],
      ['rs1', 20, 1],
    ])
    await replaceChunks(leader, [])
    assert.deepEqual(await index(), [])
  })

  it('tells of chunks past what somebody has put beside them', async () => {
    const [start_ts, end_ts] = [new Timestamp({ t: 5, i: 1 }), new Timestamp({ t: 9, i: 1 })]
    const chunk: PitrChunkDocument = { rs: 'rs0', fname: 'pbmPitr/rs0/5', compression: 's2', start_ts, end_ts, size: 1 }
    await insertChunk(leader, chunk)
    const odd = [{ fname: 5 }, { rs: {} }, { start_ts: 'x' }, { end_ts: 'z' }]
    for (const [at, fields] of odd.entries())
      await collection(PITR_CHUNKS).insertOne({ ...chunk, start_ts: new Timestamp({ t: 20 + at, i: 1 }), ...fields })
    assert.deepEqual(await listChunks(leader), [chunk])
    assert.deepEqual(await findLastChunk(leader, 'rs0'), chunk)
    assert.deepEqual(await listChunksFrom(leader, 'rs0', start_ts), [chunk])
  })

  it('tells of a chunk that the primary does not know the majority to have, so that its object stays', async () => {
    const start_ts = new Timestamp({ t: 40, i: 1 })
    const document = { rs: 'rs0', fname: 'pbmPitr/rs0/40', start_ts, end_ts: new Timestamp({ t: 50, i: 1 }) }
    const snapshots = (mode: 'alwaysOn' | 'off') =>
      leader.db('admin').command({ configureFailPoint: 'disableSnapshotting', mode })
    await snapshots('alwaysOn')
    try {
      await collection(PITR_CHUNKS).insertOne(document, { writeConcern: { w: 1 } })
      assert.deepEqual(await listChunks(leader), [])
      assert.deepEqual(
        (await listChunksFrom(leader, 'rs0', start_ts)).map(({ fname }) => fname),
        [document.fname],
      )
    } finally {
      await snapshots('off')
    }
  })

  it('lists sealed chunks by no name that PBM could find on the storage, also those of an earlier version', async () => {
    const chunk = (t: number, more: object) => {
      const bounds = { start_ts: new Timestamp({ t, i: 1 }), end_ts: new Timestamp({ t: t + 9, i: 1 }) }
      return { rs: 'rs0', fname: `pbmPitr/rs0/${t}`, compression: 's2', ...bounds, size: 1, ...more }
    }
    const sealed = { encryption: 'aes-gcm' }
    const [clear, first, second, earlier] = [chunk(1, {}), chunk(10, sealed), chunk(20, sealed), chunk(30, sealed)]
    await replaceChunks(leader, [clear, first])
    await insertChunk(leader, second)
    await collection(PITR_CHUNKS).insertOne({ ...earlier, _id: ObjectId.createFromTime(40) })
    const all = [clear, first, second, earlier]
    for (let once = 0; once < 3; once++) {
      assert.deepEqual(await listChunks(leader), all)
      assert.deepEqual(await findLastChunk(leader, 'rs0'), earlier)
      assert.deepEqual(await listChunksFrom(leader, 'rs0', second.start_ts), [second])
      await keepSealedFromPbm(leader)
    }
    const names = (await collection(PITR_CHUNKS).find().toArray()).map(({ fname }) => fname as string)
    const objects = new Set(all.map(({ fname }) => fname))
    assert.deepEqual(
      names.filter((name) => objects.has(name)),
      [clear.fname],
    )
  })
  it('leaves the name of a sealed chunk that a slicer of an earlier version may still compare with the storage', async () => {
    const now = secondsOf(await clusterTime(leader))
    const listed = (fname: string, { ended, added }: { ended: number; added: number }) => {
      const [start_ts, end_ts] = [now - ended - 10, now - ended].map((t) => new Timestamp({ t, i: 1 }))
      const _id = ObjectId.createFromTime(now - added)
      return { _id, rs: 'rs0', fname, compression: 's2', start_ts, end_ts, size: 1, encryption: 'aes-gcm' }
    }
    await collection(PITR_CHUNKS).insertMany([
      listed('old', { ended: 1260, added: 1260 }),
      listed('caughtUp', { ended: 7200, added: 60 }),
      listed('fresh', { ended: 900, added: 900 }),
    ])
    await keepSealedFromPbm(leader)
    const found = await collection(PITR_CHUNKS)
      .find({}, { sort: { fname: 1 } })
      .toArray()
    assert.deepEqual(
      found.map(({ fname }) => fname as string),
      ['caughtUp', 'fresh', 'old (sealed, for pbmkit alone)'],
    )
  })
})
