import assert from 'node:assert/strict'
import { type Cluster, startCluster, until } from './cluster.support.js'

describe('pbm and external backups', () => {
  let cluster: Cluster

  before(async () => {
    const memberConfig = { 1: { votes: 0, priority: 0, hidden: true } }
    cluster = await startCluster({ members: 2, physical: true, memberConfig })
    for (const member of cluster.set.members) await cluster.startAgent(member.uri({ user: 'pbmuser' }))
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], {
      input: `storage: { type: filesystem, filesystem: { path: ${cluster.folder}/backups } }`,
    })
    assert.equal(code, 0, stderr)
  })
  after(() => cluster.stop())

  it('tells what is to be copied, and until when', async () => {
    const started = await cluster.pbm(['backup', '-t', 'external', '-l'])
    assert.equal(started.code, 0, started.stderr)
    const host = cluster.set.members[1]?.host ?? ''
    assert.match(started.stdout, new RegExp(`ready to be copied from:\n  ${host}  /\\S+/data\n`))
    for (const file of ['WiredTiger.backup', 'filelist.pbm', 'pbm.rsmeta.rs0.json', 'storage.bson'])
      assert.ok(started.stdout.includes(`\n    ${file}\n`), started.stdout)
    assert.match(started.stdout, /at the most until 20\d\d-/)
    const [, name = ''] = /pbm backup-finish (\S+)\./.exec(started.stdout) ?? []
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
})
