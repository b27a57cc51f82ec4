import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'
import { clusterTime, insertRestore, listAgents, listRestores } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'

describe('an agent whose mongod comes and goes', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ members: 1, agents: 0 })
    await loadSmallData(cluster.admin)
  })
  after(() => cluster.stop())

  async function backupWorks(): Promise<void> {
    await cluster.agentsWell()
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
  }

  it('waits for a mongod that is not up yet', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    await member.kill('SIGKILL')
    const agent = await cluster.startAgent(member, { notReady: true })
    await until('it to say that it waits', async () => /waiting up to 60 s/.test(agent.output()))
    await member.restart()
    await until('it to start', async () => /started beside/.test(agent.output()))
    await cluster.configure(filesystemConfig(cluster.storage))
    await backupWorks()
  })

  it('goes on when its mongod was restarted', async () => {
    const [member] = cluster.set.members
    const [agent] = cluster.agents
    assert.ok(member && agent)
    await member.kill('SIGKILL')
    await until('the loss to be told', async () => /can't be reached|interrupted|cannot look for/.test(agent.output()))
    await member.restart()
    await cluster.set.ready()
    await backupWorks()
    assert.ok(agent.running)
  })

  it('takes over what a changed file says of its log, and on SIGHUP', async () => {
    const [member] = cluster.set.members
    const [agent] = cluster.agents
    assert.ok(member && agent)
    assert.equal(await agent.stop(), 0, agent.output())
    const file = join(await temporaryFolder('pbmkit-agent-settings-'), 'agent.yaml')
    await writeFile(file, 'log:\n  level: I\n')
    const next = await cluster.startAgent(member, { args: ['--config', file] })
    await writeFile(file, 'log:\n  level: W\n')
    // Its own line about it is of level I: seen only on the way back.
    await writeFile(file, 'log:\n  level: D\n')
    await until('the change to be read', async () => /read again: log level D/.test(next.output()))
    const told = next.output().length
    next.signal('SIGHUP')
    await until('it to be read again', async () => /read again: log level D/.test(next.output().slice(told)))
    await writeFile(file, 'log:\n  level: loud\n')
    await until('the fault to be told', async () => /settings stay as they are: .*loud/s.test(next.output()))
    assert.ok(next.running)
    assert.equal((await listAgents(cluster.leader)).length, 1)
  })

  it('switches the TTL monitor on again that it had switched off when it was killed', async () => {
    const { leader, admin } = cluster
    const agent = cluster.agents.find(({ running }) => running)
    assert.ok(agent)
    const { member } = agent
    await agent.stop('SIGKILL')
    await admin.db('admin').command({ setParameter: 1, ttlMonitorEnabled: false })
    // Long enough ago to be dead at once.
    const hb = new Timestamp({ t: (await clusterTime(leader)).t - 60, i: 1 })
    const [none, never] = [null, new Timestamp(0n)]
    const begun = { status: 'running' as const, start_ts: 0, last_transition_ts: 0, conditions: [], hb }
    const open = { committed_txn: none, txn_set: false, partial_txn: none, op: never, last_write_ts: never }
    const replset = { ...begun, ...open, name: 'rs0', node: member.host, ttl_monitor_off: true }
    const kind = { backup: '', type: 'logical' as const, bcp_chain: none, start_pitr: 0, pitr: 0 }
    const replay = { ...begun, ...kind, name: 'killed', opid: 'killed' }
    await insertRestore(leader, { ...replay, replsets: [replset] })
    const again = await cluster.startAgent(member)
    // As long as nobody has said that it is dead, it may be under way.
    await until('the monitor to be on', async () => {
      const { ttlMonitorEnabled } = await admin.db('admin').command({ getParameter: 1, ttlMonitorEnabled: 1 })
      return ttlMonitorEnabled === true
    })
    const [found] = await listRestores(leader)
    assert.equal(found?.status, 'error', again.output())
    await until(
      'the record to say so',
      async () => (await listRestores(leader))[0]?.replsets[0]?.ttl_monitor_off === false,
    )
  })
})
