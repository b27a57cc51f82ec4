import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listAgents, listRestores, VERSION } from '@pbmkit/core'
import { type Cluster, startCluster, until } from './cluster.support.js'
import { assertShape, PBM_FIELDS } from './pbm-fields.support.js'
import { pbmProcess } from './run.support.js'

/** Every command against a real agent, in text and in JSON. One story, in order. */
describe('pbm and an agent', () => {
  let cluster: Cluster
  let name: string

  before(async () => {
    cluster = await startCluster()
    const admin = await cluster.set.client()
    await admin
      .db('shop')
      .collection('orders')
      .insertMany(Array.from({ length: 500 }, (_, n) => ({ n })))
    await admin.db('shop').collection('orders').createIndex({ n: 1 })
    await cluster.startAgent()
  })
  after(() => cluster.stop())

  it('config: writes a file, waits for the list of the storage, and shows everything back', async () => {
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\nbackup: {compression: zstd}\n`
    const ended = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(ended.code, 0, ended.stderr)
    const expected = {
      storage: { type: 'filesystem', filesystem: { path: `${cluster.folder}/backups` } },
      // With what PBM fills in.
      pitr: { enabled: false, compression: 'zstd' },
      backup: { oplogSpanMin: 0, compression: 'zstd' },
      restore: {},
    }
    assert.deepEqual((await cluster.json(['config'])).value, expected)
    assert.deepEqual((await cluster.json(['config', '--list'])).value, expected)
    assert.deepEqual((await cluster.json(['config', 'backup.compression'])).value, {
      key: 'backup.compression',
      value: 'zstd',
    })
    assert.match((await cluster.pbm(['config'])).stdout, /^storage:\n {2}type: filesystem\n/)
  })

  it('status: the agent is OK', async () => {
    // Agents look at a new storage with their next report.
    await until('the storage to be seen', async () => (await listAgents(cluster.leader)).every(({ stors }) => stors.ok))
    const { value } = await cluster.json(['status', '-p'])
    const { cluster: replsets, pitr, running, backups } = value as Record<string, never>
    assert.deepEqual(Object.keys(value as object), ['cluster', 'pitr', 'running', 'backups'])
    // Of what only physical backups need.
    const lacking = (replsets as unknown as { nodes: { physical?: string }[] }[])[0]?.nodes[0]?.physical ?? ''
    assert.match(lacking, /lacks rights: fsync/)
    assert.deepEqual(replsets, [
      {
        rs: cluster.set.name,
        nodes: [
          {
            ...{ host: cluster.host, agent: 'v2.15.0', pbmkit: VERSION, role: 'P' },
            ...{ prio_pitr: '0.5', prio_backup: '0.5', ok: true, physical: lacking },
          },
        ],
      },
    ])
    assert.deepEqual(pitr, { conf: false, run: false, nodes: [] })
    assert.deepEqual(running, {})
    assert.deepEqual(backups, {
      type: 'FS',
      path: `${cluster.folder}/backups`,
      snapshot: [],
      pitrChunks: { size: 0 },
    })
    assert.match((await cluster.pbm(['s'])).stdout, /P\s+\d+\.\d+\.\d+ \(PBM v2\.15\.0\)\s+OK/)
  })

  it("status: what is lost by an agent of PBM's", async () => {
    const agents = cluster.leader.db('admin').collection('pbmAgents')
    const [own] = await agents.find({}, { projection: { _id: 0, plugins: 0, pbmkit: 0 } }).toArray()
    await agents.insertOne({ ...own, n: 'other:1', s: 2, str: 'SECONDARY' })
    const { stdout } = await cluster.pbm(['status', '-s', 'cluster'])
    await agents.deleteOne({ n: 'other:1' })
    assert.match(stdout, /PBM's agent beside other:1: no physical backups there.*Run pbmkit's pbm-agent there/)
  })

  it('backup --wait: is done when it says so, with each form of output', async () => {
    const ended = await cluster.json(['backup', '--wait', '--compression', 'gzip', '--num-parallel-collections', '2'])
    assert.equal(ended.code, 0, ended.stderr)
    const told = ended.value as { name: string; storagePath: string; status: string; size: number }
    name = told.name
    assert.match(name, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.equal(told.storagePath, `${cluster.folder}/backups`)
    assert.equal(told.status, 'done')
    assertShape(told, PBM_FIELDS.backup, 'backup')
    assert.ok((await readdir(join(cluster.folder, 'backups'))).includes(`${name}.pbm.json`))
    for (const line of ended.stderr.trim().split('\n')) JSON.parse(line)
  })

  it('list and describe-backup: what there is', async () => {
    const { value } = await cluster.json(['list'])
    const { snapshots, pitr } = value as { snapshots: Record<string, unknown>[]; pitr: object }
    assert.deepEqual(pitr, { on: false, ranges: [] })
    assert.equal(snapshots.length, 1)
    assert.deepEqual(Object.keys(snapshots[0] ?? {}), [
      ...['name', 'size', 'status', 'printStatus', 'restoreTo', 'pbmVersion', 'type', 'src'],
    ])
    assert.match((await cluster.pbm(['list'])).stdout, new RegExp(`${name} .*logical +main`))
    const backups = cluster.leader.db('admin').collection('pbmBackups')
    await backups.updateOne({ name }, { $set: { fcv: '5.0' } })
    const hidden = (await cluster.pbm(['list'])).stdout
    assert.match(hidden, /No backups that can be restored here\.\n1 finished backup is not listed, .*backup FCV 5\.0/)
    await backups.updateOne({ name }, { $set: { fcv: '6.0' } })
    assert.equal((await cluster.pbm(['list', '--names'])).stdout, `${name}\n`)

    const described = (await cluster.json(['describe-backup', name, '--with-collections'])).value as Record<
      string,
      unknown
    >
    const fields = ['name', 'storage_type', 'opid', 'type', 'last_write_ts', 'last_transition_ts', 'last_write_time']
    for (const field of [...fields, 'last_transition_time', 'mongodb_version', 'fcv', 'pbm_version', 'status', 'size'])
      assert.ok(field in described, field)
    const [replset] = described.replsets as {
      name: string
      node: string
      collections: string[]
      size: number
      size_uncompressed: number
    }[]
    assert.ok((replset?.size ?? 0) > 0)
    assert.ok((replset?.size_uncompressed ?? 0) > (replset?.size ?? 0), 'it was compressed')
    assert.deepEqual(
      [described.size, described.size_uncompressed],
      [replset?.size, replset?.size_uncompressed],
      'one replica set is all of it',
    )
    assert.equal(replset?.node, cluster.host)
    assert.ok(replset?.collections.includes('shop.orders'))
    const text = (await cluster.pbm(['describe-backup', name])).stdout
    assert.match(text, /status: done/)
    assert.doesNotMatch(text, /last_write_ts/)
    const near = await cluster.pbm(['describe-backup', `${name.slice(0, -2)}x`])
    assert.match(near.stderr, new RegExp(`Did you mean ${name}`))
  })

  it('restore: asks, and puts back what was there', async () => {
    const unanswered = await cluster.pbm(['restore', name])
    assert.equal(unanswered.code, 1)
    assert.match(unanswered.stderr, /Add -y/)

    const admin = await cluster.set.client()
    await admin.db('shop').dropDatabase()
    // Made after the backup, which does not have them.
    const privileges = [{ resource: { db: 'admin', collection: 'system.version' }, actions: ['find'] }]
    await admin.db('admin').command({ createRole: 'operating', privileges, roles: ['readWrite', 'clusterMonitor'] })
    await admin.db('admin').command({ createUser: 'late', pwd: 'late', roles: ['operating'] })
    const env = { PBM_MONGODB_URI: cluster.set.uri({ user: 'late', password: 'late' }) }
    const { code, value, stderr } = await cluster.json(['restore', name, '-y', '--wait'], { env })
    assert.equal(code, 0, JSON.stringify(value) + stderr)
    const told = value as { name: string; snapshot: string; status: string }
    assert.equal(told.snapshot, name)
    assertShape(value, PBM_FIELDS.restore, 'restore')
    assert.equal(await admin.db('shop').collection('orders').countDocuments(), 500)

    const [restore] = (await cluster.json(['list', '--restore'])).value as Record<string, unknown>[]
    assert.deepEqual(restore, {
      start: restore?.start,
      status: 'done',
      type: 'snapshot',
      snapshot: name,
      name: told.name,
    })
    const described = (await cluster.json(['describe-restore', told.name])).value as {
      status: string
      backup: string
      replsets: object[]
    }
    assert.equal(described.status, 'done')
    assert.ok(
      described.replsets.every((replset) => !('progress' in replset)),
      'an ended restore makes no progress',
    )
    assert.equal(described.backup, name)
  })

  it('gives JSON with the fields of PBM, in their types', async () => {
    const [restore] = (await cluster.json(['list', '--restore'])).value as { name: string }[]
    const commands: Record<string, string[]> = {
      cancelBackup: ['cancel-backup'],
      list: ['list', '--full', '--unbacked'],
      restores: ['list', '--restore'],
      status: ['status', '--priority'],
      describeBackup: ['describe-backup', name, '--with-collections'],
      describeRestore: ['describe-restore', restore?.name ?? ''],
      logs: ['logs', '--tail', '0'],
      config: ['config'],
      configKey: ['config', 'pitr.enabled'],
      configSet: ['config', '--set', 'backup.numParallelCollections=2'],
      profiles: ['profile'],
      version: ['version'],
    }
    for (const [what, args] of Object.entries(commands)) {
      const { code, value } = await cluster.json(args)
      assert.equal(code, 0, what)
      assertShape(value, PBM_FIELDS[what as keyof typeof PBM_FIELDS], what)
    }
  })

  it('physical restores: read from the storage, by a resync and by describe-restore --config', async () => {
    const name = '2031-02-05T01:02:03.000000004Z'
    const folder = join(cluster.folder, 'backups', '.pbm.restore')
    await mkdir(join(folder, name, 'rs.rs0'), { recursive: true })
    const record = {
      status: 'done',
      name,
      opid: 'ab'.repeat(12),
      backup: '2031-02-03T04:05:06Z',
      start_ts: 1_927_900_000,
    }
    await writeFile(join(folder, `${name}.json`), JSON.stringify(record))
    await writeFile(join(folder, name, 'cluster.done'), '1927900100')
    await writeFile(join(folder, name, 'rs.rs0', 'node.db-1:27017.error'), '1927900099:no space')
    await writeFile(join(folder, name, 'rs.rs0', 'rs.partlyDone'), '1927900099')
    await writeFile(join(folder, name, 'rs.rs0', 'node.db-2:27017.done'), '1927900099')
    const file = join(cluster.folder, 'storage.yaml')
    await writeFile(file, `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}`)
    const read = (await cluster.json(['describe-restore', name, '-c', file])).value as Record<string, unknown>
    assert.deepEqual([read.type, read.status, read.finish], ['physical', 'done', '2031-02-03T15:48:20Z'])
    const synced = await cluster.pbm(['config', '--force-resync', '--include-restores', '--wait'])
    assert.equal(synced.code, 0, synced.stderr)
    assert.deepEqual((await cluster.json(['describe-restore', name])).value, read)
    assert.ok((await cluster.pbm(['list', '--restore'])).stdout.includes(name))
    await rm(folder, { recursive: true })
  })

  it('top: one snapshot where there is no terminal', async () => {
    const { code, stdout } = await cluster.pbm(['top', '--lines', '3'])
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`^Agents$.*${cluster.host} +PRIMARY .*^Running\n {2}nothing$.*^Log$.*backup`, 'ms'))
    const { value } = await cluster.json(['top'])
    const { agents, operations, pitr, log } = value as { agents: object[]; operations: []; pitr: object; log: object[] }
    assert.deepEqual([agents.length, operations, pitr, log.length], [1, [], { enabled: false, slicing: [] }, 10])
  })

  it('logs: filters, and follows until Ctrl-C', async () => {
    const { value } = await cluster.json(['logs', '-e', `backup/${name}`, '-s', 'D', '-t', '0'])
    const entries = value as Record<string, unknown>[]
    assert.ok(entries.length > 0)
    for (const entry of entries) {
      assert.equal(entry.eobj, name)
      assert.deepEqual(Object.keys(entry), ['ts', 's', 'rs', 'node', 'e', 'eobj', 'ep', 'opid', 'msg'])
    }
    assert.equal((await cluster.pbm(['logs', '-t', '1'])).stdout.trim().split('\n').length, 1)
    const followed = await pbmProcess(['logs', '-f', '-t', '1', '-o', 'json'], {
      env: { PBM_MONGODB_URI: cluster.uri },
      during: async (child, told) => {
        while (!told().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 50))
        const again = await cluster.pbm(['config', '--force-resync', '--wait'])
        assert.equal(again.code, 0, again.stderr)
        while (!told().includes('"resync"')) await new Promise((resolve) => setTimeout(resolve, 50))
        child.kill('SIGINT')
      },
    })
    assert.equal(followed.code, 0, followed.stderr)
    for (const line of followed.stdout.trim().split('\n')) assert.ok('msg' in (JSON.parse(line) as object))
  })

  it('config: what it prints can be given back, with blocks of other storages and what has no effect', async () => {
    const text = (await cluster.pbm(['config'])).stdout
    const input = text.replace('storage:\n', 'storage:\n  minio: {endpoint: h, partSize: 5}\n')
    const first = await cluster.pbm(['config', '--file', '-'], { input })
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stderr, /without effect here: storage\.minio$/m)
    assert.equal((await cluster.json(['config', 'storage.minio.partSize'])).code, 0)
    const shown = (await cluster.pbm(['config'])).stdout
    const again = await cluster.pbm(['config', '--file', '-', '--wait'], { input: shown })
    assert.deepEqual([again.code, again.stderr], [0, ''])
    assert.equal((await cluster.pbm(['config'])).stdout, shown)
    assert.equal((await cluster.pbm(['config', '--file', '-', '--wait'], { input: text })).code, 0)
  })

  it('config on another storage: lists what lies there, and on the first one again', async () => {
    await mkdir(join(cluster.folder, 'other'))
    const there = await cluster.pbm(['config', '--set', `storage.filesystem.path=${cluster.folder}/other`, '--wait'])
    assert.equal(there.code, 0, there.stderr)
    assert.deepEqual(((await cluster.json(['list'])).value as { snapshots: unknown[] }).snapshots, [])
    const back = await cluster.pbm(['config', '--set', `storage.filesystem.path=${cluster.folder}/backups`, '--wait'])
    assert.equal(back.code, 0, back.stderr)
    assert.equal((await cluster.pbm(['list', '--names'])).stdout, `${name}\n`)
  })

  it('a storage that is not there: the reason, from the agent', async () => {
    await writeFile(join(cluster.folder, 'file'), '')
    const path = `${cluster.folder}/file/backups`
    const lost = await cluster.pbm(['config', '--set', `storage.filesystem.path=${path}`, '--wait'])
    assert.equal(lost.code, 1)
    assert.match(lost.stderr, /resync failed/)
    await until('the storage to be missed', async () =>
      (await listAgents(cluster.leader)).every(({ stors }) => !stors.ok),
    )
    const ended = await cluster.pbm(['backup', '--wait'])
    assert.equal(ended.code, 1)
    assert.match(ended.stderr, /no member[\s\S]*storage/)
    const back = await cluster.pbm(['config', '--set', `storage.filesystem.path=${cluster.folder}/backups`, '--wait'])
    assert.equal(back.code, 0, back.stderr)
  })

  it('describe-backup --with-collections reads the layout of one archive, too', async () => {
    await cluster.pbm(['config', '--set', 'backup.layout=archive'])
    await until('the storage to be seen', async () => (await listAgents(cluster.leader)).every(({ stors }) => stors.ok))
    const made = await cluster.json(['backup', '--wait'])
    assert.equal(made.code, 0, made.stdout)
    const archive = (made.value as { name: string }).name
    const { value } = await cluster.json(['describe-backup', archive, '--with-collections'])
    const [replset] = (value as { replsets: { collections: string[] }[] }).replsets
    assert.ok(replset?.collections.includes('shop.orders'))
    assert.equal((await cluster.pbm(['delete-backup', archive, '-y'])).code, 0)
    await cluster.pbm(['config', '--set', 'backup.layout='])
  })

  it('restore --without-users-and-roles: leaves them alone; without it, tells who becomes an administrator', async () => {
    const admin = (await cluster.set.client()).db('admin')
    const users = async () => (await admin.collection('system.users').find().toArray()).map(({ user }) => user)
    await admin.command({ createUser: 'mallory', pwd: 'x', roles: ['root'] })
    const made = await cluster.json(['backup', '--wait'])
    const backup = (made.value as { name: string }).name
    await admin.command({ dropUser: 'mallory' })
    await admin.command({ createUser: 'own', pwd: 'x', roles: ['readWrite'] })
    const restore = ['restore', backup, '--yes', '--wait']
    const without = await cluster.json([...restore, '--without-users-and-roles'])
    assert.equal((without.value as { gainedRoles?: unknown }).gainedRoles, undefined)
    assert.ok((await users()).includes('own') && !(await users()).includes('mallory'))
    const restored = await cluster.pbm(restore)
    assert.equal(restored.code, 0, restored.stderr)
    assert.match(restored.stderr, /admin\.mallory becomes an administrator by this restore: root@admin/)
    assert.ok(!(await users()).includes('own') && (await users()).includes('mallory'))
    // Both may have begun within one second, so they are in no order.
    const ofGain = (await listRestores(cluster.leader)).filter(
      ({ replsets }) => replsets[0]?.gained_roles !== undefined,
    )
    assert.equal(ofGain.length, 1)
    const described = await cluster.json(['describe-restore', ofGain[0]?.name ?? ''])
    const gained = [{ user: 'admin.mallory', roles: ['root@admin'] }]
    assert.deepEqual((described.value as { replsets: { gained_roles?: unknown }[] }).replsets[0]?.gained_roles, gained)
    await admin.command({ dropUser: 'mallory' })
    assert.equal((await cluster.pbm(['delete-backup', backup, '-y'])).code, 0)
  })

  it('delete-backup: shows, asks, and waits until it is gone', async () => {
    const dry = await cluster.json(['delete-backup', '--older-than', '0d', '--dry-run'])
    assert.deepEqual(
      (dry.value as { backups: { name: string }[] }).backups.map((backup) => backup.name),
      [name],
    )
    assert.equal((await cluster.pbm(['delete-backup', name])).code, 1, 'nobody confirmed')
    const ended = await cluster.pbm(['delete-backup', name, '-y'])
    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(((await cluster.json(['list'])).value as { snapshots: unknown[] }).snapshots, [])
    assert.ok(!(await readdir(join(cluster.folder, 'backups'))).includes(name))
  })
})
