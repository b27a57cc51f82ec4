import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { compareStates, snapshotState, temporaryFolder } from '@pbmkit/conformance/testbed'
import { leftoversOf, listAgents, listBackups } from '@pbmkit/core'
import {
  backupEnded,
  filesystemConfig,
  loadSmallData,
  objectsOn,
  outputs,
  restoreEnded,
  unlocked,
  until,
} from './cluster.support.js'
import { FAULTS, type HeldCluster, startHeldCluster } from './held-storage.support.js'
import { mounting } from './small-disk.support.js'

describe('storages that fail', () => {
  let cluster: HeldCluster
  let disk: string
  let unmountable: string
  before(async () => {
    cluster = await startHeldCluster({ members: 1, config: 'restore:\n  verify: false\n' })
    await loadSmallData(cluster.admin)
    disk = await temporaryFolder('pbmkit-small-disk-')
    unmountable = mounting('mount', '-t', 'tmpfs', '-o', 'size=1m', 'pbmkit-test', disk)
  })
  after(async () => {
    await cluster.stop()
    if (unmountable === '') mounting('umount', '--lazy', disk)
  })
  afterEach(() => cluster.heal())

  it('has what is called as the backup already, of whomever it is', async () => {
    const names = ['2001-01-01T00:00:00Z', '2001-01-01T00:00:01Z', '2001-01-01T00:00:02Z', 'team']
    const theirs = [
      `${names[0]}/rs9/shop.orders`,
      `${names[1]}.pbm.json`,
      `${names[2]}_rs0.dump`,
      'team/2001-01-01T00:00:03Z/rs0/metadata.json',
    ]
    for (const object of theirs) {
      await mkdir(dirname(join(cluster.storage, object)), { recursive: true })
      await writeFile(join(cluster.storage, object), 'theirs')
    }
    for (const name of names) {
      const failed = await backupEnded(cluster, await cluster.backup({ name }))
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /the storage has \S+ already/)
      await unlocked(cluster)
    }
    const refused = await backupEnded(cluster, await cluster.backup({ name: 'team.2', nss: ['nonsense'] }))
    // Whoever looks for what failed backups left must find nothing of theirs.
    const failed = await listBackups(cluster.leader, { status: 'error' })
    assert.ok(failed.some(({ name }) => name === refused.name) && failed.length > names.length)
    assert.deepEqual(
      leftoversOf(failed, () => undefined),
      [],
    )
    const objects = await objectsOn(cluster.storage)
    assert.deepEqual(
      theirs.filter((object) => !objects.includes(object)),
      [],
    )
    for (const object of theirs)
      await rm(join(cluster.storage, object.split('/')[0] ?? ''), { recursive: true, force: true })
  })

  for (const fault of FAULTS) {
    it(`answers ${fault} in mid-backup, then is well again`, async () => {
      const { name } = await cluster.heldBackup('types')
      await cluster.fail(fault)
      await cluster.letGo('types')
      const failed = await backupEnded(cluster, name)
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /the test says so/)
      await cluster.heal()
      await cluster.failedAndClean(name, 'error', /the test says so/)
      await cluster.backupWorks()
    })

    it(`answers ${fault} in mid-restore, then is well again`, async () => {
      const before = await snapshotState(cluster.admin)
      const backup = await cluster.backupWorks()
      const name = await cluster.heldRestore('types', backup, 'running')
      await cluster.fail(fault)
      const failed = await restoreEnded(cluster, name)
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /the test says so.*incomplete now: repeat the restore/)
      await cluster.heal()
      await unlocked(cluster)
      const again = await restoreEnded(cluster, await cluster.restore(backup))
      assert.deepEqual([again.status, again.error ?? ''], ['done', ''], outputs(cluster))
      await unlocked(cluster)
      assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
    })
  }

  it('the folder is gone', async () => {
    const backup = await cluster.backupWorks()
    const aside = `${cluster.storage}.aside`
    await rename(cluster.storage, aside)
    try {
      const name = await cluster.restore(backup)
      const failed = await restoreEnded(cluster, name)
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /Nothing of the data was changed|does not exist|not found|no such/i)
      await unlocked(cluster)
    } finally {
      await rename(aside, cluster.storage)
    }
  })

  for (const [what, isReplaced] of [
    ['moved away', false],
    ['moved away, and an empty one stands there', true],
  ] as const) {
    it(`the folder is ${what} in mid-backup: it is told, and nothing is made there`, async () => {
      await cluster.backupWorks()
      const aside = `${cluster.storage}.aside`
      const { name } = await cluster.heldBackup('list')
      await rename(cluster.storage, aside)
      if (isReplaced) await mkdir(cluster.storage)
      try {
        await cluster.letGo('list')
        const failed = await backupEnded(cluster, name)
        assert.equal(failed.status, 'error', outputs(cluster))
        assert.match(failed.error ?? '', isReplaced ? /not the one that this cluster has used/ : /is gone; see that/)
        await unlocked(cluster)
        if (isReplaced) assert.equal((await backupEnded(cluster, await cluster.backup())).status, 'error')
        await until('every agent to tell it', async () =>
          (await listAgents(cluster.leader)).every(({ stors }) => /is gone; see that|has used/.test(stors.e)),
        )
        await unlocked(cluster)
        if (isReplaced) assert.deepEqual(await readdir(cluster.storage, { recursive: true }), [])
        else assert.ok(!existsSync(cluster.storage))
      } finally {
        await rm(cluster.storage, { recursive: true, force: true })
        await rename(aside, cluster.storage)
      }
      await cluster.backupWorks()
    })
  }

  it('the disk is full', async function () {
    if (unmountable !== '') return skip(this, unmountable)
    await cluster.configure(filesystemConfig(disk))
    // More than the disk holds, however well it is compressed.
    const texts = Array.from({ length: 300 }, (_, _id) => ({ _id, text: randomText(8_000) }))
    await cluster.admin.db('work').collection<{ _id: number }>('large').insertMany(texts)
    const failed = await backupEnded(cluster, await cluster.backup())
    assert.equal(failed.status, 'error', outputs(cluster))
    assert.match(failed.error ?? '', /no space|full/i)
    await unlocked(cluster)
    assert.deepEqual(await objectsOn(disk), ['.pbm.init', '.pbmkit.storage'])
    await cluster.admin.db('work').collection('large').drop()
    await cluster.backupWorks()
  })

  it('the disk can only be read', async function () {
    if (unmountable !== '') return skip(this, unmountable)
    const objects = await objectsOn(disk)
    const refused = mounting('mount', '-o', 'remount,ro', disk)
    if (refused !== '') return skip(this, refused)
    try {
      const failed = await backupEnded(cluster, await cluster.backup())
      assert.equal(failed.status, 'error', outputs(cluster))
      assert.match(failed.error ?? '', /read-only|not be written|permission/i)
      await unlocked(cluster)
      assert.deepEqual(await objectsOn(disk), objects)
    } finally {
      assert.equal(mounting('mount', '-o', 'remount,rw', disk), '')
    }
    await until('the storage to be well', async () => (await listAgents(cluster.leader)).every(({ stors }) => stors.ok))
    await cluster.backupWorks()
  })
})

function randomText(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(33 + Math.floor(Math.random() * 94))).join('')
}

/** The title tells why, since a report of skipped tests shows nothing else. */
function skip(context: Mocha.Context, why: string): void {
  if (context.test !== undefined) context.test.title += ` (skipped: no file system can be mounted here: ${why})`
  context.skip()
}
