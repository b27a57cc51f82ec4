import assert from 'node:assert/strict'
import { loadSampleData } from '@pbmkit/conformance/testbed'
import { findBackup, listAgents, sendCommand } from '@pbmkit/core'
import { backupEnded, objectsOn, outputs, passSeconds, unlocked, until } from './cluster.e2e.support.js'
import { type HeldCluster, PLACES, startHeldCluster } from './held-storage.e2e.support.js'

describe('work that is cut off', () => {
  let cluster: HeldCluster
  before(async () => {
    cluster = await startHeldCluster()
    await loadSampleData(cluster.admin)
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  async function backupWorks(): Promise<string> {
    const name = await cluster.backup()
    const backup = await backupEnded(cluster, name)
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    return name
  }

  /** The failed backup says why and left nothing; then the next one works. */
  async function failedAndClean(name: string, status: 'error' | 'canceled', reason: RegExp): Promise<void> {
    const backup = await backupEnded(cluster, name)
    assert.equal(backup.status, status, outputs(cluster))
    assert.match(backup.error ?? '', reason)
    await unlocked(cluster)
    await until(
      'its objects to be gone',
      async () => !(await objectsOn(cluster.storage)).some((object) => object.startsWith(name)),
    )
  }

  for (const { place, state, what } of PLACES) {
    it(`an agent killed while it writes ${what}`, async () => {
      const { name, agent } = await cluster.heldBackup(place, state)
      await agent.stop('SIGKILL')
      await passSeconds(cluster, 35)
      await failedAndClean(name, 'error', /no heartbeat|stale/)
      await cluster.letGo(place)
      await cluster.startAgent(agent.member)
      await backupWorks()
    })

    it(`a backup cancelled while it writes ${what}`, async () => {
      const { name } = await cluster.heldBackup(place, state)
      await sendCommand(cluster.leader, { cmd: 'cancelBackup' })
      await failedAndClean(name, 'canceled', /canceled/)
    })
  }

  it('an agent told to stop in mid-backup marks it, cleans and leaves', async () => {
    const { name, agent } = await cluster.heldBackup('types')
    assert.equal(await agent.stop('SIGTERM'), 0, agent.output())
    await failedAndClean(name, 'error', /the agent on .* was stopped/)
    const left = await listAgents(cluster.leader)
    assert.ok(!left.some(({ n }) => n === agent.member.host))
    await cluster.startAgent(agent.member)
  })

  it('a second signal ends an agent at once', async () => {
    const { name, agent } = await cluster.heldBackup('types')
    agent.signal('SIGTERM')
    await until('it to be stopping', async () => /SIGTERM: stopping/.test(agent.output()))
    assert.equal(await agent.stop('SIGTERM'), 1)
    await passSeconds(cluster, 35)
    await failedAndClean(name, 'error', /heartbeat|stale/)
    await cluster.startAgent(agent.member)
  })

  it('an agent that hangs longer than the others wait does no more harm when it goes on', async () => {
    const { name, agent } = await cluster.heldBackup('record', 'dumpDone')
    agent.signal('SIGSTOP')
    await passSeconds(cluster, 35)
    await failedAndClean(name, 'error', /no heartbeat|stale/)
    await cluster.letGo('record')
    agent.signal('SIGCONT')
    await until('it to notice', async () => /backup failed: /.test(agent.output()))
    await failedAndClean(name, 'error', /no heartbeat|stale/)
    await backupWorks()
  })

  it('a primary that steps down as the command comes: somebody takes it up', async () => {
    const [name] = await Promise.all([cluster.backup(), cluster.set.stepDown(15)])
    const { status } = await backupEnded(cluster, name)
    assert.match(status, /^(done|error)$/)
    await unlocked(cluster)
    await backupWorks()
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
    await backupWorks()
  })

  it('the control collections are dropped in mid-backup', async () => {
    const { name } = await cluster.heldBackup('types')
    for (const collection of ['pbmBackups', 'pbmLock', 'pbmCmd', 'pbmOpLog']) {
      await cluster.admin.db('admin').collection(collection).drop()
    }
    await until('the loss to be noticed', async () => (await findBackup(cluster.leader, name))?.status === 'error')
    await cluster.letGo('types')
    await failedAndClean(name, 'error', /gone|lost|dropped/)
    await backupWorks()
  })

  it('two agents at one mongod: one says so, and a backup is made once', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const second = await cluster.startAgent(member, { notReady: true })
    await until('the warning', async () => cluster.agents.some(({ output }) => /another agent reports/.test(output())))
    await backupWorks()
    assert.equal(await second.stop(), 0)
  })
})
