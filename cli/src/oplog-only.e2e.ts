import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, snapshotState } from '@pbmkit/conformance/testbed'
import { listChunks } from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

/** Chunks without a backup: for those whose snapshots are made by other means. And another storage in mid-slicing. */
describe('pbm with pitr.oplogOnly', () => {
  let cluster: Cluster
  let admin: MongoClient
  let beginning: Timestamp

  before(async () => {
    cluster = await startCluster()
    admin = await cluster.set.client()
    await cluster.startAgent()
  })
  after(() => cluster?.stop())

  const moment = ({ t, i }: Timestamp) => `${t},${i}`
  const work = () => admin.db('work').collection<{ _id: number; n?: number }>('numbers')
  const objects = async (folder: string) =>
    (await readdir(join(cluster.folder, folder), { recursive: true })).filter((name) => name.includes('.oplog'))

  function succeeded(ended: { code: number | null; stdout: string; stderr: string }) {
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function configure(folder: string): Promise<void> {
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/${folder}}\npitr: {enabled: true, oplogOnly: true, oplogSpanMin: 0.02, compression: none}\n`
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input }))
  }

  /** An entry of its own, after all that was done. */
  async function mark(): Promise<Timestamp> {
    const { operationTime } = await admin.db('admin').command({ appendOplogNote: 1, data: { mark: 1 } })
    return operationTime as Timestamp
  }

  async function stored(time: Timestamp): Promise<void> {
    await until(`the oplog up to ${moment(time)} to be stored`, async () =>
      (await listChunks(cluster.leader)).some(({ end_ts }) => end_ts.greaterThanOrEqual(time)),
    )
  }

  it('stores the oplog from now on, and lists it without a base', async () => {
    await configure('backups')
    // Its lock comes before it looks where the oplog ends, from where it stores.
    await until('slicing', async () => (await listChunks(cluster.leader)).length > 0)
    beginning = await mark()
    await stored(beginning)
    // Ranges are told in whole seconds, and the first entry's own is none of them.
    await until('a range', async () => {
      const { value } = await cluster.json(['list', '--unbacked'])
      const { pitr } = value as { pitr: { on: boolean; ranges: { noBaseSnapshot?: boolean }[] } }
      assert.equal(pitr.on, true)
      assert.ok(pitr.ranges.every(({ noBaseSnapshot }) => noBaseSnapshot === true))
      return pitr.ranges.length > 0
    })
    assert.doesNotMatch((await cluster.pbm(['status', '-s', 'pitr'])).stdout, /make one with pbm backup/)
  })

  it('has nothing to restore, and says what it needs', async () => {
    const { code, stdout, stderr } = await cluster.pbm(['restore', '--time', moment(beginning), '-y'])
    assert.notEqual(code, 0, stdout)
    assert.match(stderr, /backup/)
  })

  it('replays what it stored onto the data as it was before', async () => {
    await work().insertMany(Array.from({ length: 50 }, (_, _id) => ({ _id })))
    await work().createIndex({ n: 1 }, { name: 'by n' })
    await work().updateMany({ _id: { $lt: 20 } }, { $set: { n: 7 } })
    await work().deleteMany({ _id: { $gte: 40 } })
    const expected = await snapshotState(admin)
    const end = await mark()
    await stored(end)
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=false']))
    await admin.db('work').dropDatabase()
    const range = ['--start', moment(beginning), '--end', moment(end)]
    await refusesAltered(range)
    const ended = await cluster.json(['oplog-replay', ...range, '-y', '--wait'])
    succeeded(ended)
    assert.deepEqual(compareStates(expected, await snapshotState(admin)), [])
  })

  /** One letter of an index name, in an uncompressed chunk: everything can still be read. */
  async function refusesAltered(range: readonly string[]): Promise<void> {
    for (const { fname } of await listChunks(cluster.leader)) {
      const file = join(cluster.folder, 'backups', fname)
      const bytes = await readFile(file)
      const place = bytes.indexOf('by n')
      if (place < 0) continue
      const altered = Buffer.from(bytes)
      altered.write('by m', place)
      await writeFile(file, altered)
      const { value } = await cluster.json(['oplog-replay', ...range, '-y', '--wait'])
      const told = value as { code: string; Error: string }
      assert.equal(told.code, 'RESTORE_FAILED', told.Error)
      assert.match(told.Error, /was altered: its checksum is wrong/)
      assert.ok(told.Error.includes(fname), told.Error)
      await writeFile(file, bytes)
      return
    }
    assert.fail('no chunk has the index')
  }

  it('follows to another storage, and back to where the chain ended', async () => {
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=true']))
    await stored(await mark())
    const before = await listChunks(cluster.leader)
    await configure('elsewhere')
    await stored(await mark())
    const there = await listChunks(cluster.leader)
    assert.ok(there.every(({ fname }) => before.every((chunk) => chunk.fname !== fname)))
    const names = new Set(await objects('elsewhere'))
    assert.ok(there.every(({ fname }) => names.has(fname)))

    await configure('backups')
    await stored(await mark())
    const back = await listChunks(cluster.leader)
    // The oplog still has what was stored elsewhere: no gap.
    for (const [index, chunk] of back.entries()) {
      const previous = back[index - 1]
      if (previous !== undefined && index >= before.length)
        assert.ok(chunk.start_ts.equals(previous.end_ts), chunk.fname)
    }
    assert.ok(before.every(({ fname }) => back.some((chunk) => chunk.fname === fname)))
    await until('nothing unlisted to be there', async () => {
      const found = (await objects('backups')).filter((name) => !name.endsWith('.tmp'))
      const listed = new Set((await listChunks(cluster.leader)).map(({ fname }) => fname))
      return found.every((name) => listed.has(name))
    })
  })
})
