import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { BSON, Timestamp, UUID } from 'bson'
import { MongoClient } from 'mongodb'
import { documentsIn } from '../bson/documents.js'
import { PbmError } from '../errors.js'
import { deadlineGuard } from '../time/deadline-guard.js'
import { readDocuments } from './raw-read.js'
import { awaitMajority, insertDocuments, type UniqueConflict } from './raw-write.js'

const zero = new Timestamp({ t: 0, i: 0 })

/** Documents whose every byte matters: integer-like keys after others, zero timestamps, sizes from tiny to large. */
function documents(count: number): Buffer[] {
  return Array.from({ length: count }, (_, id) =>
    Buffer.from(
      BSON.serialize(
        new Map<string, unknown>([
          ['_id', id],
          ['text', 'x'.repeat((id * 37) % 900)],
          ['9', id % 100 === 7 ? zero : 0],
          ['1', [zero, { 5: 1, 4: 2 }]],
        ]),
      ),
    ),
  )
}

async function* chunked(list: readonly Buffer[], size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.concat(list)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(source: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = []
  for await (const buffer of source) found.push(...documentsIn(buffer))
  return found
}

function code(expected: string) {
  return (error: unknown) => error instanceof PbmError && error.code === expected
}

describe('raw reads and writes', () => {
  let set: ReplicaSet
  let client: MongoClient
  before(async () => {
    set = await startReplicaSet()
    client = await set.client()
  })
  after(() => set.stop())

  const openCursors = async () =>
    Number((await client.db('admin').command({ serverStatus: 1 })).metrics.cursor.open.noTimeout)
  const uuidOf = async (name: string) => {
    const [info] = await client.db('raw').listCollections({ name }).toArray()
    return new UUID((info as { info: { uuid: { buffer: Uint8Array } } }).info.uuid.buffer)
  }

  it('give every byte back, zero timestamps too', async () => {
    const list = documents(20_000)
    const told: number[] = []
    const written = await insertDocuments(client, 'raw', 'exact', chunked(list, 70_001), {
      inFlight: 4,
      onProgress: (count) => told.push(count),
    })
    assert.deepEqual(written, { documents: list.length, bytes: Buffer.concat(list).length, duplicates: 0 })
    assert.equal(told.at(-1), list.length)
    await awaitMajority(client)
    const found = await read(readDocuments(client, 'raw', 'exact', { filter: {}, sort: { _id: 1 } }))
    assert.deepEqual(found, list)
  })

  it('are the same over a compressed connection', async () => {
    const list = documents(5000)
    const compressed = new MongoClient(`${set.uri()}&compressors=zlib`)
    try {
      await insertDocuments(compressed, 'raw', 'compressed', chunked(list, 100_000), { batchBytes: 200_000 })
      await awaitMajority(compressed)
      assert.deepEqual(await read(readDocuments(compressed, 'raw', 'compressed', { sort: { _id: 1 } })), list)
    } finally {
      await compressed.close()
    }
  })

  it('put no more documents into a command than they may', async () => {
    const written: number[] = []
    const options = { batchDocuments: 30, inFlight: 1, onProgress: (documents: number) => written.push(documents) }
    await insertDocuments(client, 'raw', 'small', chunked(documents(100), 4096), options)
    // The first has a zero timestamp, and a command of its own.
    assert.deepEqual(written, [1, 31, 61, 91, 100])
  })

  it('leave what is there as it is, and tell what breaks a unique index', async () => {
    const kept = client.db('raw').collection<{ _id: number; text?: string }>('kept')
    await kept.createIndex({ u: 1 }, { unique: true, partialFilterExpression: { u: { $exists: true } } })
    const own = [{ _id: 7, text: 'own' }, { _id: 8 }, { _id: 1000, u: 'taken' }]
    await kept.insertMany(own)
    const taken = [7, 207].map((_id) => ({ _id, u: 'taken', ...(_id === 207 ? { t: zero } : {}) }))
    const more = [...taken, { _id: 208, u: 'taken' }].map((document) => Buffer.from(BSON.serialize(document)))
    const conflicts: UniqueConflict[] = []
    const options = { keepExisting: true, onConflict: (conflict: UniqueConflict) => conflicts.push(conflict) }
    const written = await insertDocuments(client, 'raw', 'kept', chunked([...documents(200), ...more], 999), options)
    assert.deepEqual([written.documents, written.duplicates], [203, 3])
    // Commands under way side by side end in any order.
    conflicts.sort((a, b) => Number(a.id) - Number(b.id))
    assert.deepEqual(conflicts, [
      { id: '207', index: 'u_1' },
      { id: '208', index: 'u_1' },
    ])
    assert.deepEqual(await kept.find({ _id: { $in: [7, 8, 1000] } }).toArray(), own)
    assert.equal(await kept.countDocuments(), 201)
  })

  it('keep the order of a capped collection', async () => {
    await client.db('raw').createCollection('capped', { capped: true, size: 10_000_000 })
    const list = documents(1000).reverse()
    await insertDocuments(client, 'raw', 'capped', chunked(list, 4096), { ordered: true, batchBytes: 10_000 })
    await awaitMajority(client)
    assert.deepEqual(await read(readDocuments(client, 'raw', 'capped')), list)
  })

  it('send nothing more when whoever writes has to stop, though no signal tells it yet', async () => {
    const list = documents(1000)
    let isStopped = false
    const guard = deadlineGuard(new AbortController().signal, () => assert.ok(!isStopped, 'stopped'))
    const onProgress = () => {
      isStopped = true
    }
    const options = { ordered: true, batchBytes: 10_000, guard, onProgress }
    await assert.rejects(insertDocuments(client, 'raw', 'fenced', chunked(list, 4096), options), /stopped/)
    await awaitMajority(client)
    const written = await read(readDocuments(client, 'raw', 'fenced'))
    assert.ok(written.length > 0 && written.length < list.length)
    assert.deepEqual(written, list.slice(0, written.length))
  })

  it('take documents of 16 MB', async () => {
    for (const stamp of [{}, { t: zero }]) {
      const empty = BSON.calculateObjectSize({ _id: 1, ...stamp, b: Buffer.alloc(0) })
      const big = Buffer.from(BSON.serialize({ _id: 1, ...stamp, b: Buffer.alloc(16 * 2 ** 20 - empty) }))
      await client.db('raw').collection('big').drop()
      await insertDocuments(client, 'raw', 'big', chunked([big], 2 ** 20))
      await awaitMajority(client)
      assert.deepEqual(await read(readDocuments(client, 'raw', 'big')), [big])
    }
  })

  it('bypass validation, but name what the server refuses', async () => {
    await client.db('raw').createCollection('strict', { validator: { never: { $exists: true } } })
    const list = documents(300)
    await insertDocuments(client, 'raw', 'strict', chunked(list, 5000))
    await assert.rejects(insertDocuments(client, 'raw', 'strict', chunked(list.slice(8), 5000)), (error: unknown) => {
      assert(error instanceof PbmError)
      assert.equal(error.code, 'WRITE_FAILED')
      assert.match(error.message, /_id 8 of raw\.strict.*duplicate key/)
      return true
    })
  })

  it('tell a rename from a drop, and an unknown UUID', async () => {
    const list = documents(5000)
    await insertDocuments(client, 'raw', 'moving', chunked(list, 100_000))
    await awaitMajority(client)
    const uuid = await uuidOf('moving')
    const whileReading = async (act: () => Promise<unknown>) => {
      let turn = 0
      for await (const _ of readDocuments(client, 'raw', uuid, { batchBytes: 50_000 })) if (turn++ === 2) await act()
    }
    await assert.rejects(
      whileReading(() => client.db('raw').collection('moving').rename('moved')),
      code('COLLECTION_RENAMED'),
    )
    assert.equal((await read(readDocuments(client, 'raw', uuid))).length, list.length)
    await assert.rejects(
      whileReading(() => client.db('raw').collection('moved').drop()),
      code('COLLECTION_MISSING'),
    )
    await assert.rejects(read(readDocuments(client, 'raw', uuid)), code('COLLECTION_MISSING'))
  })

  it('leave no cursor behind when broken off or aborted', async () => {
    await insertDocuments(client, 'raw', 'long', chunked(documents(5000), 100_000))
    await awaitMajority(client)
    for await (const _ of readDocuments(client, 'raw', 'long', { batchBytes: 50_000 })) break
    const abort = new AbortController()
    const reading = async () => {
      for await (const _ of readDocuments(client, 'raw', 'long', { batchBytes: 50_000, signal: abort.signal })) {
        abort.abort(new Error('enough'))
      }
    }
    await assert.rejects(reading(), /enough/)
    assert.equal(await openCursors(), 0)
  })

  it('say so when the cursor is killed', async () => {
    const reading = async () => {
      let killed = false
      for await (const _ of readDocuments(client, 'raw', 'long', { batchBytes: 50_000 })) {
        const pipeline = [
          { $currentOp: { idleCursors: true, allUsers: true } },
          { $match: { type: 'idleCursor', ns: 'raw.long' } },
        ]
        // While the next batch is read it is not idle.
        const find = () => client.db('admin').aggregate(pipeline).toArray()
        for (let idle = await find(); !killed; idle = await find()) {
          if (idle.length === 0) continue
          const cursors = idle.map((one) => one.cursor.cursorId)
          await client.db('raw').command({ killCursors: 'long', cursors })
          killed = true
        }
      }
    }
    await assert.rejects(reading(), code('CURSOR_LOST'))
  })

  it('stop writing when the source fails', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield* chunked(documents(100), 1000)
      throw new Error('the storage is gone')
    }
    await assert.rejects(insertDocuments(client, 'raw', 'partial', failing()), /the storage is gone/)
  })
})
