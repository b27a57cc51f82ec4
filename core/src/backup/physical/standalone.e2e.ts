import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Long, type MongoClient, Timestamp, UUID } from 'mongodb'
import { type ServerOptions, serverOptions } from '../../mongo/server-options.js'
import { programOf } from './server-program.js'
import { endOplogAt, newestEntry, withStandalone } from './standalone.js'

type Order = { _id: number }

describe('a standalone server on the files of a member', () => {
  let set: ReplicaSet
  let folder: string
  let options: ServerOptions & { path: string }
  let uuid: UUID

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-standalone-'))
    set = await startReplicaSet({ members: 1, auth: true })
    const shop = (await set.client()).db('shop')
    await shop.collection<Order>('orders').insertOne({ _id: 0 }, { writeConcern: { w: 'majority' } })
    const [listed] = await shop.listCollections({ name: 'orders' }, { nameOnly: false }).toArray()
    assert.ok(listed?.info?.uuid)
    uuid = new UUID(listed.info.uuid.buffer)
    const found = await serverOptions(await set.client())
    options = { ...found, ...(await programOf(found)) }
    await set.members[0]?.kill('SIGTERM')
  })
  after(async () => {
    await set.stop()
    await rm(folder, { recursive: true })
  })

  const opened = <T>(appliesOplog: boolean, work: (client: MongoClient) => Promise<T>) =>
    withStandalone({ ...options, appliesOplog }, join(folder, 'log'), work)
  const ids = async (client: MongoClient) =>
    (await client.db('shop').collection<Order>('orders').find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id)

  it('applies the oplog exactly up to an end, where it is told to', async () => {
    const end = await opened(false, async (client) => {
      const top = await newestEntry(client)
      assert.ok(top)
      const at = (n: number) => new Timestamp({ t: top.ts.t + n, i: 1 })
      const entry = (n: number) => ({
        ...{ _id: at(n), op: 'i', ns: 'shop.orders', ui: uuid, o: { _id: n }, o2: { _id: n } },
        ...{ ts: at(n), t: top.t, v: Long.fromNumber(2), wall: new Date() },
      })
      const oplog = client.db('local').collection<{ _id: Timestamp }>('oplog.rs')
      await oplog.insertMany([1, 2, 3].map(entry))
      await assert.rejects(endOplogAt(client, at(4)), { code: 'BACKUP_DAMAGED' })
      await endOplogAt(client, at(2))
      return at(2)
    })
    await opened(true, async (client) => {
      assert.deepEqual(await ids(client), [0, 1, 2])
      assert.ok((await newestEntry(client))?.ts.equals(end))
      await assert.rejects(client.db('shop').collection<Order>('orders').insertOne({ _id: 4 }))
    })
  })
})
