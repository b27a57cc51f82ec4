import assert from 'node:assert/strict'
import { MongoClient } from 'mongodb'
import { type ReplicaSet, startReplicaSet, startStandalone } from './index.js'

async function ping(uri: string): Promise<void> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 2_000 })
  try {
    await client.db('admin').command({ listDatabases: 1, nameOnly: true })
  } finally {
    await client.close()
  }
}

describe('a replica set of three with authentication', () => {
  let set: ReplicaSet

  before(async () => {
    set = await startReplicaSet({ members: 3, auth: true, name: 'three', memberConfig: { 2: { tags: { site: 'b' } } } })
  })
  after(() => set.stop())

  it('has one primary and two secondaries, configured as asked', async () => {
    assert.equal((await set.secondaries()).length, 2)
    const { config } = await (await set.client()).db('admin').command({ replSetGetConfig: 1 })
    assert.equal(config._id, 'three')
    assert.deepEqual(config.members[2].tags, { site: 'b' })
    assert.equal(config.settings.electionTimeoutMillis, 5_000)
  })

  it('refuses who does not know the password', async () => {
    await assert.rejects(ping(set.uri({ user: false })), { codeName: 'Unauthorized' })
    await assert.rejects(ping(set.uri({ password: 'wrong' })), { codeName: 'AuthenticationFailed' })
  })

  it('makes a user with one role and no other, on every member', async () => {
    const role = { name: 'reader', privileges: [], roles: ['read'] }
    const user = await set.createUser(role)
    assert.equal(await set.createUser(role), user)
    for (const member of set.members) {
      const client = await MongoClient.connect(member.uri({ user }))
      const { authInfo } = await client.db('admin').command({ connectionStatus: 1 })
      await client.close()
      const roles = authInfo.authenticatedUserRoles.map(({ role }: { role: string }) => role).sort()
      assert.deepEqual(roles, ['read', 'reader'])
    }
  })

  it('elects another primary when told to step down', async () => {
    const before = await set.primary()
    const after = await set.stepDown()
    assert.notEqual(after, before)
    await set.ready()
    await (await set.client())
      .db('x')
      .collection('y')
      .insertOne({ after: 'step-down' }, { writeConcern: { w: 3 } })
  })

  it('survives a killed primary, which comes back with its data', async () => {
    const before = await set.primary()
    await before.kill()
    assert.equal(before.running, false)
    assert.notEqual(await set.primary(), before)
    await (await set.client()).db('x').collection('y').insertOne({ after: 'kill' })
    await before.restart()
    await set.ready()
    const client = await MongoClient.connect(before.uri(), { readPreference: 'secondaryPreferred' })
    assert.equal(await client.db('x').collection('y').countDocuments({ after: 'step-down' }), 1)
    await client.close()
  })

  it('elects another primary when the first hangs, and takes it back', async () => {
    const before = await set.primary()
    before.pause()
    assert.notEqual(await set.primary(), before)
    before.resume()
    await set.ready()
  })
})

describe('other shapes', () => {
  it('hides members and makes arbiters', async () => {
    const set = await startReplicaSet({ members: 3, hiddenMembers: [1], memberConfig: { 2: { arbiterOnly: true } } })
    try {
      const reply = await (await set.client()).db('admin').command({ hello: 1 })
      const [first, , third] = set.members
      assert.deepEqual(reply.hosts, [first?.host])
      assert.deepEqual(reply.arbiters, [third?.host])
      assert.equal(await set.primary(), first)
    } finally {
      await set.stop()
    }
  })

  it('encrypts every connection', async () => {
    const set = await startReplicaSet({ members: 2, auth: true, tls: true })
    try {
      await ping(set.adminUri)
      const plain = set.uri().replace(/&tls=true.*/, '')
      await assert.rejects(ping(plain), { name: 'MongoServerSelectionError' })
    } finally {
      await set.stop()
    }
  })

  it('starts a server that is no member', async () => {
    const server = await startStandalone({ auth: true, tls: true })
    try {
      const reply = await (await server.client()).db('admin').command({ hello: 1 })
      assert.equal(reply.setName, undefined)
      await assert.rejects(ping(server.uri({ user: false })), { codeName: 'Unauthorized' })
      await server.restart()
      await ping(server.uri())
    } finally {
      await server.stop()
    }
  })

  it('tells why a server does not start', async () => {
    await assert.rejects(startStandalone({ mongodArgs: ['--noSuchOption'] }), /ended at once \(exit code 2\)/)
  })
})
