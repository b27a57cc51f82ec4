import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  compareStates,
  type DatabaseState,
  PBM_USER,
  randomWork,
  seededRandom,
  snapshotState,
} from '@pbmkit/conformance/testbed'
import {
  findRestore,
  insertChunk,
  listBackups,
  listChunks,
  listSlicerLocks,
  optime,
  type PitrChunkDocument,
  readConfig,
} from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

const DATABASES = ['work1', 'work2']
const SEED = 20_611
const MARKS = 4

interface Mark {
  readonly time: Timestamp
  readonly state: DatabaseState
}

/** A backup, an agent that slices, random work, and restores to moments that were recorded. One story, in order. */
describe('pbm and points in time', () => {
  let cluster: Cluster
  let admin: MongoClient
  let base = ''
  let base2 = ''
  const marks: Mark[] = []
  const random = seededRandom(SEED)

  before(async () => {
    cluster = await startCluster()
    admin = await cluster.set.client()
    await cluster.startAgent()
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\npitr: {oplogSpanMin: 0.05}\n`
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input }))
  })
  after(() => cluster?.stop())

  const moment = ({ t, i }: Timestamp) => `${t},${i}`
  const file = (object: string) => join(cluster.folder, 'backups', object)

  function succeeded(ended: { code: number | null; stdout: string; stderr: string }) {
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function refused(args: readonly string[], code: string, ...parts: RegExp[]): Promise<void> {
    const { value, stdout, stderr } = await cluster.json(args)
    const told = value as { code: string; Error: string; hint?: string }
    assert.equal(told.code, code, stdout + stderr)
    for (const part of parts) assert.match(`${told.Error} ${told.hint ?? ''}`, part)
  }

  /** Nothing else writes here, so what is there now is what a restore to now has to give. */
  async function mark(): Promise<Mark> {
    const state = await snapshotState(admin)
    // An entry of its own, so that no work is at the very time.
    const { operationTime } = await admin.db('admin').command({ appendOplogNote: 1, data: { mark: marks.length } })
    const made = { time: operationTime as Timestamp, state }
    marks.push(made)
    return made
  }

  async function stored(time: Timestamp): Promise<void> {
    await until(`the oplog up to ${moment(time)} to be stored`, async () =>
      (await listChunks(cluster.leader)).some(({ end_ts }) => end_ts.greaterThanOrEqual(time)),
    )
  }

  /** What was renamed after that time is refused first, and dropped as the message says. */
  async function restoreTo(time: string, ...more: string[]) {
    const dropped: string[] = []
    for (;;) {
      const ended = await cluster.json(['restore', '--time', time, '-y', '--wait', ...more])
      const { Error: told = '' } = ended.value as { Error?: string }
      const held = [...told.matchAll(/([^ .]+)\.(\S+) has the UUID of/g)]
      if (held.length === 0) return { ...succeeded(ended), value: ended.value, dropped }
      assert.match(told, /Nothing of the data was changed/)
      for (const [, db = '', name = ''] of held) {
        assert.ok(await admin.db(db).dropCollection(name))
        dropped.push(`${db}.${name}`)
      }
    }
  }

  /** Collections that neither the backup nor the oplog has stay, as in PBM: they do not count. */
  async function differences({ state }: Mark): Promise<string[]> {
    const found = await snapshotState(admin)
    const dbs = Object.fromEntries(
      Object.keys(state.dbs).map((db) => {
        const collections = Object.entries(found.dbs[db] ?? {})
        return [db, Object.fromEntries(collections.filter(([name]) => state.dbs[db]?.[name] !== undefined))]
      }),
    )
    const actual = { ...found, dbs }
    return compareStates(state, actual, { ignoreUsers: [`admin.${PBM_USER.user}`] })
  }

  it('stores the oplog while work goes on, and offers ranges', async () => {
    await randomWork(admin, DATABASES, random, 40)
    base = await backup()
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=true']))
    await until('slicing', async () => (await listSlicerLocks(cluster.leader)).length > 0)
    for (let n = 0; n < MARKS; n++) {
      await randomWork(admin, DATABASES, random, 40)
      await scene(admin, n)
      const { time } = await mark()
      // So that there is a chunk that only the first backup is of use for, and more than one after the second.
      if (n === 1 || n === 2) await stored(time)
      if (n === 1) base2 = await backup()
    }
    const last = marks.at(-1)
    assert.ok(last)
    await stored(last.time)
    const { value } = await cluster.json(['list', '--unbacked', '--full'])
    const { pitr } = value as {
      pitr: { on: boolean; ranges: { range: { start: number; end: number } }[]; rsRanges: object }
    }
    const [backupDocument] = (await listBackups(cluster.leader)).filter(({ name }) => name === base)
    const backed = pitr.ranges.find((range) => !('noBaseSnapshot' in range))
    assert.equal(backed?.range.start, (backupDocument?.last_write_ts.t ?? 0) + 1)
    assert.ok((backed?.range.end ?? 0) >= last.time.t)
    assert.deepEqual(Object.keys(pitr.rsRanges), [cluster.set.name])
    const status = (await cluster.json(['status', '-s', 'pitr'])).value as {
      pitr: { stored: { rs: string; lagSeconds: number }[] }
    }
    assert.equal(status.pitr.stored[0]?.rs, cluster.set.name)
    assert.match(succeeded(await cluster.pbm(['status'])).stdout, /stored up to .* behind/)
  })

  it('refuses times that it can not restore to, with the nearest ones that it can', async () => {
    await refused(
      ['restore', '--time', '2000-01-01', '-y'],
      'RESTORE_TIME',
      /before the first time/,
      /nearest time is 2/,
    )
    await refused(['restore', '--time', '2100-01-01', '-y'], 'TIME_IN_FUTURE', /The last time to restore to is 2/)
    await refused(['restore', '--time', '2031-02-03T04:05', '-y'], 'USAGE')
    const [first] = marks
    assert.ok(first)
    const early = ['restore', '--time', moment(first.time), '-y', '--base-snapshot']
    await refused([...early, base2], 'RESTORE_TIME', /holds the state of .* not before/)
    await refused([...early, 'nonsense'], 'BACKUP_NOT_FOUND')
  })

  it('refuses chunks that are missing, cut off, altered or contradict each other, and touches nothing', async () => {
    await switchOff()
    const [target] = marks.slice(-1)
    assert.ok(target)
    const before = await snapshotState(admin)
    const [chunk] = (await chunksAfter(base2)).slice(0, 1)
    assert.ok(chunk)
    const object = file(chunk.fname)
    const whole = await readFile(object)
    const restore = ['restore', '--time', moment(target.time), '-y', '--wait', '--base-snapshot', base2]
    const named = new RegExp(chunk.fname.replaceAll('.', '\\.'))

    await rename(object, `${object}.away`)
    await refused(restore, 'RESTORE_FAILED', named, /missing/, /Nothing of the data was changed/)
    await rename(`${object}.away`, object)
    await writeFile(object, whole.subarray(0, whole.length - 9))
    await refused(restore, 'RESTORE_FAILED', named, /cut off|ends at|damaged|altered/)
    const altered = Buffer.from(whole)
    altered.fill(0xa5, Math.floor(whole.length / 2), Math.floor(whole.length / 2) + 16)
    await writeFile(object, altered)
    await refused(restore, 'RESTORE_FAILED', named)
    await writeFile(object, whole)

    // Another chunk under the name of this one: what it holds lies outside of its bounds.
    const other = (await chunksAfter(base2)).at(-1)
    assert.ok(other && other.fname !== chunk.fname)
    await copyFile(file(other.fname), object)
    await refused(restore, 'RESTORE_FAILED', named)
    await writeFile(object, whole)

    // A gap in the index: nothing is even sent.
    await admin.db('admin').collection('pbmPITRChunks').deleteOne({ fname: chunk.fname })
    await refused(restore, 'RESTORE_TIME', /gap|No stored oplog/)
    assert.equal(await insertChunk(cluster.leader, chunk), true)
    assert.deepEqual(compareStates(before, await snapshotState(admin)), [])
    // A restore that changed nothing leaves point-in-time recovery as it was: here, off by hand.
    assert.equal((await readConfig(cluster.leader))?.pitr?.enabled, false)
  })

  it('gives each moment back exactly, from whichever base', async () => {
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=true']))
    const order = [2, 0, 3, 1]
    for (const n of order) {
      const wanted = marks[n]
      assert.ok(wanted)
      const ended = await restoreTo(moment(wanted.time), ...(n === 3 ? ['--base-snapshot', base] : []))
      if (n === 0) assert.ok(ended.dropped.includes('scenes.moved'))
      const told = ended.value as { name: string; snapshot: string; 'point-in-time': string; pitrDisabled: boolean }
      assert.equal(told.snapshot, n >= 2 && n !== 3 ? base2 : base)
      assert.equal(told['point-in-time'], moment(wanted.time))
      assert.equal(told.pitrDisabled, n === order[0])
      assert.deepEqual(await differences(wanted), [], `mark ${n}, seed ${SEED}`)
      const record = await findRestore(cluster.leader, told.name)
      assert.equal(record?.pitr, wanted.time.t)
      const [part] = record?.replsets ?? []
      assert.equal(part === undefined ? 0n : optime(part.op), optime(wanted.time))
      if (n === order[0]) assert.match(ended.stderr, /is off during this restore/)
    }
    const status = (await cluster.json(['status', '-s', 'pitr'])).value as {
      pitr: { conf: boolean; snapshotNeeded: string }
    }
    assert.equal(status.pitr.conf, false)
    assert.match(status.pitr.snapshotNeeded, /goes on by itself after the next full backup/)
    assert.match((await cluster.pbm(['logs', '-e', 'restore', '-t', '0'])).stdout, /make a full backup now/)
    const listed = (await cluster.json(['list', '--restore'])).value as { type: string; status: string }[]
    assert.ok(listed.some(({ type, status }) => type === 'pitr' && status === 'done'))
  })

  it('replays a stretch onto the data as it is', async () => {
    const [, second, third] = marks
    assert.ok(second && third)
    await restoreTo(moment(second.time))
    const range = ['--start', `${second.time.t},${second.time.i + 1}`, '--end', moment(third.time)]
    const dry = (await cluster.json(['oplog-replay', ...range, '--dry-run'])).value as { chunks: string[] }
    assert.ok(dry.chunks.length > 0)
    const ended = await cluster.json(['oplog-replay', ...range, '--wait'])
    succeeded(ended)
    assert.deepEqual(await differences(third), [])
    const { name } = ended.value as { name: string }
    const record = await findRestore(cluster.leader, name)
    assert.deepEqual([record?.backup, record?.start_pitr, record?.pitr], ['', second.time.t, third.time.t])
    assert.match((await cluster.pbm(['list', '--restore'])).stdout, /replay/)
    await refused(['oplog-replay', '--start', '2000-01-01', '--end', '2000-01-02'], 'REPLAY_RANGE', /Stored is: /)
    await refused(['oplog-replay', '--start', '2000-01-01', '--end', '2100-01-02'], 'TIME_IN_FUTURE')
  })

  it('deletes what nothing later needs, and nothing else', async () => {
    const before = await listChunks(cluster.leader)
    const [, second, third] = marks
    const [older, newer] = await Promise.all([base, base2].map(ended))
    assert.ok(second && third && older && newer)
    const until = ['--older-than', moment(third.time)]
    const dry = (await cluster.json(['cleanup', ...until, '--dry-run'])).value as {
      backups: { name: string }[]
      chunks: object[]
      deleted: boolean
    }
    assert.deepEqual(
      dry.backups.map(({ name }) => name),
      [base],
    )
    assert.equal(dry.deleted, false)
    assert.equal((await listChunks(cluster.leader)).length, before.length)
    assert.match((await cluster.pbm(['cleanup', ...until])).stderr, /Add -y/)

    // PBM's agents delete a chunk and leave these.
    const sums = join(dirname(file(before[0]?.fname ?? '')), '../20200101/pbmkit.sums')
    await mkdir(sums, { recursive: true })
    await writeFile(join(sums, `20200101000000-1.20200101000100-1.5-${'0'.repeat(16)}-${'f'.repeat(16)}`), 'x')
    const chunksOnly = (await cluster.json(['delete-pitr', ...until, '-y', '--wait'])).value as {
      deleted: boolean
      msg: string
    }
    const left = await listChunks(cluster.leader)
    assert.ok(left.length < before.length, chunksOnly.msg)
    // The storage may have removed the empty folder.
    assert.deepEqual(await readdir(sums).catch(() => []), [])
    assert.ok(left.every(({ end_ts }) => end_ts.greaterThan(newer)))
    await refused(['restore', '--time', moment(second.time), '-y'], 'RESTORE_TIME')
    const cleaned = (await cluster.json(['cleanup', ...until, '-y', '--wait'])).value as { deleted: boolean }
    assert.equal(cleaned.deleted, true)
    assert.deepEqual(
      (await listBackups(cluster.leader)).map(({ name }) => name),
      [base2],
    )
    await restoreTo(moment(third.time))
    assert.deepEqual(await differences(third), [])
    assert.equal(
      ((await cluster.json(['cleanup', ...until, '-y', '--wait'])).value as { msg: string }).msg,
      'nothing to delete',
    )
    await refused(['delete-pitr', '--older-than', '2100-01-01', '-y'], 'USAGE')
  })

  it('refuses to delete the last base while the oplog is stored', async () => {
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=true']))
    await refused(['delete-backup', base2, '-y'], 'NEEDED_FOR_PITR', /make a newer backup first/i)
    await switchOff()
    await rm(file('unrelated'), { force: true })
    succeeded(await cluster.pbm(['delete-backup', base2, '-y']))
  })

  async function backup(): Promise<string> {
    const ended = await cluster.json(['backup', '--wait'])
    succeeded(ended)
    return (ended.value as { name: string }).name
  }

  async function ended(name: string): Promise<Timestamp | undefined> {
    return (await listBackups(cluster.leader)).find((one) => one.name === name)?.last_write_ts
  }

  async function switchOff(): Promise<void> {
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=false']))
    await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
  }

  async function chunksAfter(name: string): Promise<PitrChunkDocument[]> {
    const end = await ended(name)
    return (await listChunks(cluster.leader)).filter(({ start_ts }) => end !== undefined && start_ts.greaterThan(end))
  }
})

/** What PBM or mongorestore get wrong, and what random work hardly meets. */
async function scene(client: MongoClient, n: number): Promise<void> {
  const db = client.db('scenes')
  const items = db.collection<{ _id: number; v?: unknown }>('items')
  switch (n) {
    case 0: {
      await items.insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id, v: _id })))
      await items.createIndex({ v: 1 }, { name: 'plain' })
      await db.collection('moves').createIndex({ a: 1 }, { name: 'follows', hidden: true })
      await client
        .db('admin')
        .command({ createRole: 'reader', privileges: [], roles: [{ role: 'read', db: 'scenes' }] })
      await client.db('admin').command({ createUser: 'first', pwd: 'x', roles: ['reader'] })
      await db.createCollection('weather', { timeseries: { timeField: 't', metaField: 'm' } })
      return
    }
    case 1: {
      await db.renameCollection('moves', 'moved')
      await db.command({ collMod: 'items', index: { name: 'plain', hidden: true } })
      await db.collection('ready').createIndex({ u: 1 }, { name: 'unique later' })
      await db.command({ collMod: 'ready', index: { name: 'unique later', prepareUnique: true } })
      await client.db('admin').command({ updateUser: 'first', roles: ['reader', 'backup'] })
      await db
        .collection('weather')
        .insertMany(Array.from({ length: 50 }, (_, s) => ({ t: new Date(s * 1000), m: s % 3, s })))
      // Changed, and gone later in the range.
      await items.updateOne({ _id: 7 }, { $set: { v: 'changed' } })
      await items.deleteOne({ _id: 7 })
      return
    }
    case 2: {
      await items.dropIndex('plain')
      await items.createIndex({ v: -1 }, { name: 'plain', partialFilterExpression: { v: { $gt: 3 } } })
      await db.command({ convertToCapped: 'ready', size: 8192 })
      await client.withSession(async (session) => {
        // 20 MB in one transaction: more than one entry of the oplog holds.
        session.startTransaction()
        for (let part = 0; part < 5; part++) {
          await items.insertOne({ _id: 1000 + part, v: Buffer.alloc(4 * 1024 * 1024, part) }, { session })
        }
        await session.commitTransaction()
        session.startTransaction()
        await items.insertOne({ _id: 2000, v: 'aborted' }, { session })
        await session.abortTransaction()
      })
      await client.db('admin').command({ dropUser: 'first' })
      await client.db('admin').command({ createUser: 'second', pwd: 'x', roles: ['reader'] })
      return
    }
    default: {
      await items.deleteMany({ _id: { $gte: 1000 } })
      await client.db('admin').command({ dropRole: 'reader' })
      await db.collection('weather').insertOne({ t: new Date(3_000_000), m: 1 })
    }
  }
}
