import assert from 'node:assert/strict'
import { compareStates, type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore } from '@pbmkit/core'
import { loadSmallData, outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.support.js'
import { type HeldCluster, startHeldCluster } from './held-storage.support.js'

/** What a restore cannot go on without: its record, its lock, the feed of commands, and what has been begun. */
const CONTROL = ['pbmRestores', 'pbmLock', 'pbmCmd', 'pbmOpLog']

describe('restores that lose what they depend on', () => {
  let cluster: HeldCluster
  let backup: string
  let loaded: DatabaseState
  before(async () => {
    cluster = await startHeldCluster({ members: 1, networks: true, config: 'restore:\n  verify: false\n' })
    await loadSmallData(cluster.admin)
    loaded = await snapshotState(cluster.admin)
    backup = await cluster.backupWorks()
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  async function restoresExactly(): Promise<void> {
    const restore = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.deepEqual(compareStates(loaded, await snapshotState(cluster.admin)), [])
  }

  for (const [place, state] of [
    ['list', 'starting'],
    ['types', 'running'],
  ] as const) {
    it(`the control collections, in state ${state}: the record is back and says so; the next one is exact`, async () => {
      const name = await cluster.heldRestore(place, backup, state)
      for (const collection of CONTROL) await cluster.admin.db('admin').collection(collection).drop()
      // Nobody lets it go: it has to notice by itself.
      const restore = await restoreEnded(cluster, name)
      assert.equal(restore.status, 'error')
      assert.match(restore.error ?? '', state === 'starting' ? /Nothing of the data was changed/ : /incomplete now/)
      assert.deepEqual(
        restore.replsets.map(({ name: rs, status }) => [rs, status]),
        [['rs0', 'error']],
      )
      await unlocked(cluster)
      await cluster.heal()
      await restoresExactly()
    })
  }

  it('the network, for longer than others wait: it has ended when it is back, and the next one is exact', async () => {
    const [agent] = cluster.agents
    assert.ok(agent)
    const told = agent.output().length
    const name = await cluster.heldRestore('types', backup, 'running')
    agent.network?.cut()
    await cluster.heal()
    await until('it to give up', async () => /incomplete now/.test(agent.output().slice(told)), 120)
    agent.network?.mend()
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error')
    assert.match(restore.error ?? '', /incomplete now|died in state running/)
    await unlocked(cluster)
    await cluster.agentsWell()
    await restoresExactly()
  })

  it('the processor: another agent marks it and restores, which it leaves alone when it goes on', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const name = await cluster.heldRestore('types', backup, 'running')
    const stopped = cluster.agentOf(member.host)
    stopped.signal('SIGSTOP')
    await passSeconds(cluster, 35)
    await cluster.startAgent(member)
    const restore = await restoreEnded(cluster, name)
    assert.match(restore.error ?? '', /died in state running/)
    await unlocked(cluster)
    await cluster.heal()
    await restoresExactly()
    stopped.signal('SIGCONT')
    await until('it to notice', async () => /\[restore\/[^\n]*(lost|died in state)/.test(stopped.output()))
    assert.equal((await findRestore(cluster.leader, name))?.error, restore.error)
    assert.deepEqual(compareStates(loaded, await snapshotState(cluster.admin)), [])
  })
})
