import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, insertBackup, listBackups, PluginHost, saveProfile } from '@pbmkit/core'
import { type Cluster, startCluster, until } from './cluster.support.js'
import type { Snapshot } from './snapshots.js'

/** Several storages at once. One story, in order. */
describe('pbm profile', () => {
  let cluster: Cluster
  let weekly: string
  let name: string

  before(async () => {
    cluster = await startCluster()
    weekly = join(cluster.folder, 'weekly')
    await mkdir(weekly)
    await loadSampleData(await cluster.set.client(), { scale: 0.05 })
    const input = storage(join(cluster.folder, 'backups'))
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
    await cluster.startAgent()
    await until('the agent', async () => (await cluster.pbm(['status', '-s', 'cluster'])).stdout.includes('OK'))
  })
  after(() => cluster.stop())

  const storage = (path: string) => `storage: {type: filesystem, filesystem: {path: ${path}}}\n`
  const snapshots = async (...args: string[]) =>
    ((await cluster.json(['list', ...args])).value as { snapshots: Snapshot[] }).snapshots.map((one) => [
      one.name,
      one.profile,
    ])

  it('refuses profiles that are not there, and storages that can not be used', async () => {
    assert.deepEqual((await cluster.json(['profile'])).value, { profiles: [] })
    for (const args of [
      ['backup', '--profile', 'weekly'],
      ['list', '--profile', 'weekly'],
      ['status', '--profile', 'weekly'],
      ['cleanup', '--older-than', '1d', '--profile', 'weekly'],
      ['delete-backup', '--older-than', '1d', '--profile', 'weekly'],
      ['profile', 'show', 'weekly'],
      ['profile', 'remove', 'weekly'],
      ['profile', 'sync', 'weekly'],
    ]) {
      const ended = await cluster.json(args)
      assert.equal(ended.code, 1, args.join(' '))
      assert.equal((ended.value as { code: string }).code, 'PROFILE_UNKNOWN', args.join(' '))
    }
    await writeFile(join(cluster.folder, 'file'), '')
    const input = storage(join(cluster.folder, 'file', 'folder'))
    const ended = await cluster.json(['profile', 'add', 'weekly', '-'], { input })
    assert.equal(ended.code, 1)
    assert.equal((ended.value as { code: string }).code, 'OPERATION_FAILED')
    assert.deepEqual((await cluster.json(['profile', 'list'])).value, { profiles: [] })
  })

  it('adds one, shows it, and leaves the main configuration alone', async () => {
    const main = (await cluster.json(['config'])).value
    const input = `${storage(weekly)}backup: {compression: gzip}\n`
    const ended = await cluster.pbm(['profile', 'add', 'weekly', '-'], { input })
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /not taken: backup/)
    const profile = { name: 'weekly', profile: true, storage: { type: 'filesystem', filesystem: { path: weekly } } }
    assert.deepEqual((await cluster.json(['profile', 'show', 'weekly'])).value, profile)
    assert.deepEqual((await cluster.json(['profile', 'list'])).value, { profiles: [profile] })
    assert.deepEqual((await cluster.json(['config'])).value, main)
    assert.deepEqual(await readdir(weekly), ['.pbm.init'])
  })

  it('backs up to it, and only the storage of the profile holds the backup', async () => {
    const ended = await cluster.json(['backup', '--profile', 'weekly', '--wait'])
    assert.equal(ended.code, 0, ended.stderr + ended.stdout)
    const told = ended.value as { name: string; profile: string; storagePath: string }
    name = told.name
    assert.deepEqual([told.profile, told.storagePath], ['weekly', weekly])
    const { store } = (await findBackup(cluster.leader, name)) ?? {}
    assert.deepEqual(store, { name: 'weekly', profile: true, type: 'filesystem', filesystem: { path: weekly } })
    assert.ok((await readdir(weekly)).includes(`${name}.pbm.json`))
    assert.ok(!(await readdir(join(cluster.folder, 'backups'))).some((entry) => entry.startsWith(name)))
    const stored = JSON.parse(await readFile(join(weekly, `${name}.pbm.json`), 'utf8')) as { store: object }
    assert.deepEqual(Object.keys(stored.store).slice(0, 2), ['name', 'profile'])
  })

  it('lists, describes and restores it from there', async () => {
    assert.deepEqual(await snapshots(), [[name, 'weekly']])
    assert.deepEqual(await snapshots('--profile', 'weekly'), [[name, 'weekly']])
    assert.deepEqual(await snapshots('--profile', 'main'), [])
    const status = await cluster.json(['status', '-s', 'backups', '--profile', 'weekly'])
    const { path, snapshot } = (status.value as { backups: { path: string; snapshot: Snapshot[] } }).backups
    assert.deepEqual([path, snapshot.map((one) => one.name)], [weekly, [name]])
    const described = (await cluster.json(['describe-backup', name, '--with-collections'])).value as {
      profile: string
      replsets: { collections: string[] }[]
    }
    assert.equal(described.profile, 'weekly')
    assert.ok((described.replsets[0]?.collections.length ?? 0) > 5)

    const admin = await cluster.set.client()
    const before = await snapshotState(admin)
    await admin.db('shop').dropDatabase()
    const ended = await cluster.pbm(['restore', name, '--wait', '--yes'])
    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(compareStates(before, await snapshotState(admin)), [])
  })

  it('is no base of a point in time', async () => {
    const soon = new Date(Date.now() - 1000).toISOString().slice(0, 19)
    const ended = await cluster.json(['restore', '--time', soon, '--base-snapshot', name, '--yes'])
    assert.equal((ended.value as { code: string }).code, 'RESTORE_TIME')
    assert.match(ended.stdout, /storage of profile weekly/)
  })

  it('forgets and finds what lies there, of one profile or of all', async () => {
    assert.equal((await cluster.pbm(['profile', 'sync', 'weekly', '--clear', '--wait'])).code, 0)
    assert.deepEqual(await snapshots(), [])
    assert.equal((await cluster.pbm(['profile', 'sync', 'weekly', '--wait'])).code, 0)
    assert.deepEqual(await snapshots(), [[name, 'weekly']])
    assert.equal((await cluster.pbm(['profile', 'sync', '--all', '--clear', '--wait'])).code, 0)
    assert.deepEqual(await snapshots(), [])
    assert.equal((await cluster.pbm(['profile', 'sync', '--all', '--wait'])).code, 0)
    assert.equal((await cluster.pbm(['config', '--force-resync', '--wait'])).code, 0)
    assert.deepEqual(await snapshots(), [[name, 'weekly']])
  })

  it('deletes what failed backups left on the storage of a profile', async () => {
    const [done] = await listBackups(cluster.leader)
    assert.ok(done !== undefined)
    const dead = '2031-02-03T04:05:06Z'
    await mkdir(join(weekly, dead))
    await writeFile(join(weekly, dead, 'part'), 'of a backup that died')
    const conditions = [{ timestamp: done.start_ts, status: 'error', error: 'the agent died' }]
    const failed = { name: dead, opid: 'dead', status: 'error' as const, conditions, began_here: true }
    await insertBackup(cluster.leader, { ...done, ...failed })
    await until('it to go', async () => !(await readdir(weekly)).includes(dead))
    assert.equal((await cluster.pbm(['delete-backup', dead, '--yes'])).code, 0)
  })

  it('is removed without a loss, and found again when added with --sync', async () => {
    const schedule = ['--cron', '0 2 * * *', '--profile', 'weekly']
    assert.equal((await cluster.pbm(['schedule', 'add', 'sundays', ...schedule])).code, 0)
    const removed = await cluster.pbm(['profile', 'remove', 'weekly', '--wait'])
    assert.deepEqual([removed.code, /need the profile.*: sundays/.test(removed.stderr)], [0, true], removed.stderr)
    assert.equal((await cluster.pbm(['schedule', 'remove', 'sundays'])).code, 0)
    assert.deepEqual(await snapshots(), [])
    assert.ok((await readdir(weekly)).includes(`${name}.pbm.json`))
    const input = storage(weekly)
    const added = await cluster.pbm(['profile', 'add', 'weekly', '-', '--sync', '--wait'], { input })
    assert.equal(added.code, 0, added.stderr)
    assert.deepEqual(await snapshots(), [[name, 'weekly']])
    // Replacing one forgets the backups of the place it had.
    await mkdir(join(cluster.folder, 'empty'))
    const moved = await cluster.pbm(['profile', 'add', 'weekly', '-', '--sync', '--wait'], {
      input: storage(join(cluster.folder, 'empty')),
    })
    assert.equal(moved.code, 0, moved.stderr)
    assert.deepEqual(await snapshots(), [])
    assert.equal((await cluster.pbm(['profile', 'add', 'weekly', '-', '--sync', '--wait'], { input })).code, 0)
    assert.deepEqual(await snapshots(), [[name, 'weekly']])
  })

  it('cleans up one storage and leaves the other alone', async () => {
    const main = (await cluster.json(['backup', '--wait'])).value as { name: string }
    const cleaned = await cluster.pbm(['cleanup', '--older-than', '0d', '--profile', 'weekly', '--yes', '--wait'])
    assert.equal(cleaned.code, 0, cleaned.stderr)
    assert.deepEqual(await snapshots(), [[main.name, undefined]])
    assert.deepEqual((await readdir(weekly)).sort(), ['.pbm.init', '.pbmkit.storage'])
  })

  it('is not backed up to where its storage is another one than was used, until somebody says so', async () => {
    const [share, empty] = [`${weekly}.share`, `${weekly}.empty`]
    await rename(weekly, share)
    await mkdir(weekly)
    const refused = await cluster.json(['backup', '--profile', 'weekly', '--wait'])
    assert.equal(refused.code, 1)
    assert.match(refused.stdout, /the storage of profile weekly is not the one that this cluster has used/)
    assert.match(refused.stdout, /pbm profile sync weekly/)
    assert.deepEqual(await readdir(weekly), [])
    await rename(weekly, empty)
    await rename(share, weekly)
    const { name: kept } = (await cluster.json(['backup', '--profile', 'weekly', '--wait'])).value as { name: string }
    await rename(weekly, share)
    await rename(empty, weekly)
    for (const deletion of [
      ['delete-backup', kept, '--yes'],
      ['cleanup', '--older-than', '0d', '--profile', 'weekly', '--yes', '--wait'],
    ]) {
      const ended = await cluster.pbm(deletion)
      assert.equal(ended.code, 1, ended.stderr)
      assert.match(ended.stderr, /the storage of profile weekly is not the one that this cluster has used/)
    }
    assert.ok((await snapshots()).some(([one]) => one === kept))
    const synced = await cluster.pbm(['profile', 'sync', 'weekly', '--wait'])
    assert.equal(synced.code, 0, synced.stderr)
    const made = await cluster.pbm(['backup', '--profile', 'weekly', '--wait'])
    assert.equal(made.code, 0, made.stderr)
  })

  it('keeps what lifecycle keeps, and deletes the rest', async () => {
    const ofMain = async () => (await snapshots()).filter(([, profile]) => profile === undefined)
    const [older] = await ofMain()
    const newer = (await cluster.json(['backup', '--wait'])).value as { name: string }
    const cleanup = async (...more: string[]) =>
      (await cluster.json(['cleanup', '--lifecycle', ...more])).value as Record<string, unknown>
    assert.equal((await cleanup('-y', '--wait')).msg, 'nothing to delete')
    const rules = ['--set', 'lifecycle.enabled=true', '--set', 'lifecycle.weeklyRetention=1']
    assert.equal((await cluster.pbm(['config', ...rules])).code, 0)
    const dry = await cleanup('--dry-run')
    assert.deepEqual([dry.backupsPurged, dry.backupsKept], [[older?.[0]], [newer.name]])
    assert.deepEqual(dry.keepReasons, { [newer.name]: ['weekly'] })
    assert.equal((await ofMain()).length, 2)
    assert.equal((await cleanup('--profile', 'weekly', '-y', '--wait')).msg, 'nothing to delete')
    assert.equal((await cluster.pbm(['config', '--set', 'lifecycle.minKeep=2'])).code, 0)
    const refused = await cluster.pbm(['cleanup', '--lifecycle', '-y', '--wait'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /LIFECYCLE_MIN_KEEP/)
    assert.equal((await cluster.pbm(['config', '--set', 'lifecycle.minKeep=1'])).code, 0)
    assert.equal((await cleanup('-y', '--wait')).deleted, true)
    assert.deepEqual(await ofMain(), [[newer.name, undefined]])
  })

  it('shows no secret', async () => {
    const host = new PluginHost({ resolveFrom: import.meta.url })
    const credentials = { 'access-key-id': 'AKIDEXAMPLE', 'secret-access-key': 'wJalrXUtnFEMI' }
    const cloud = { type: 's3', s3: { region: 'eu-west-1', bucket: 'b', credentials } }
    await saveProfile(cluster.leader, { name: 'cloud', storage: cloud }, host)
    for (const args of [
      ['profile', 'list'],
      ['profile', 'show', 'cloud'],
      ['profile', 'list', '-o', 'json'],
    ]) {
      const { stdout } = await cluster.pbm(args)
      assert.match(stdout, /eu-west-1[\s\S]*\*\*\*/)
      assert.doesNotMatch(stdout, /AKIDEXAMPLE|wJalrXUtnFEMI/)
    }
    // Nor does what is stored, the oplog above all, in which they are while they are being changed.
    const ending = new AbortController()
    const changing = async () => {
      while (!ending.signal.aborted) await saveProfile(cluster.leader, { name: 'cloud', storage: cloud }, host)
    }
    const [made] = await Promise.all([
      cluster.json(['backup', '--compression', 'none', '--wait']).finally(() => ending.abort()),
      changing(),
    ])
    assert.equal(made.code, 0, made.stderr)
    const folder = join(cluster.folder, 'backups')
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    assert.ok(files.some(({ parentPath }) => parentPath.endsWith('oplog')))
    for (const { name: file, parentPath } of files) {
      assert.doesNotMatch(await readFile(join(parentPath, file), 'latin1'), /AKIDEXAMPLE|wJalrXUtnFEMI/, file)
    }
  })
})
