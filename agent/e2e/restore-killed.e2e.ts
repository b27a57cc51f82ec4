import assert from 'node:assert/strict'
import { compareStates, type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore } from '@pbmkit/core'
import { outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.support.js'
import { type HeldCluster, startLoadedCluster } from './held-storage.support.js'

/** How long the server sits on each drop: long enough to kill an agent meanwhile. */
const DROP_MS = 8_000

describe('restores whose only agent is killed', () => {
  let cluster: HeldCluster
  let backup: string
  let loaded: DatabaseState
  before(async () => {
    ;({ cluster, loaded, backup } = await startLoadedCluster())
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  async function killAndRestart(name: string, state: string): Promise<void> {
    await cluster.killAgents()
    await cluster.heal()
    await restartAndMark(name, state)
  }

  async function restartAndMark(name: string, state: string): Promise<void> {
    const [member] = cluster.set.members
    assert.ok(member)
    await passSeconds(cluster, 35)
    await cluster.startAgent(member)
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error')
    assert.match(restore.error ?? '', new RegExp(`died in state ${state}`))
    await unlocked(cluster)
  }

  async function restoresExactly(): Promise<void> {
    const restore = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.deepEqual(compareStates(loaded, await snapshotState(cluster.admin)), [])
  }

  for (const [place, state, what] of [
    ['list', 'starting', 'the list of namespaces'],
    ['types', 'running', 'a collection'],
    ['oplog', 'dumpDone', 'the oplog'],
  ] as const) {
    it(`in state ${state}, while it reads ${what}; the next one is exact`, async () => {
      await killAndRestart(await cluster.heldRestore(place, backup, state), state)
      if (state === 'starting') assert.deepEqual(compareStates(loaded, await snapshotState(cluster.admin)), [])
      await restoresExactly()
    })
  }

  for (const [place, state, noticed] of [
    ['types', 'running', false],
    ['oplog', 'dumpDone', false],
    ['types', 'running', true],
  ] as const) {
    const when = noticed ? ' and back before it writes again' : ''
    it(`not, but its mongod is, in state ${state}${when}: it says so, and the next one is exact`, async () => {
      const [member] = cluster.set.members
      assert.ok(member)
      const name = await cluster.heldRestore(place, backup, state)
      await member.kill('SIGKILL')
      if (!noticed) await cluster.heal()
      await member.restart()
      await cluster.set.ready()
      // What it had written last may be lost, and no command of it fails.
      if (noticed) await cluster.agentsWell()
      await cluster.heal()
      const restore = await restoreEnded(cluster, name)
      assert.equal(restore.status, 'error', outputs(cluster))
      assert.match(restore.error ?? '', /incomplete now|died in state/)
      await unlocked(cluster)
      await cluster.agentsWell()
      await restoresExactly()
    })
  }

  it('in state cleanupCluster, while it drops collections; the next one is exact', async () => {
    const failPoint = (more: object) =>
      cluster.admin.db('admin').command({ configureFailPoint: 'failCommand', ...more })
    const data = { failCommands: ['drop'], blockConnection: true, blockTimeMS: DROP_MS, appName: 'pbm-agent' }
    await failPoint({ mode: 'alwaysOn', data })
    const name = await cluster.restore(backup)
    await until('the drops', async () => (await findRestore(cluster.leader, name))?.status === 'cleanupCluster')
    await cluster.killAgents()
    await failPoint({ mode: 'off' })
    await restartAndMark(name, 'cleanupCluster')
    // What the server already had from the killed agent.
    await until('the last drop', async () => {
      const drops = [{ $currentOp: { allUsers: true } }, { $match: { 'command.drop': { $exists: true } } }]
      return (await cluster.admin.db('admin').aggregate(drops).toArray()).length === 0
    })
    await restoresExactly()
  })
})
