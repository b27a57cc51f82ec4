import assert from 'node:assert/strict'
import { compareStates, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, listBackups } from '@pbmkit/core'
import { Long } from 'mongodb'
import {
  backupEnded,
  loadSmallData,
  objectsOn,
  outputs,
  passSeconds,
  restoreEnded,
  unlocked,
  until,
} from './cluster.support.js'
import { type HeldCluster, PLACES, startHeldCluster } from './held-storage.support.js'

describe('agents killed in the middle of their work', () => {
  let cluster: HeldCluster
  before(async () => {
    // Without the reading-through before it, a restore stands still in the states that come after.
    cluster = await startHeldCluster({ config: 'restore:\n  verify: false\n' })
    await loadSmallData(cluster.admin)
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  for (const { place, state, what } of PLACES) {
    it(`a backup in state ${state}, while it writes ${what}`, async () => {
      const { name, agent } = await cluster.heldBackup(place, state)
      await agent.stop('SIGKILL')
      await passSeconds(cluster, 35)
      await Promise.all([
        cluster.failedAndClean(name, 'error', new RegExp(`died in state ${state}.*no heartbeat`)),
        cluster.startAgent(agent.member),
      ])
      await cluster.letGo(place)
      const next = await cluster.backupWorks()
      const listed = (await objectsOn(cluster.storage)).filter((object) => object.endsWith('.pbm.json'))
      assert.ok(listed.includes(`${next}.pbm.json`) && !listed.includes(`${name}.pbm.json`))
    })
  }

  it('a backup whose nodes are being elected, with the agent that leads it and the one it asked', async () => {
    const primary = (await cluster.set.primary()).host
    const others = cluster.set.members.filter(({ host }) => host !== primary)
    const asked = others.map(({ host }) => cluster.agentOf(host))
    // Nobody can answer.
    for (const agent of asked) agent.signal('SIGSTOP')
    const name = await cluster.backup()
    let nominee: string | undefined
    await until('a nomination', async () => {
      const backup = await findBackup(cluster.leader, name)
      nominee = backup?.n[0]?.n[0]
      return nominee !== undefined
    })
    const killed = [primary, nominee ?? ''].map((host) => cluster.agentOf(host))
    await Promise.all(killed.map((agent) => agent.stop('SIGKILL')))
    for (const agent of asked) if (agent.running) agent.signal('SIGCONT')
    await passSeconds(cluster, 35)
    const failed = backupEnded(cluster, name)
    await Promise.all([failed, ...killed.map(({ member }) => cluster.startAgent(member))])
    // The one left may have been asked in the last moment; then it makes the backup alone.
    const { status, error } = await failed
    if (status !== 'done') assert.match(error ?? '', /died in state starting/, outputs(cluster))
    await unlocked(cluster)
    await cluster.backupWorks()
  })

  it('not killed: hanging for longer than the others wait. It does no more harm when it goes on', async () => {
    const { name, agent } = await cluster.heldBackup('record', 'dumpDone')
    agent.signal('SIGSTOP')
    await passSeconds(cluster, 35)
    await cluster.failedAndClean(name, 'error', /no heartbeat/)
    await cluster.letGo('record')
    agent.signal('SIGCONT')
    await until('it to notice', async () => /backup failed: /.test(agent.output()))
    await cluster.failedAndClean(name, 'error', /no heartbeat/)
    await cluster.backupWorks()
  })

  it('a restore, and the other agents mark it', async () => {
    const before = await snapshotState(cluster.admin)
    const backup = await cluster.backupWorks()
    const name = await cluster.heldRestore('types', backup, 'running')
    const agent = cluster.agentOf((await cluster.set.primary()).host)
    await agent.stop('SIGKILL')
    await passSeconds(cluster, 35)
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error', outputs(cluster))
    assert.match(restore.error ?? '', /died in state running/)
    await cluster.heal()
    await unlocked(cluster)
    await cluster.startAgent(agent.member)
    const again = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([again.status, again.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
  })

  it('one that cleans up after another, and the next one goes on', async () => {
    // The collections are stored by then.
    const { name, agent } = await cluster.heldBackup('list')
    await agent.stop('SIGKILL')
    // Whoever leads now can't delete, as when it dies before it gets to it.
    await cluster.fail('STORAGE_UNAVAILABLE')
    await passSeconds(cluster, 35)
    assert.equal((await backupEnded(cluster, name)).status, 'error')
    await unlocked(cluster)
    assert.ok((await objectsOn(cluster.storage)).some((object) => object.startsWith(name)))
    const leads = cluster.agentOf((await cluster.set.primary()).host)
    await leads.stop('SIGKILL')
    await cluster.heal()
    await Promise.all([agent, leads].map(({ member }) => cluster.startAgent(member)))
    await until(
      'its objects to be gone',
      async () => !(await objectsOn(cluster.storage)).some((object) => object.startsWith(name)),
    )
    assert.equal((await listBackups(cluster.leader)).find((one) => one.name === name)?.status, 'error')
    await cluster.backupWorks()
  })

  it('between the last object and saying so, and the one that marks it: it goes, unlike that of another cluster', async () => {
    const whole = await cluster.backupWorks()
    const foreign = await cluster.backupWorks()
    const records = cluster.admin.db('admin').collection('pbmBackups')
    // What the two leave; the newest is looked at first.
    const failed = { status: 'error', conditions: [{ timestamp: Long.ONE, status: 'error' }] }
    await records.updateOne({ name: foreign }, { $set: { ...failed, opid: '0'.repeat(24) } })
    await records.updateOne({ name: whole }, { $set: failed })
    const there = async (name: string) => (await objectsOn(cluster.storage)).some((object) => object.startsWith(name))
    await until('its objects to be gone', async () => !(await there(whole)))
    assert.equal(await there(foreign), true)
    assert.equal((await findBackup(cluster.leader, whole))?.status, 'error')
    await records.deleteOne({ name: foreign })
  })
})
