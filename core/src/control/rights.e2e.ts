import { strict as assert } from 'node:assert'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { MongoClient } from 'mongodb'
import { applyOps } from '../mongo/apply-ops.js'
import { missingRights, requireRights } from './rights.js'
import { databaseRole, ROLE_KINDS, type RoleKind } from './roles.js'

describe('Rights of users on a server', () => {
  let set: ReplicaSet
  const clients: MongoClient[] = []

  const connect = async (user: string) => {
    const client = await MongoClient.connect(set.uri({ user }))
    clients.push(client)
    return client
  }
  const as = async (kind: RoleKind) => connect(await set.createUser(databaseRole(kind), kind))

  before(async () => {
    set = await startReplicaSet({ auth: true })
  })

  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await set.stop()
  })

  it('are found in full by whom they were given to', async () => {
    for (const kind of ROLE_KINDS) assert.equal(await missingRights(await as(kind), kind), undefined, kind)
  })

  it('are missing for more than that, and named', async () => {
    await requireRights(await as('agent'), 'backup-agent')
    await assert.rejects(requireRights(await as('backup-agent'), 'agent'), {
      code: 'RIGHTS_MISSING',
      message: /backup-agent@admin.*applyOps, forceUUID, setParameter on the cluster.*insert.* on admin\.system\.roles/,
    })
    const missing = await missingRights(await as('viewer'), 'operator')
    assert.deepEqual(
      missing?.missing.map(({ actions }) => actions),
      [['update'], ['convertToCapped', 'createCollection', 'insert'], ['insert', 'update'], ['update']],
    )
    assert.ok((await missingRights(await as('agent'), 'agent', { sharded: true })) !== undefined)
  })

  it("are there with the roles that PBM's documents ask for", async () => {
    const role = {
      name: 'pbmAnyAction',
      privileges: [{ resource: { anyResource: true }, actions: ['anyAction'] }],
      roles: ['readWrite', 'backup', 'clusterMonitor', 'restore'],
    }
    const client = await connect(await set.createUser(role, 'pbm'))
    assert.equal(await missingRights(client, 'agent', { sharded: true }), undefined)
  })

  it('let a viewer read what there is and write nothing', async () => {
    const admin = (await as('viewer')).db('admin')
    assert.deepEqual(await admin.collection('pbmBackups').find().toArray(), [])
    await assert.rejects(admin.collection('pbmCmd').insertOne({}), { codeName: 'Unauthorized' })
    await assert.rejects(admin.collection('system.users').find().toArray(), { codeName: 'Unauthorized' })
  })

  it('let an operator send commands, and touch no data', async () => {
    const client = await as('operator')
    await client.db('admin').collection('pbmCmd').insertOne({ cmd: 'nothing' })
    await assert.rejects(client.db('admin').collection('pbmBackups').deleteMany({}), { codeName: 'Unauthorized' })
    await assert.rejects(client.db('shop').collection('orders').find().toArray(), { codeName: 'Unauthorized' })
  })

  it('let an agent replay what an oplog may hold, and a backup agent nothing of it', async () => {
    const operations = [
      { op: 'c', ns: 'shop.$cmd', o: { create: 'system.views' } },
      { op: 'i', ns: 'shop.system.views', o: { _id: 'shop.few', viewOn: 'orders', pipeline: [] } },
      {
        op: 'u',
        ns: 'shop.system.views',
        o2: { _id: 'shop.few' },
        o: { _id: 'shop.few', viewOn: 'o', pipeline: [] },
        b: true,
      },
      { op: 'd', ns: 'shop.system.views', o: { _id: 'shop.few' } },
      { op: 'c', ns: 'shop.$cmd', o: { create: 'system.js' } },
      { op: 'i', ns: 'shop.system.js', o: { _id: 'one', value: 1 } },
      { op: 'c', ns: 'shop.$cmd', o: { create: 'a' } },
      { op: 'c', ns: 'shop.$cmd', o: { create: 'b' } },
      { op: 'c', ns: 'shop.$cmd', o: { create: 'log', capped: true, size: 4096 } },
      { op: 'c', ns: 'shop.$cmd', o: { collMod: 'a', validationLevel: 'moderate' } },
      { op: 'c', ns: 'shop.$cmd', o: { renameCollection: 'shop.a', to: 'shop.b', dropTarget: true } },
      { op: 'c', ns: 'shop.$cmd', o: { drop: 'b' } },
      { op: 'c', ns: 'shop.$cmd', o: { dropDatabase: 1 } },
      { op: 'i', ns: 'admin.system.roles', o: { _id: 'shop.r', role: 'r', db: 'shop', privileges: [], roles: [] } },
      { op: 'd', ns: 'admin.system.roles', o: { _id: 'shop.r' } },
    ]
    const more = { bypassDocumentValidation: true, allowAtomic: false }
    const [agent, backups] = [await as('agent'), await as('backup-agent')]
    for (const operation of operations) {
      await assert.rejects(applyOps(backups, [operation], { more }), { codeName: 'Unauthorized' })
      await applyOps(agent, [operation], { more }).catch((error: unknown) =>
        assert.fail(`${JSON.stringify(operation)}: ${error}`),
      )
    }
  })
})
