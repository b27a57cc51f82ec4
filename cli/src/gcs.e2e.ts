import assert from 'node:assert/strict'
import { type FakeGcs, findFakeGcs, orSkip, startFakeGcs } from '@pbmkit/conformance/testbed'
import { listAgents } from '@pbmkit/core'
import { type Cluster, startCluster, until } from './cluster.support.js'

/** A bucket, from the configuration to the restore, and a throttle on the way. One story, in order. */
describe('pbm, an agent and Google Cloud Storage', () => {
  let gcs: FakeGcs
  let cluster: Cluster
  let name: string

  before(async function () {
    this.timeout(45 * 60_000)
    await orSkip(this, () => findFakeGcs({ onProgress: console.error }))
    gcs = await startFakeGcs()
    await gcs.createBucket('backups')
    cluster = await startCluster()
    const admin = await cluster.set.client()
    const orders = Array.from({ length: 500 }, (_, n) => ({ n, text: Math.random().toString(36).repeat(20) }))
    await admin.db('shop').collection('orders').insertMany(orders)
    await cluster.startAgent()
  })
  after(async () => {
    await cluster?.stop()
    await gcs?.stop()
  })

  async function stored(): Promise<string[]> {
    const answer = await fetch(`${gcs.endpoint}/storage/v1/b/backups/o`)
    const { items = [] } = (await answer.json()) as { items?: { name: string }[] }
    return items.map((item) => item.name)
  }

  it('config: takes the options and hides the key', async () => {
    const input = `storage:
  type: gcs
  gcs: {bucket: backups, prefix: production, endpointUrl: '${gcs.endpoint}'}
backup:
  throttle: {upload: 200000, download: 10000000}
`
    const ended = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(ended.code, 0, ended.stderr)
    const refused = await cluster.pbm(['config', '--set', 'storage.gcs.chunkSize=much'])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /storage\.gcs\.chunkSize/)
    await until('the storage to be seen', async () => (await listAgents(cluster.leader)).every(({ stors }) => stors.ok))
  })

  it('backup: goes to the bucket, no faster than allowed, and says how it went', async () => {
    const ended = await cluster.json(['backup', '--wait', '--compression', 'none'])
    assert.equal(ended.code, 0, ended.stderr)
    name = (ended.value as { name: string }).name
    assert.ok((await stored()).includes(`production/${name}.pbm.json`))
    const described = (await cluster.json(['describe-backup', name])).value as {
      replsets: { transfer: { objects: number; bytes: number; millis: number; retries: number; speed_h: string } }[]
    }
    const transfer = described.replsets[0]?.transfer
    assert.ok(transfer !== undefined && transfer.objects > 2 && transfer.retries === 0, JSON.stringify(described))
    assert.ok(transfer.bytes > 100_000, `${transfer.bytes} bytes`)
    const fastest = (transfer.bytes * 1000) / transfer.millis
    assert.ok(fastest < 400_000, `${fastest} bytes a second, where 200,000 are allowed`)
    assert.match((await cluster.pbm(['describe-backup', name])).stdout, /speed_h: \d+\.\d KiB\/s/)
    assert.match((await cluster.pbm(['logs', '--tail', '0'])).stdout, /stored \d+ objects, .* MiB at .* MiB\/s/)
  })

  it('restore: brings everything back', async () => {
    const admin = await cluster.set.client()
    await admin.db('shop').dropDatabase()
    const ended = await cluster.pbm(['restore', name, '--wait', '--yes'])
    assert.equal(ended.code, 0, ended.stderr)
    assert.equal(await admin.db('shop').collection('orders').countDocuments(), 500)
  })

  it('delete-backup: leaves nothing of it', async () => {
    const ended = await cluster.pbm(['delete-backup', name, '--yes'])
    assert.equal(ended.code, 0, ended.stderr)
    await until('the objects to be gone', async () => (await stored()).every((object) => !object.includes(name)))
  })
})
