import assert from 'node:assert/strict'
import { compareStates, type DatabaseState, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore } from '@pbmkit/core'
import { backupEnded, objectsOn, outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.e2e.support.js'
import { type HeldCluster, startHeldCluster } from './held-storage.e2e.support.js'

describe('restores and storages that are cut off', () => {
  let cluster: HeldCluster
  let backup: string
  let before_: DatabaseState
  before(async () => {
    // Without the reading-through before, the storage stands still in the states that follow it.
    cluster = await startHeldCluster('restore:\n  verify: false\n')
    await loadSampleData(cluster.admin)
    before_ = await snapshotState(cluster.admin)
    backup = await cluster.backup()
    const made = await backupEnded(cluster, backup)
    assert.equal(made.status, 'done', outputs(cluster))
    await unlocked(cluster)
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  async function restoresExactly(): Promise<void> {
    const restore = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.deepEqual(compareStates(before_, await snapshotState(cluster.admin)), [])
  }

  for (const [place, what] of [
    ['types', 'a collection'],
    ['oplog', 'the oplog'],
  ] as const) {
    it(`an agent killed while its restore reads ${what}, and the next one is exact`, async () => {
      await cluster.hold(place)
      const name = await cluster.restore(backup)
      await until('the restore to stand still', async () => {
        const found = await findRestore(cluster.leader, name)
        if (found?.status === 'error') throw new Error(`${found.error}\n${outputs(cluster)}`)
        return found !== undefined && cluster.isHeld()
      })
      const agent = cluster.agentOf((await cluster.set.primary()).host)
      await agent.stop('SIGKILL')
      await cluster.heal()
      await passSeconds(cluster, 35)
      const restore = await restoreEnded(cluster, name)
      assert.equal(restore.status, 'error')
      assert.match(restore.error ?? '', /heartbeat|stale/)
      await cluster.startAgent(agent.member)
      await unlocked(cluster)
      await restoresExactly()
    })
  }

  it('the primary steps down in mid-restore: it says so, and the next one is exact', async () => {
    await cluster.hold('types')
    const name = await cluster.restore(backup)
    await until('the restore to stand still', async () => {
      return (await findRestore(cluster.leader, name))?.status === 'running' && cluster.isHeld()
    })
    await cluster.set.stepDown(15)
    await cluster.heal()
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error', outputs(cluster))
    assert.notEqual(restore.error ?? '', '')
    await cluster.set.ready()
    await unlocked(cluster)
    await restoresExactly()
  })

  for (const fault of ['STORAGE_NO_SPACE', 'STORAGE_DENIED', 'STORAGE_UNAVAILABLE'] as const) {
    it(`a storage that answers ${fault} in mid-backup`, async () => {
      const { name } = await cluster.heldBackup('types')
      await cluster.fail(fault)
      await cluster.letGo('types')
      const failed = await backupEnded(cluster, name)
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /the test says so/)
      await unlocked(cluster)
      assert.deepEqual(
        (await objectsOn(cluster.storage)).filter((object) => object.startsWith(name)),
        [],
      )
      await cluster.heal()
      const next = await cluster.backup()
      const made = await backupEnded(cluster, next)
      assert.deepEqual([made.status, made.error ?? ''], ['done', ''], outputs(cluster))
      await unlocked(cluster)
    })
  }
})
