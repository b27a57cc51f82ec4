import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { MongoClient, ObjectId, Timestamp } from 'mongodb'
import { readClusterView } from '../control/cluster-view.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { deleteChunk, insertChunk, replaceChunks } from '../control/pitr-chunks.js'
import { ensureControlCollections } from '../control/setup.js'
import { toWire } from '../control/wire.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { History } from './history.js'

const stamp = (t: number) => new Timestamp({ t, i: 1 })

function chunk(start: number, end: number): PitrChunkDocument {
  const bounds = { start_ts: stamp(start), end_ts: stamp(end) }
  return { rs: 'rs0', fname: `pbmPitr/rs0/${start}`, compression: 's2', size: 10, ...bounds }
}

describe('what is known of the history of a cluster', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const read: string[] = []

  before(async () => {
    set = await startReplicaSet({ members: 1 })
    leader = await new MongoClient(set.uri(), { monitorCommands: true }).connect()
    await ensureControlCollections(leader)
    leader.on('commandStarted', ({ commandName, command }) => {
      if (commandName === 'find') read.push(String(command.find))
    })
  })
  after(async () => {
    await leader?.close()
    await set?.stop()
  })

  it('follows what is stored and deleted, and reads again only what is new', async () => {
    const clock = new ManualClock()
    const history = new History(leader, clock)
    const look = async () => {
      read.length = 0
      const { lines, chunks, backups } = await history.look(await readClusterView(leader))
      const chains = [...(lines.perReplset.get('rs0') ?? [])]
      return {
        chains: chains.map(({ start, end }) => [Number(start >> 32n), Number(end >> 32n)]),
        end: chunks.get('rs0')?.end.t,
        bytes: chunks.get('rs0')?.bytes,
        names: backups.map(({ name }) => name),
        read: [...read],
      }
    }
    assert.deepEqual(await look(), {
      ...{ chains: [], end: undefined, bytes: undefined, names: [] },
      read: ['pbmBackups', 'pbmPITRChunks'],
    })
    for (const [start, end] of [
      [100, 200],
      [200, 300],
      [400, 500],
    ] as const)
      await insertChunk(leader, chunk(start, end))
    const first = {
      chains: [
        [100, 300],
        [400, 500],
      ],
      end: 500,
      bytes: 30,
      names: [],
    }
    assert.deepEqual(await look(), { ...first, read: ['pbmPITRChunks'] })

    await insertChunk(leader, chunk(300, 400))
    assert.deepEqual(await look(), { chains: [[100, 500]], end: 500, bytes: 40, names: [], read: ['pbmPITRChunks'] })

    await deleteChunk(leader, chunk(100, 200))
    const all = ['pbmPITRChunks', 'pbmPITRChunks']
    assert.deepEqual(await look(), { chains: [[200, 500]], end: 500, bytes: 30, names: [], read: all })

    // As many as before, and others: the count tells nothing.
    await replaceChunks(leader, [chunk(200, 300), chunk(300, 400), chunk(600, 700)])
    assert.deepEqual((await look()).chains, [
      [200, 400],
      [600, 700],
    ])

    // Ids of one second are in no order between agents.
    const records = leader.db('admin').collection('pbmPITRChunks')
    const [newest] = await records.find().sort({ _id: -1 }).limit(1).toArray()
    await deleteChunk(leader, chunk(600, 700))
    const _id = new ObjectId(`${newest?._id.toHexString().slice(0, 8)}${'0'.repeat(15)}1`)
    await records.insertOne({ _id, ...toWire(chunk(800, 900)) })
    assert.deepEqual((await look()).chains, [
      [200, 400],
      [800, 900],
    ])

    const backups = leader.db('admin').collection('pbmBackups')
    const backup = {
      name: 'b',
      type: 'logical',
      status: 'running',
      start_ts: 1,
      last_transition_ts: 1,
      store: { type: 's3' },
    }
    await backups.insertMany([{ ...backup }, { odd: true }])
    assert.deepEqual((await look()).names, ['b'])
    assert.deepEqual((await look()).read, ['pbmPITRChunks'])
    await backups.updateOne({ name: 'b' }, { $set: { status: 'done', last_transition_ts: 2 } })
    assert.deepEqual((await look()).read, ['pbmBackups', 'pbmPITRChunks'])
    clock.jump(600_000)
    assert.deepEqual((await look()).read, ['pbmBackups', 'pbmPITRChunks'])
  })
})
