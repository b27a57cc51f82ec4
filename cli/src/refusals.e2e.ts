import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startStandalone } from '@pbmkit/conformance/testbed'
import { clusterTime, LOCKS, publishAgent, readConfig } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { type Cluster, startCluster } from './cluster.support.js'
import { agentDocument } from './records.support.js'
import { type Ended, pbm } from './run.support.js'

function failed(ended: Ended, code: number, ...parts: RegExp[]): void {
  assert.equal(ended.code, code, ended.stdout + ended.stderr)
  assert.equal(ended.stdout, '')
  for (const part of parts) assert.match(ended.stderr, part)
}

describe('pbm and servers it can not use', () => {
  it('tells a server that is not there, and a standalone', async () => {
    failed(await pbm(['status', '--mongodb-uri', 'mongodb://u:s3cret@127.0.0.1:1/']), 1, /ECONNREFUSED/)
    failed(await pbm(['status', '--mongodb-uri', 'http://127.0.0.1:1/']), 1)
    const standalone = await startStandalone({})
    try {
      failed(await pbm(['status', '--mongodb-uri', standalone.uri({})]), 1, /standalone/, /--replSet/)
    } finally {
      await standalone.stop()
    }
  })
})

describe('pbm refuses', () => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster.stop())

  it('wrong credentials, without telling them', async () => {
    const uri = cluster.set.uri({ user: 'pbm', password: 'wrong-s3cret' })
    const ended = await pbm(['status'], { env: { PBM_MONGODB_URI: uri } })
    failed(ended, 1, /uthentication/)
    assert.doesNotMatch(ended.stderr, /s3cret/)
  })

  it('takes the connection string from a file', async () => {
    const file = join(cluster.folder, 'uri')
    await writeFile(file, `${cluster.uri}\n`)
    assert.equal((await pbm(['list'], { env: { PBM_MONGODB_URI_FILE: file } })).code, 0)
    failed(await pbm(['list'], { env: { PBM_MONGODB_URI_FILE: `${file}x` } }), 1, /can't read/)
  })

  it('to work without a configuration, and says how to make one; status and list still work', async () => {
    for (const args of [
      ['backup'],
      ['restore', 'x', '-y'],
      ['config'],
      ['config', '--set', 'pitr.enabled=true'],
      ['config', '--force-resync'],
    ])
      failed(await cluster.pbm(args), 1, /no configuration/, /pbm config --file/)
    const status = await cluster.pbm(['status'])
    assert.equal(status.code, 0)
    assert.match(status.stdout, /No configuration yet/)
    assert.match(status.stdout, /no agent/)
    const { value } = await cluster.json(['list'])
    assert.deepEqual(value, { snapshots: [], pitr: { on: false, ranges: [] } })
    assert.deepEqual((await cluster.json(['list', '--restore'])).value, [])
    assert.deepEqual((await cluster.json(['logs'])).value, [])
  })

  it('a configuration with unknown keys, wrong values or broken YAML, and keeps the old one', async () => {
    const bad: [string, RegExp][] = [
      [
        'storage:\n  type: filesystem\n  filesystem: {path: /b}\nbackup:\n  compresion: s2\n',
        /backup\.compresion[\s\S]*line 5|line 5[\s\S]*compresion/,
      ],
      ['storage:\n  type: filesystem\n  filesystem: {path: /b}\nbackup: {compression: zip}\n', /zip/],
      ['storage:\n  type: tape\n', /tape/],
      ['storage:\n  type: filesystem\n  filesystem: {path: "/b\\0c"}\n', /filesystem\.path: must be: an absolute path/],
      ['storage: [\n', /YAML/],
      ['', /empty/],
    ]
    for (const [input, message] of bad) failed(await cluster.pbm(['config', '--file', '-'], { input }), 1, message)
    failed(await cluster.pbm(['config', '--file', '/nowhere/pbm.yaml']), 1, /can't read \/nowhere\/pbm\.yaml/)
    failed(await cluster.pbm(['config']), 1, /no configuration/)
  })

  it('saves a configuration where no agent runs, and tells that nobody lists the storage', async () => {
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\n`
    const waited = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    failed(waited, 1, /is saved/, /no pbm-agent/)
    const key = 'encryption.aes-gcm.keyEnv'
    const same = await cluster.pbm(['config', '--set', `encryption.type=aes-gcm,${key}=NOT_THERE`, '--wait'])
    failed(same, 1, /is saved, but no agent is running to try it/)
    assert.equal((await cluster.pbm(['config', '--set', 'encryption.type=none'])).code, 0)
    const ended = await cluster.pbm(['config', '--set', `storage.filesystem.path=${cluster.folder}/other`])
    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /--force-resync/)
    assert.equal((await cluster.pbm(['config', 'storage.filesystem.path'])).stdout, `${cluster.folder}/other\n`)
  })

  it('to lose secrets when a configuration that was shown is set again', async () => {
    const before = (await cluster.pbm(['config'])).stdout
    const sftp = {
      host: '127.0.0.1',
      port: 1,
      username: 'u',
      password: 's3cr3t',
      path: '/backups',
      hostKeyFingerprint: `SHA256:${'A'.repeat(43)}`,
    }
    const upload = (input: string) => cluster.pbm(['config', '--file', '-'], { input })
    const set = await upload(JSON.stringify({ storage: { type: 'sftp', sftp } }))
    assert.equal(set.code, 0, set.stderr)
    const shown = (await cluster.pbm(['config'])).stdout
    assert.match(shown, /password: "\*{3}"/)
    const again = await upload(shown.replace('/backups', '/elsewhere'))
    assert.equal(again.code, 0, again.stderr)
    const stored = await readConfig(cluster.leader)
    assert.deepEqual(stored?.storage.sftp, { ...sftp, path: '/elsewhere' })
    assert.equal((await upload(before)).code, 0)
    failed(await upload(shown), 1, /line \d+: storage\.sftp\.password: \*{3} stands for/)
  })

  it('changes all keys or none', async () => {
    failed(
      await cluster.pbm(['config', '--set', 'backup.compression=zstd', '--set', 'backup.nope=1']),
      1,
      /backup\.nope/,
    )
    assert.equal((await cluster.pbm(['config', 'backup.compression'])).stdout, '\n')
    const { value } = await cluster.json(['config', '--set', 'backup.compression=zstd,backup.compressionLevel=3'])
    assert.deepEqual(value, [
      { key: 'backup.compression', value: 'zstd' },
      { key: 'backup.compressionLevel', value: '3' },
    ])
    failed(await cluster.pbm(['config', 'no.such.key']), 1, /no/)
    failed(await cluster.pbm(['config', '--set', 'pitr.enabled']), 2, /write it as key=value/)
  })

  it('operations without any agent, and with a dead one, which it names', async () => {
    for (const args of [['backup'], ['config', '--force-resync']])
      failed(await cluster.pbm(args), 1, /no pbm-agent serves the replica set/, /Start pbm-agent/)
    await publishAgent(cluster.leader, agentDocument(cluster, new Timestamp({ t: 1_000_000_000, i: 1 })))
    failed(
      await cluster.pbm(['backup']),
      1,
      new RegExp(`is dead: ${cluster.host}: lost agent, last heartbeat 2001-09-09`),
    )
    const { value } = await cluster.json(['status', '-s', 'cluster'])
    const [replset] = (value as { cluster: { nodes: Record<string, unknown>[] }[] }).cluster
    assert.deepEqual(Object.keys(replset?.nodes[0] ?? {}), [
      'host',
      'agent',
      'role',
      'prio_pitr',
      'prio_backup',
      'ok',
      'errors',
    ])
    assert.match(String(replset?.nodes[0]?.errors), /lost agent/)
  })

  it('a backup that no member can make, with the reason of each', async () => {
    const agent = agentDocument(cluster, await clusterTime(cluster.leader))
    await publishAgent(cluster.leader, { ...agent, nodes: { ok: false, e: 'connection reset' } })
    failed(await cluster.pbm(['backup']), 1, /no member[\s\S]*connection reset/)
    await publishAgent(cluster.leader, { ...agent, plugins: { storage: ['filesystem'], compression: ['gzip'] } })
    failed(await cluster.pbm(['backup', '--compression', 'lz4']), 1, /no compression plugin 'lz4'/)
    failed(await cluster.pbm(['backup', '--compression', 'zip']), 1, /zip/)
  })

  it('to call a member good that did not see what the last backup wrote', async () => {
    const agent = agentDocument(cluster, await clusterTime(cluster.leader))
    const opid = 'ab'.repeat(12)
    await publishAgent(cluster.leader, { ...agent, mark: { opid, seen: false } })
    assert.match((await cluster.pbm(['status', '-s', 'cluster'])).stdout, /is it a copy of the folder, not the share/)
    await publishAgent(cluster.leader, { ...agent, mark: { opid } })
    assert.doesNotMatch((await cluster.pbm(['status', '-s', 'cluster'])).stdout, /copy of the folder/)
  })

  it('a second operation while one runs, with 4, but not for a dead one', async () => {
    const locks = cluster.leader.db('admin').collection(LOCKS)
    const epoch = new Timestamp({ t: 1, i: 1 })
    const lock = { type: 'restore', replset: cluster.set.name, node: cluster.host, opid: 'ab'.repeat(12), epoch }
    await locks.insertOne({ ...lock, hb: await clusterTime(cluster.leader) })
    for (const args of [
      ['backup'],
      ['restore', 'x', '-y'],
      ['delete-backup', '--older-than', '1d', '-y'],
      ['config', '--set', 'pitr.enabled=true'],
    ])
      failed(await cluster.pbm(args), 4, /another operation is running: restore on/, /abab/)
    const { value } = await cluster.json(['status', '-s', 'running'])
    assert.equal((value as { running: { type: string } }).running.type, 'restore')
    await locks.updateOne({ opid: lock.opid }, { $set: { hb: epoch } })
    failed(await cluster.pbm(['restore', 'x', '-y']), 1, /there is no backup 'x'/)
    await locks.deleteMany({})
  })

  it('to wait for a resync beyond --wait-time: 3, and nothing is begun', async () => {
    const locks = cluster.leader.db('admin').collection(LOCKS)
    const hb = await clusterTime(cluster.leader)
    const lock = { type: 'resync', replset: cluster.set.name, node: cluster.host, opid: 'cd'.repeat(12), epoch: hb }
    await locks.insertOne({ ...lock, hb })
    for (const args of [
      ['backup'],
      ['restore', 'x', '-y'],
      ['cleanup', '--older-than', '1d', '-y'],
      ['config', '--set', 'pitr.enabled=true'],
      ['profile', 'sync', '--all'],
    ])
      failed(await cluster.pbm([...args, '--wait', '--wait-time', '300ms']), 3, /the wait time is over/, /Nothing was/)
    assert.equal(await cluster.leader.db('admin').collection('pbmCmd').countDocuments({ cmd: 'backup' }), 0)
    await locks.deleteMany({})
  })

  it('no configuration that an agent has tried, however old its word is', async () => {
    const path = `storage.filesystem.path=${cluster.folder}/other`
    assert.equal((await cluster.pbm(['config', '--set', path])).code, 0)
    // As on an idle replica set, whose time stands still.
    const hb = await clusterTime(cluster.leader)
    const agent = { ...agentDocument(cluster, hb), epoch: new Timestamp({ t: hb.t + 3600, i: 0 }) }
    await publishAgent(cluster.leader, agent)
    const waiting = ['--wait', '--wait-time', '2s']
    const key = 'encryption.aes-gcm.keyEnv'
    const ended = await cluster.pbm(['config', '--set', `encryption.type=aes-gcm,${key}=NOT_THERE`, ...waiting])
    assert.equal(ended.code, 0, ended.stderr)
    await publishAgent(cluster.leader, { ...agent, epoch: hb })
    failed(await cluster.pbm(['config', '--set', `encryption.type=none`, ...waiting]), 3, /not every agent has said/)
  })

  it('to call a status good of which a section failed', async () => {
    const { code, value } = await cluster.json(['status', '--replset-remapping', 'x'])
    const { cluster: members, backups } = value as { cluster: object[]; backups: { error: string } }
    assert.equal(code, 1)
    assert.match(backups.error, /--replset-remapping: 'x'/)
    assert.equal(members.length, 1, 'the others are told all the same')
  })

  it('to cancel, restore, describe or delete what is not there', async () => {
    const canceled = await cluster.pbm(['cancel-backup'])
    assert.deepEqual([canceled.code, canceled.stderr], [0, ''])
    assert.match(canceled.stdout, /No backup is running/)
    for (const args of [
      ['restore', 'x', '-y'],
      ['describe-backup', 'x'],
      ['delete-backup', 'x', '-y'],
    ])
      failed(await cluster.pbm(args), 1, /there is no backup 'x'/)
    failed(await cluster.pbm(['describe-restore', 'x']), 1, /there is no restore 'x'/)
    assert.equal((await cluster.pbm(['delete-backup', '--older-than', '1d', '-y'])).code, 0)
  })
})
