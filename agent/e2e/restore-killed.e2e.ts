import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { compareStates, type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore, listChunks, sendCommand } from '@pbmkit/core'
import { outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.support.js'
import { type HeldCluster, startLoadedCluster } from './held-storage.support.js'
import { nobodySlices, storedUntilNow } from './slicing.support.js'

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

  it('a replay, while the server deletes nothing that expires: it does so again afterwards', async () => {
    const { leader, storage } = cluster
    const of = (enabled: boolean) => `restore: {verify: false}\npitr: {enabled: ${enabled}, oplogSpanMin: 0.05}\n`
    const configure = (enabled: boolean) =>
      cluster.configure(`storage:\n  type: slow\n  slow: {path: ${storage}}\n${of(enabled)}`)
    const isTtlMonitorOn = async () =>
      (await cluster.admin.db('admin').command({ getParameter: 1, ttlMonitorEnabled: 1 })).ttlMonitorEnabled === true
    await cluster.backupWorks()
    await configure(true)
    await storedUntilNow(cluster)
    await configure(false)
    await nobodySlices(cluster)
    const [chunk] = await listChunks(leader)
    assert.ok(chunk)
    const hold = `${storage}.hold-chunk`
    await writeFile(hold, '')
    try {
      const replay = { name: 'killed replay', start: chunk.start_ts, end: chunk.end_ts }
      await sendCommand(leader, { cmd: 'replay', replay })
      await until('the TTL monitor to be off', async () => !(await isTtlMonitorOn()))
      await cluster.killAgents()
    } finally {
      await rm(hold)
    }
    assert.equal(await isTtlMonitorOn(), false)
    await restartAndMark('killed replay', 'running')
    await until('the TTL monitor to be on', isTtlMonitorOn)
  })
})
