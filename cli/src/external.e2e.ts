import assert from 'node:assert/strict'
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serviceManager, startCommand, temporaryFolder } from '@pbmkit/conformance/testbed'
import { type Cluster, startCluster, until } from './cluster.support.js'

describe('pbm and external backups', () => {
  let cluster: Cluster
  let folder: string
  let stopManager: () => Promise<void>
  let backup: string
  const dbPaths: string[] = []

  before(async () => {
    const memberConfig = { 1: { votes: 0, priority: 0, hidden: true } }
    cluster = await startCluster({ members: 2, physical: true, memberConfig })
    folder = await temporaryFolder('pbmkit-services-')
    for (const name of ['state', 'copy']) await mkdir(join(folder, name))
    stopManager = serviceManager(() => cluster.set.members, folder)
    for (const member of cluster.set.members)
      await cluster.startAgent(member.uri({ user: 'pbmuser' }), {
        PBM_STATE_FOLDER: join(folder, 'state'),
        PBM_MONGOD_START: startCommand(folder, member.port),
      })
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], {
      input: configuration(),
    })
    assert.equal(code, 0, stderr)
  })
  after(async () => {
    await stopManager()
    await cluster.stop()
  })

  const configuration = () => `storage: { type: filesystem, filesystem: { path: ${cluster.folder}/backups } }`

  it('tells what is to be copied, and until when', async () => {
    const started = await cluster.pbm(['backup', '-t', 'external', '-l'])
    assert.equal(started.code, 0, started.stderr)
    const host = cluster.set.members[1]?.host ?? ''
    assert.match(started.stdout, new RegExp(`ready to be copied from:\n  ${host}  /\\S+/data\n`))
    for (const file of ['WiredTiger.backup', 'filelist.pbm', 'pbm.rsmeta.rs0.json', 'storage.bson'])
      assert.ok(started.stdout.includes(`\n    ${file}\n`), started.stdout)
    assert.match(started.stdout, /at the most until 20\d\d-/)
    const [, name = ''] = /pbm backup-finish (\S+)\./.exec(started.stdout) ?? []
    backup = name
    const [, dbPath = ''] = new RegExp(`${host}  (/\\S+)`).exec(started.stdout) ?? []
    dbPaths.push(dbPath.replace(/1\/data$/, '0/data'), dbPath)
    for (const file of await readdir(dbPath))
      if (!/^\.|mongod\.lock/.test(file)) await cp(join(dbPath, file), join(folder, 'copy', file), { recursive: true })
    const finished = await cluster.json(['backup-finish', name])
    assert.equal(finished.code, 0, finished.stderr)
    const described = async () =>
      (await cluster.json(['describe-backup', name])).value as { type: string; status: string }
    await until('its end', async () => (await described()).status === 'done')
    assert.equal((await described()).type, 'external')
    const again = await cluster.pbm(['backup-finish', name])
    assert.equal(again.code, 1)
    assert.match(again.stderr, /is 'done'.*\[NOT_COPY_READY\]/)
  })
  it('restores what is copied, with the words of PBM', async () => {
    const needs = await cluster.pbm(['restore', backup, '-y'])
    assert.equal(needs.code, 2)
    assert.match(needs.stderr, /pbm restore \S+ --external/)
    const started = await cluster.pbm(['restore', backup, '--external', '-y'])
    assert.equal(started.code, 0, started.stderr)
    for (const { host } of cluster.set.members) assert.ok(started.stdout.includes(`\n  ${host}\n`), started.stdout)
    const [, name = ''] = /pbm restore-finish (\S+) -c FILE/.exec(started.stdout) ?? []
    const file = join(folder, 'pbm.yaml')
    await writeFile(file, configuration())
    const described = async () => {
      const { value } = await cluster.json(['describe-restore', name, '-c', file])
      return (value as { status: string }).status
    }
    assert.equal(await described(), 'copyReady')
    for (const dbPath of dbPaths) await cp(join(folder, 'copy'), dbPath, { recursive: true })
    const finished = await cluster.pbm(['restore-finish', name, '-c', file])
    assert.equal(finished.code, 0, finished.stderr)
    await until('its end', async () => (await described()) === 'done')
    const again = await cluster.pbm(['restore-finish', name, '-c', file])
    assert.equal(again.code, 1)
    assert.match(again.stderr, /is 'done'.*\[NOT_COPY_READY\]/)
  })
})
