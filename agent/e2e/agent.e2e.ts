import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { compareStates, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, listAgents, queryLog } from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  objectsOn,
  outputs,
  restoreEnded,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'

describe('three agents beside a replica set', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster()
    await cluster.configure(filesystemConfig(cluster.storage))
    await loadSampleData(cluster.admin)
  })
  after(() => cluster.stop())

  it('report their nodes', async () => {
    const agents = await listAgents(cluster.leader)
    assert.deepEqual(agents.map(({ n }) => n).sort(), cluster.set.members.map(({ host }) => host).sort())
    assert.deepEqual(agents.map(({ str }) => str).sort(), ['PRIMARY', 'SECONDARY', 'SECONDARY'])
    for (const agent of agents)
      assert.deepEqual(
        [agent.pbms, agent.nodes, agent.stors].map(({ ok }) => ok),
        [true, true, true],
      )
  })

  it('back up and restore exactly', async () => {
    const before = await snapshotState(cluster.admin)
    const name = await cluster.backup()
    const backup = await backupEnded(cluster, name)
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    for (const { name: db } of (await cluster.admin.db().admin().listDatabases()).databases) {
      if (!['admin', 'config', 'local'].includes(db)) await cluster.admin.db(db).dropDatabase()
    }
    const restore = await restoreEnded(cluster, await cluster.restore(name))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
    assert.ok((await objectsOn(cluster.storage)).includes(`${name}.pbm.json`))
  })

  it('leave no record of a backup that was asked for while another one ran', async () => {
    const first = await cluster.backup({ name: '2031-02-03T04:05:06Z' })
    await setTimeout(100)
    await cluster.backup({ name: '2031-02-03T04:05:07Z' })
    await until('the second one to be refused', async () => {
      const said = await queryLog(cluster.leader, { severity: 1, tail: 100 })
      return said.some(
        ({ eobj, msg }) => eobj === '2031-02-03T04:05:07Z' && msg.includes('another operation is running'),
      )
    })
    assert.equal((await backupEnded(cluster, first)).status, 'done', outputs(cluster))
    await unlocked(cluster)
    assert.equal(await findBackup(cluster.leader, '2031-02-03T04:05:07Z'), undefined, outputs(cluster))
  })
})
