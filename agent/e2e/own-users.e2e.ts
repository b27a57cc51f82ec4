import assert from 'node:assert/strict'
import { isAgentOk, listAgents } from '@pbmkit/core'
import { MongoClient, ObjectId } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  restoreEnded,
  sendRestore,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'

describe('agents with users of their own', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ members: 2, agents: 1, args: ['--check-user', '1'] })
    await loadSmallData(cluster.admin)
    await cluster.configure(filesystemConfig(cluster.storage))
  })
  after(() => cluster.stop())

  const users = async () => {
    const found = await cluster.admin.db('admin').collection('system.users').find().toArray()
    return found.map(({ _id }) => String(_id)).sort()
  }
  const second = async () => {
    const host = cluster.set.members[1]?.host
    return (await listAgents(cluster.leader)).find(({ n }) => n === host)
  }
  const makeUser = (user: string, pwd: string, roles: string[]) =>
    cluster.admin.db('admin').command({ createUser: user, pwd, roles, writeConcern: { w: 'majority' } })

  it('stay who they are in a restore, as does who asks for it, with the passwords of now', async () => {
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.equal(backup.status, 'done', outputs(cluster))
    await unlocked(cluster)
    const admin = cluster.admin.db('admin')
    const grants = { privileges: [], roles: ['readWrite', 'clusterMonitor'], writeConcern: { w: 'majority' } }
    await admin.command({ createRole: 'operating', ...grants })
    await makeUser('second', 'first-word', ['pbmkitAgent'])
    await makeUser('operator', 'operator', ['operating'])
    await makeUser('late', 'late', ['root'])
    cluster.set.rememberUser('second', 'first-word')
    cluster.set.rememberUser('operator', 'operator')
    const [, member] = cluster.set.members
    assert.ok(member)
    await cluster.startAgent(member, { user: 'second' })
    await cluster.agentsWell()
    assert.equal((await second())?.user, 'admin.second')
    await admin.command({ updateUser: 'second', pwd: 'second-word', writeConcern: { w: 'majority' } })
    await cluster.admin.db('work').command({ dropUser: 'clerk' })

    const operator = await MongoClient.connect(cluster.set.uri({ user: 'operator' }))
    try {
      const name = await sendRestore(operator, backup.name)
      const restore = await restoreEnded({ ...cluster, leader: operator }, name)
      assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    } finally {
      await operator.close()
    }
    await unlocked(cluster)
    const known = ['admin.boss', 'admin.operator', 'admin.pbmuser', 'admin.second', 'work.clerk']
    assert.deepEqual(await users(), known)
    const roles = await admin.command({ rolesInfo: 'operating', showPrivileges: true })
    assert.equal(roles.roles[0]?.inheritedRoles.length, 2)
  })

  it('are not OK when the password that they were given is wrong by now', async () => {
    const isTold = async () => {
      const agent = await second()
      return agent !== undefined && !isAgentOk(agent) && /refused the credentials/.test(agent.nodes.e)
    }
    await until('the wrong password to be told', isTold).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(cluster)}`)
    })
    const [, agent] = cluster.agents
    assert.ok(agent)
    assert.doesNotMatch(outputs(cluster), /first-word/)
    await agent.stop()
    cluster.set.rememberUser('second', 'second-word')
    await cluster.startAgent(agent.member, { user: 'second' })
    await cluster.agentsWell()
  })

  it('are kept as they are, if they are: a command that names others does nothing for them', async () => {
    await cluster.admin.db('work').command({ dropUser: 'clerk', writeConcern: { w: 'majority' } })
    const commands = cluster.admin.db('admin').collection('pbmCmd')
    const last = await commands.findOne({ cmd: 'restore' })
    assert.equal(last?.restore.sender, 'admin.operator')
    const name = `${new Date().toISOString().replace('Z', '')}000000Z`
    const restore = { ...last.restore, name, sender: 'work.clerk' }
    await commands.insertOne({ ...last, _id: new ObjectId(), ts: Math.floor(Date.now() / 1000), restore })
    assert.equal((await restoreEnded(cluster, name)).status, 'done', outputs(cluster))
    assert.deepEqual(await users(), ['admin.boss', 'admin.pbmuser', 'admin.second', 'work.clerk'])
  })
})
