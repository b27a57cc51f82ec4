import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type ReplicaSet, startReplicaSet, startStandalone } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { databaseRole } from '../control/roles.js'
import { errorText, PbmError } from '../errors.js'
import { clusterTime, secondsOf } from './cluster-time.js'
import { connectLeader, connectNode } from './connect.js'
import { clusterMembers, nodeInfo } from './topology.js'

const app = { appName: 'test' }

async function refusal(attempt: Promise<MongoClient | { client: MongoClient }>): Promise<PbmError> {
  try {
    const opened = await attempt
    await ('client' in opened ? opened.client : opened).close()
  } catch (error) {
    assert(error instanceof PbmError, errorText(error))
    return error
  }
  throw new assert.AssertionError({ message: 'connected' })
}

describe('connections', () => {
  let set: ReplicaSet
  const opened: MongoClient[] = []
  const node = async (uri: string) => {
    const client = await connectNode(uri, app)
    opened.push(client)
    return client
  }
  const leader = async (uri: string) => {
    const found = await connectLeader(uri, app)
    opened.push(found.client)
    return found
  }

  before(async () => {
    set = await startReplicaSet({ members: 3, auth: true, hiddenMembers: [2] })
    await set.createUser(databaseRole('agent'))
    // A user exists once a majority has it; these tests ask every member.
    const admin = await set.client()
    await admin
      .db('admin')
      .collection('probe')
      .insertOne({}, { writeConcern: { w: 3 } })
  })
  after(() => set.stop())
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((client) => client.close()))
  })

  it('reaches exactly the member named, as what it is', async () => {
    const infos = await Promise.all(
      [0, 1, 2].map(async (member) =>
        nodeInfo(await node(set.uri({ member, user: await set.createUser(databaseRole('agent')) }))),
      ),
    )
    assert.deepEqual(
      infos.map(({ me }) => me),
      set.members.map(({ host }) => host),
    )
    assert.equal(infos.filter(({ isPrimary }) => isPrimary).length, 1)
    assert.deepEqual(
      infos.map(({ hidden }) => hidden),
      [false, false, true],
    )
    for (const info of infos) {
      assert.equal(info.rs, set.name)
      assert.equal(info.isClusterLeader, info.isPrimary)
      assert.match(info.version, /^\d+\.\d+\.\d+/)
      assert.equal(info.fcv, info.version.split('.').slice(0, 2).join('.'))
      assert(secondsOf(info.majorityLastWrite) > 1_600_000_000)
    }
  })

  it('finds the primary from the URI of any member, direct ones and those without a scheme too', async () => {
    const user = await set.createUser(databaseRole('agent'))
    const primary = (await set.primary()).host
    for (const uri of [
      set.uri({ member: 0, user }),
      set.uri({ member: 2, user, direct: true }),
      set.uri({ user }).replace('mongodb://', ''),
    ]) {
      const { client, replset } = await leader(uri)
      assert.equal(replset, set.name)
      assert.equal((await nodeInfo(client)).me, primary)
      assert(secondsOf(await clusterTime(client)) > 1_600_000_000)
    }
  })

  it('tells the members and their roles', async () => {
    const { client } = await leader(set.uri())
    const [replset, ...others] = await clusterMembers(client)
    assert.deepEqual(others, [])
    assert.deepEqual(replset?.members.map(({ role }) => role).sort(), ['hidden', 'primary', 'secondary'])
    assert.deepEqual(
      replset?.members.map(({ host }) => host),
      set.members.map(({ host }) => host),
    )
  })

  it('read and write by majority whatever the URI says, unless it does without one', async () => {
    const concerns = async (options: string) => {
      const { client } = await leader(`${set.uri()}&${options}`)
      const { readConcern, writeConcern, options: used } = client
      return [readConcern?.level, writeConcern?.w, writeConcern?.journal, used.maxPoolSize]
    }
    assert.deepEqual(await concerns('w=3&journal=false&maxPoolSize=1'), ['majority', 'majority', undefined, 20])
    assert.deepEqual(await concerns('readConcernLevel=local&maxPoolSize=50'), ['majority', 'majority', undefined, 50])
    assert.deepEqual(await concerns('w=1&readConcernLevel=local&j=true'), ['local', 1, undefined, 100])
  })

  it('follows an election', async () => {
    const { client } = await leader(set.uri())
    await set.stepDown(20)
    assert.equal((await nodeInfo(client)).me, (await set.primary()).host)
    await client.db('admin').collection('probe').insertOne({})
  })

  it('refuses wrong credentials without repeating them', async () => {
    for (const attempt of [connectNode, connectLeader]) {
      const uri = set.uri({ member: 0, password: 'Geheim%wort' })
      const error = await refusal(attempt(uri, app))
      assert.equal(error.code, 'AUTHENTICATION')
      assert.match(error.message, new RegExp(set.members[0]?.host ?? 'none'))
      assert.doesNotMatch(errorText(error), /Geheim/)
    }
  })

  it('refuses to go without credentials where they are needed', async () => {
    const host = set.members[0]?.host
    assert.equal((await refusal(connectNode(`mongodb://${host}`, app))).code, 'UNAUTHORIZED')
    assert.equal((await refusal(connectLeader(`mongodb://${host}`, app))).code, 'UNAUTHORIZED')
  })

  it('refuses a replica set of another name', async () => {
    const uri = set.uri({ member: 0 }).replace(/replicaSet=\w+/, 'replicaSet=other')
    assert.equal((await refusal(connectNode(uri, app))).code, 'REPLICA_SET_NAME')
    assert.equal((await refusal(connectLeader(uri, app))).code, 'REPLICA_SET_NAME')
  })

  it('asks which of several hosts is meant', async () => {
    assert.equal((await refusal(connectNode(set.uri(), app))).code, 'NODE_AMBIGUOUS')
  })

  it('names the host that cannot be reached', async () => {
    const server: Server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const options = 'serverSelectionTimeoutMS=300'
    try {
      const closing = await refusal(connectNode(`mongodb://127.0.0.1:${port}/?${options}`, app))
      assert.equal(closing.code, 'UNREACHABLE')
      assert.match(closing.message, /demands TLS/)
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    for (const attempt of [connectNode, connectLeader]) {
      const error = await refusal(attempt(`mongodb://u:secret@127.0.0.1:${port}/?${options}`, app))
      assert.equal(error.code, 'UNREACHABLE')
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`))
      assert.doesNotMatch(errorText(error), /secret/)
    }
  })

  it('names a TLS file that is missing', async () => {
    const uri = `${set.uri({ member: 0 })}&tls=true&tlsCAFile=/no/such/file.pem`
    const error = await refusal(connectNode(uri, app))
    assert.equal(error.code, 'TLS_FILE')
    assert.match(error.message, /\/no\/such\/file\.pem/)
  })

  it('tells a replica set without a primary from one that cannot be reached', async () => {
    const lone = await startReplicaSet({ members: 2 })
    try {
      await (await lone.primary()).kill('SIGKILL')
      const error = await refusal(connectLeader(`${lone.uri()}&serverSelectionTimeoutMS=1000`, app))
      assert.equal(error.code, 'NO_PRIMARY')
      assert.match(error.message, /rs0/)
    } finally {
      await lone.stop()
    }
  })

  it('refuses a standalone', async () => {
    const standalone = await startStandalone()
    try {
      assert.equal((await refusal(connectNode(standalone.uri(), app))).code, 'STANDALONE')
      assert.equal((await refusal(connectLeader(standalone.uri(), app))).code, 'STANDALONE')
    } finally {
      await standalone.stop()
    }
  })

  it('connects by TLS and tells what is wrong with it', async () => {
    const secure = await startReplicaSet({ tls: true })
    try {
      await node(secure.uri({ member: 0 }))
      await leader(secure.uri())
      const host = secure.members[0]?.host
      const options = 'serverSelectionTimeoutMS=500'
      for (const attempt of [connectNode, connectLeader]) {
        const untrusted = await refusal(attempt(`mongodb://${host}/?tls=true&${options}`, app))
        assert.equal(untrusted.code, 'TLS')
        assert.match(String(untrusted.hint), /tlsCAFile=/)
        const plain = await refusal(attempt(`mongodb://${host}/?${options}`, app))
        assert.match(plain.message, /demands TLS/)
        assert.match(String(plain.hint), /tls=true/)
        const toPlain = await refusal(attempt(`mongodb://${set.members[0]?.host}/?tls=true&${options}`, app))
        assert.equal(toPlain.code, 'TLS')
        assert.match(toPlain.message, /the server does not speak it/)
        const nameless = `mongodb://${host}/?tls=true&tlsCAFile=${secure.tls?.ca}&authMechanism=MONGODB-X509&${options}`
        assert.match(String((await refusal(attempt(nameless, app))).hint), /tlsCertificateKeyFile/)
      }
    } finally {
      await secure.stop()
    }
  })
})
