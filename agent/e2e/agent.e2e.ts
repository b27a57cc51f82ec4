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
    cluster = await startCluster({ args: ['--metrics-listen', '127.0.0.1:0'] })
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

  it('tell Prometheus what happened', async () => {
    for (const agent of cluster.agents) {
      const [, url = ''] = /metrics are served at (\S+)\/metrics/.exec(agent.output()) ?? []
      assert.equal((await fetch(`${url}/readyz`)).status, 200)
      const metrics = await (await fetch(`${url}/metrics`)).text()
      const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1])
      const main = '{type="logical",profile="main"}'
      const ended = value(`pbmkit_backup_last_success_timestamp_seconds${main}`)
      assert.ok(Math.abs(Date.now() / 1000 - ended) < 600, metrics)
      assert.ok(value(`pbmkit_backup_last_size_bytes{type="logical",profile="main",replica_set="rs0"}`) > 0)
      assert.ok(value('pbmkit_restore_last_success_timestamp_seconds') >= ended)
      assert.ok(value('pbmkit_newest_restorable_timestamp_seconds') <= ended)
      assert.equal(value('pbmkit_operation_running{operation="backup"}'), 0)
      assert.equal(value('pbmkit_pitr_enabled'), 0)
      for (const { host } of cluster.set.members)
        assert.equal(value(`pbmkit_agent_up{replica_set="rs0",node="${host}"}`), 1)
      assert.ok(value('pbmkit_storage_call_duration_seconds_count{call="stat"}') > 0)
      assert.equal(value('pbmkit_control_read_errors_total'), 0)
      assert.ok(value('nodejs_eventloop_lag_seconds') >= 0 && value('process_resident_memory_bytes') > 0)
      assert.ok(!metrics.includes(cluster.storage), 'nothing of the configuration')
    }
  })
})
