import assert from 'node:assert/strict'
import { connectLeader, listAgents, majorityStatus, sendCommand, unacknowledged } from '@pbmkit/core'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  restoreEnded,
  sendBackup,
  sendRestore,
  startCluster,
  until,
} from './cluster.support.js'

const LOCAL = 'w=1&readConcernLevel=local'

describe('a replica set without a majority that holds data', () => {
  let cluster: Cluster
  let agent: AgentProcess
  before(async () => {
    const memberConfig = { 1: { priority: 0 }, 2: { arbiterOnly: true } }
    cluster = await startCluster({ members: 3, memberConfig, agents: 1 })
    await loadSmallData(cluster.admin)
    await cluster.configure(filesystemConfig(cluster.storage))
    await cluster.set.members[1]?.kill('SIGKILL')
    const [first] = cluster.agents
    assert.ok(first)
    agent = first
  })
  after(() => cluster.stop())

  const connected = (options: string, onWaiting: (text: string) => void = () => undefined) =>
    connectLeader(`${cluster.set.uri({ user: 'pbmuser' })}&${options}`, { appName: 'test', onWaiting })

  it('is told by who waits, and what is not acknowledged is said as that', async () => {
    await until('the primary to notice', async () => !(await majorityStatus(cluster.leader)).isThere)
    const said: string[] = []
    const { client } = await connected('wtimeoutMS=4000', (text) => said.push(text))
    try {
      await assert.rejects(sendCommand(client, { cmd: 'cancelBackup' }), (error) => {
        assert.equal(unacknowledged(error)?.code, 'NOT_ACKNOWLEDGED')
        return true
      })
      assert.match(
        said.join(),
        /waiting for insert on admin\.pbmCmd to be acknowledged by a majority of replica set rs0: \S+ is /,
      )
    } finally {
      await client.close()
    }
  })

  it('leaves its agent alive, which says what it waits for and ends when it is told to', async () => {
    await until('the agent to tell', async () => /command \w+ waits until a majority/.test(agent.output()))
    const reported = async () => (await listAgents(cluster.leader))[0]?.hb.toString()
    const before = await reported()
    await until('another report', async () => (await reported()) !== before)
    assert.equal(await agent.stop(), 0, agent.output())
    assert.deepEqual(await listAgents(cluster.leader), [])
  })

  it('is backed up and restored by who asks for no majority', async () => {
    await cluster.startAgent(agent.member, { uriOptions: LOCAL })
    const { client } = await connected(LOCAL)
    try {
      await client.db('work').collection('types').insertOne({ late: true })
      const backup = await backupEnded({ ...cluster, leader: client }, await sendBackup(client))
      assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
      for (const name of ['types', 'orders']) await client.db('work').dropCollection(name)
      const restore = await restoreEnded({ ...cluster, leader: client }, await sendRestore(client, backup.name))
      assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
      assert.equal(await client.db('work').collection('types').countDocuments({ late: true }), 1)
      assert.equal((await client.db('work').collection('orders').indexes()).length, 2)
    } finally {
      await client.close()
    }
  })
})
