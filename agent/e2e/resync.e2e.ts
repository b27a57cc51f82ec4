import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { compareStates, type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { clusterTime, findBackup, findRestore, listBackups, listLiveLocks, sendCommand } from '@pbmkit/core'
import {
  backupEnded,
  filesystemConfig,
  loadSmallData,
  outputs,
  passSeconds,
  restoreEnded,
  unlocked,
  until,
} from './cluster.support.js'
import { type HeldCluster, startHeldCluster } from './held-storage.support.js'

describe('an agent that reads its storage', () => {
  let cluster: HeldCluster
  let backup: string
  let loaded: DatabaseState
  before(async () => {
    cluster = await startHeldCluster({ members: 1 })
    await loadSmallData(cluster.admin)
    loaded = await snapshotState(cluster.admin)
    backup = await cluster.backupWorks()
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  /** The list of backups is gone, and the agent stands still while it reads what is on the storage. */
  async function startReading(): Promise<void> {
    const [member] = cluster.set.members
    assert.ok(member)
    await Promise.all(cluster.agents.filter(({ running }) => running).map((agent) => agent.stop()))
    await cluster.leader.db('admin').collection('pbmBackups').deleteMany({})
    await cluster.hold('record')
    await cluster.startAgent(member)
    await until('the agent to stand still', async () => {
      const [lock] = await listLiveLocks(cluster.leader)
      return cluster.isHeld() && lock?.type === 'resync'
    })
  }

  it('is killed: the next one reads it again', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const second = await cluster.backupWorks()
    await cluster.leader.db('admin').collection('pbmBackups').deleteOne({ name: backup })
    await cluster.hold('record')
    await sendCommand(cluster.leader, { cmd: 'resync' })
    await until('the agent to stand still', async () => cluster.isHeld())
    await cluster.killAgents()
    await cluster.heal()
    await cluster.startAgent(member)
    await passSeconds(cluster, 35)
    await until('the backup to be listed', async () => (await findBackup(cluster.leader, backup)) !== undefined)
    await unlocked(cluster)
    assert.equal((await findBackup(cluster.leader, second))?.status, 'done')
  })

  it('leaves out what lies in folders below: another cluster, snapshots of the share', async () => {
    for (const folder of [join(cluster.storage, 'another'), join(cluster.storage, '.snapshot/hourly.0')]) {
      await mkdir(join(folder, backup), { recursive: true })
      await copyFile(join(cluster.storage, `${backup}.pbm.json`), join(folder, `${backup}.pbm.json`))
      const theirs = (await readFile(join(folder, `${backup}.pbm.json`), 'utf8')).replaceAll(
        backup,
        '2001-01-01T00:00:00Z',
      )
      await writeFile(join(folder, '2001-01-01T00:00:00Z.pbm.json'), theirs)
      await writeFile(join(folder, 'broken.pbm.json'), '{')
    }
    // One that would have the folder of a good backup deleted as that of a failed one.
    const good = await readFile(join(cluster.storage, `${backup}.pbm.json`), 'utf8')
    const inside = { ...(JSON.parse(good) as object), name: `${backup}/brk`, status: 'error', checksum: undefined }
    await writeFile(join(cluster.storage, backup, 'brk.pbm.json'), JSON.stringify(inside))
    const known = (await listBackups(cluster.leader)).map(({ name, status }) => [name, status])
    await sendCommand(cluster.leader, { cmd: 'resync' })
    const log = cluster.leader.db('admin').collection('pbmLog')
    await until('the storage to be read', async () => (await log.countDocuments({ msg: /left out backups/ })) > 0)
    await unlocked(cluster)
    const listed = (await listBackups(cluster.leader)).map(({ name, status }) => [name, status])
    assert.deepEqual(listed.sort(), known.sort())
  })

  it('for the first time lets wait: a backup', async () => {
    await startReading()
    const name = await cluster.backup()
    // A second in which it would be refused.
    await setTimeout(1_000)
    assert.equal(await findBackup(cluster.leader, name), undefined, outputs(cluster))
    await cluster.letGo('record')
    const made = await backupEnded(cluster, name)
    assert.deepEqual([made.status, made.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.equal((await findBackup(cluster.leader, backup))?.status, 'done')
  })

  it('for the first time lets wait: a restore of what it is about to find', async () => {
    await startReading()
    assert.deepEqual(await listBackups(cluster.leader), [])
    const name = await cluster.restore(backup)
    await setTimeout(1_000)
    assert.equal(await findRestore(cluster.leader, name), undefined, outputs(cluster))
    await cluster.letGo('record')
    const restored = await restoreEnded(cluster, name)
    assert.deepEqual([restored.status, restored.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.deepEqual(compareStates(loaded, await snapshotState(cluster.admin)), [])
  })

  it('behind somebody else who does, reads the one that is configured when its turn comes', async () => {
    const hb = await clusterTime(cluster.leader)
    const locks = cluster.leader.db('admin').collection('pbmLock')
    const header = { type: 'resync', replset: cluster.set.name, node: 'elsewhere:1', opid: 'ab'.repeat(12), epoch: hb }
    await locks.insertOne({ ...header, hb })
    await sendCommand(cluster.leader, { cmd: 'resync' })
    // A second in which it has long been waiting.
    await setTimeout(1_000)
    await cluster.configure(filesystemConfig(`${cluster.storage}/other`))
    assert.notDeepEqual(await listBackups(cluster.leader), [])
    await locks.deleteMany({ opid: header.opid })
    await until('the other storage to be read', async () => (await listBackups(cluster.leader)).length === 0)
    await unlocked(cluster)
  })
})
