import assert from 'node:assert/strict'
import { compareStates, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { listAgents } from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  objectsOn,
  outputs,
  restoreEnded,
  startCluster,
  unlocked,
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
})
