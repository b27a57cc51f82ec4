import assert from 'node:assert/strict'
import { compareStates, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, listAgents, queryLog, sendCommand } from '@pbmkit/core'
import { backupEnded, loadSmallData, outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.support.js'
import { type HeldCluster, PLACES, startHeldCluster } from './held-storage.support.js'

describe('work that is stopped or moved', () => {
  let cluster: HeldCluster
  before(async () => {
    cluster = await startHeldCluster({ config: 'restore:\n  verify: false\n' })
    await loadSmallData(cluster.admin)
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  for (const { place, state, what } of PLACES) {
    it(`a backup cancelled in state ${state}, while it writes ${what}`, async () => {
      const { name } = await cluster.heldBackup(place, state)
      await sendCommand(cluster.leader, { cmd: 'cancelBackup' })
      await cluster.failedAndClean(name, 'canceled', /canceled/)
    })
  }

  it('a backup cancelled before anybody has a record of it', async () => {
    const name = await cluster.backup()
    await sendCommand(cluster.leader, { cmd: 'cancelBackup' })
    await cluster.failedAndClean(name, 'canceled', /canceled/)
  })

  it('a backup that is asked for while another one runs leaves no record', async () => {
    const { name } = await cluster.heldBackup('types')
    const second = '2031-02-03T04:05:07Z'
    await cluster.backup({ name: second })
    await until('the second one to be refused', async () => {
      const said = await queryLog(cluster.leader, { severity: 1, tail: 100 })
      return said.some(({ eobj, msg }) => eobj === second && msg.includes('another operation is running'))
    })
    await cluster.letGo('types')
    assert.equal((await backupEnded(cluster, name)).status, 'done', outputs(cluster))
    await unlocked(cluster)
    assert.equal(await findBackup(cluster.leader, second), undefined, outputs(cluster))
  })

  it('an agent told to stop in mid-backup marks it, cleans and leaves', async () => {
    const { name, agent } = await cluster.heldBackup('types')
    assert.equal(await agent.stop('SIGTERM'), 0, agent.output())
    await cluster.failedAndClean(name, 'error', /the agent on .* was stopped/)
    const left = await listAgents(cluster.leader)
    assert.ok(!left.some(({ n }) => n === agent.member.host))
    await cluster.startAgent(agent.member)
  })

  it('a second signal ends an agent at once', async () => {
    const { name, agent } = await cluster.heldBackup('types')
    agent.signal('SIGTERM')
    await until('it to be stopping', async () => /SIGTERM: stopping/.test(agent.output()))
    // Had it been faster than the second signal, it ended well.
    if ((await agent.stop('SIGTERM')) !== 0) assert.match(agent.output(), /SIGTERM again: leaving at once/)
    await passSeconds(cluster, 35)
    await cluster.failedAndClean(name, 'error', /heartbeat|stale|was stopped/)
    await cluster.startAgent(agent.member)
  })

  it('the primary steps down while the backup runs', async () => {
    const { name } = await cluster.heldBackup('types')
    await cluster.set.stepDown(15)
    await cluster.letGo('types')
    const backup = await backupEnded(cluster, name)
    // A secondary goes on reading; a backup on the primary may fail, but says so.
    if (backup.status !== 'done') assert.match(backup.error ?? '', /.+/)
    await unlocked(cluster)
    await cluster.set.ready()
    await cluster.backupWorks()
  })

  it('a primary that steps down as the command comes: somebody takes it up', async () => {
    const [name] = await Promise.all([cluster.backup(), cluster.set.stepDown(15)])
    const backup = await backupEnded(cluster, name)
    if (backup.status !== 'done') assert.match(backup.error ?? '', /.+/)
    await unlocked(cluster)
    await cluster.set.ready()
    await cluster.backupWorks()
  })

  it('the control collections are dropped in mid-backup', async () => {
    const { name } = await cluster.heldBackup('types')
    for (const collection of ['pbmBackups', 'pbmLock', 'pbmCmd', 'pbmOpLog']) {
      await cluster.admin.db('admin').collection(collection).drop()
    }
    await until('the loss to be noticed', async () => (await findBackup(cluster.leader, name))?.status === 'error')
    await cluster.letGo('types')
    await cluster.failedAndClean(name, 'error', /gone|lost|dropped/)
    await cluster.backupWorks()
  })

  it('the primary steps down in mid-restore: it says so, and the next one is exact', async () => {
    const before = await snapshotState(cluster.admin)
    const backup = await cluster.backupWorks()
    const name = await cluster.heldRestore('types', backup, 'running')
    await cluster.set.stepDown(15)
    await cluster.heal()
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error', outputs(cluster))
    assert.notEqual(restore.error ?? '', '')
    await cluster.set.ready()
    await unlocked(cluster)
    const again = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([again.status, again.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
    await unlocked(cluster)
  })

  it('two agents at one mongod: one says so, and a backup is made once', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const second = await cluster.startAgent(member, { notReady: true })
    await until('the warning', async () => cluster.agents.some(({ output }) => /another agent reports/.test(output())))
    await cluster.backupWorks()
    assert.equal(await second.stop(), 0)
  })
})
