import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, type DatabaseState, snapshotState, temporaryFolder } from '@pbmkit/conformance/testbed'
import { type BackupDocument, clusterTime, findPlans, type RestoreCommand, sendCommand } from '@pbmkit/core'
import { ObjectId, Timestamp } from 'mongodb'
import {
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  passSeconds,
  restoreEnded,
  sendRestore,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { storedUntilNow } from './slicing.support.js'

type Work = { _id: number; text?: string; n?: number }

/** What is in files is read from a mongod of the agent's own. */
describe('a restore of a part of a physical backup', () => {
  let cluster: Cluster
  let state: string
  let backup: BackupDocument
  let was: DatabaseState
  const db = () => cluster.admin.db('work')
  const now = () => snapshotState(cluster.admin)
  const scratch = () => readdir(join(state, 'scratch'))

  before(async () => {
    state = await temporaryFolder('pbmkit-state-')
    cluster = await startCluster({ members: 1, agents: 0, physical: true })
    await startAgent()
    await cluster.configure(filesystemConfig(cluster.storage, 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'))
    await loadSmallData(cluster.admin)
    await db().createCollection('series', { timeseries: { timeField: 't', metaField: 'm' } })
    await db()
      .collection('series')
      .insertMany(Array.from({ length: 20 }, (_, n) => ({ t: new Date(n * 60_000), m: n % 3, v: n })))
    await db().createCollection('strict', { validator: { n: { $gt: 0 } }, collation: { locale: 'de' } })
    await db().collection('strict').insertOne({ n: 1 })
    await db().collection('strict').createIndex({ n: 1 }, { unique: true, expireAfterSeconds: 1_000_000 })
    was = await now()
    let isOver = false
    const load = async () => {
      for (let _id = 0; !isOver; _id++) await cluster.admin.db('load').collection<Work>('counted').insertOne({ _id })
    }
    const loading = load()
    backup = await backUp(cluster, { type: 'physical' }).finally(() => {
      isOver = true
    })
    await loading
  })
  after(() => cluster.stop())

  async function startAgent(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const [member] = cluster.set.members
    assert.ok(member)
    await cluster.startAgent(member, { env: { PBM_STATE_FOLDER: state, ...env } })
  }

  async function spoil(): Promise<void> {
    await db().collection<Work>('types').deleteMany({ n: 2 })
    await db().collection('series').drop()
    await db().collection('few').drop()
    await db().collection('strict').drop()
    await db().collection('orders').insertOne({ later: true })
  }

  /** A restored collection has a UUID of its own; this one stays. */
  async function assertAsBefore(others: DatabaseState): Promise<void> {
    const expected = { ...was, dbs: { ...others.dbs, work: { ...was.dbs.work, orders: others.dbs.work?.orders } } }
    const found = compareStates(expected as DatabaseState, await now())
    assert.deepEqual(
      found.filter((line) => !/^work\.(types|strict|system\.buckets\.series|series): uuid /.test(line)),
      [],
    )
  }

  it('brings back what was chosen, exactly, and leaves all else', async () => {
    await spoil()
    const others = await now()
    const nss = ['types', 'series', 'few', 'strict'].map((name) => `work.${name}`)
    await restore(cluster, backup.name, { nss })
    await assertAsBefore(others)
    assert.deepEqual(await scratch(), [])
  })

  it('is of the very end of the backup, whatever was written meanwhile', async () => {
    await restore(cluster, backup.name, { nsFrom: 'load.counted', nsTo: 'load.restored' })
    const oplog = cluster.admin.db('local').collection('oplog.rs')
    const written = await oplog.countDocuments({ ns: 'load.counted', op: 'i', ts: { $lte: backup.last_write_ts } })
    const restored = cluster.admin.db('load').collection<Work>('restored')
    const [last] = await restored.find().sort({ _id: -1 }).limit(1).toArray()
    assert.ok(written > 0)
    assert.deepEqual([await restored.countDocuments(), last?._id], [written, written - 1])
  })

  it('puts it beside the live one', async () => {
    const before = await now()
    const expected = was.dbs.work?.types
    await restore(cluster, backup.name, { nsFrom: 'work.types', nsTo: 'beside.old' })
    const { beside, ...dbs } = (await now()).dbs
    assert.deepEqual(compareStates(before, { ...before, dbs }), [])
    const only = (old: unknown) => ({ dbs: { beside: { old } }, users: [], roles: [] }) as unknown as DatabaseState
    const found = compareStates(only(expected), only(beside?.old))
    assert.deepEqual(
      found.filter((line) => !line.startsWith('beside.old: uuid ')),
      [],
    )
  })

  it('puts back what is missing, of what matches', async () => {
    await db()
      .collection<Work>('types')
      .deleteMany({ _id: { $lt: 20 } })
    await db()
      .collection<Work>('types')
      .updateOne({ _id: 30 }, { $set: { text: 'newer' } })
    const sent = await send({ nss: ['work.types'], keepExisting: true, query: '{"_id": {"$lt": 10}}' })
    const { status, error } = await restoreEnded(cluster, sent)
    assert.deepEqual([status, error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.equal(
      await db()
        .collection<Work>('types')
        .countDocuments({ _id: { $lt: 20 } }),
      10,
    )
    assert.equal((await db().collection<Work>('types').findOne({ _id: 30 }))?.text, 'newer')
  })

  it('brings back a time after it, by the stored oplog', async () => {
    await db()
      .collection<Work>('orders')
      .updateMany({ n: 3 }, { $set: { text: 'then' } })
    await db().collection('orders').createIndex({ text: 1 })
    const [then, oplogTS] = [await now(), await clusterTime(cluster.leader)]
    await db().collection<Work>('orders').deleteMany({})
    await storedUntilNow(cluster)
    await restore(cluster, backup.name, { nss: ['work.orders'], oplogTS })
    const found = compareStates(then, await now())
    assert.deepEqual(
      found.filter((line) => !line.startsWith('work.orders: uuid ')),
      [],
    )
  })

  it('tells in a dry run what it would do', async () => {
    const before = await now()
    const opid = new ObjectId()
    const asked = { ...command(), nss: ['work.strict'] }
    await sendCommand(cluster.leader, { cmd: 'planRestore', restore: asked }, opid)
    let plan: Awaited<ReturnType<typeof findPlans>> = new Map()
    await until('the plan', async () => {
      plan = await findPlans(cluster.leader, opid.toHexString())
      return [...plan.values()].some((note) => note.plan !== undefined || note.error !== undefined)
    })
    const [note] = plan.values()
    assert.deepEqual(
      note?.plan?.namespaces.map(({ ns, documents }) => [ns, documents]),
      [['work.strict', 1]],
    )
    assert.ok((note?.plan?.objects.length ?? 0) > 10)
    assert.deepEqual(compareStates(before, await now()), [])
    await unlocked(cluster)
  })

  it('brings back the users and roles of a database with it', async () => {
    await db().command({ dropUser: 'clerk' })
    await restore(cluster, backup.name, { nss: ['work.*'], usersAndRoles: true })
    const users = ({ users }: DatabaseState) => ({ dbs: {}, users, roles: [] })
    assert.deepEqual(compareStates(users(was), users(await now())), [])
  })

  it('refuses what is not in it, and tells what is', async () => {
    const before = await now()
    const { status, error = '' } = await restoreEnded(
      cluster,
      await sendRestore(cluster.leader, backup.name, { nss: ['work.type'] }),
    )
    assert.deepEqual([status, /has work\.type; there is work\.types/.test(error)], ['error', true], error)
    await unlocked(cluster)
    assert.deepEqual(compareStates(before, await now()), [])
  })

  it('leaves no server and no files where its agent is killed', async () => {
    await db().collection<Work>('types').deleteMany({ n: 2 })
    const others = await now()
    await sendRestore(cluster.leader, backup.name, { nss: ['work.types'] })
    let lock = ''
    await until('its mongod', async () => {
      const [folder] = await scratch()
      lock = join(state, 'scratch', folder ?? '', 'data', 'mongod.lock')
      return folder !== undefined && existsSync(lock) && /\d/.test(await readFile(lock, 'utf8'))
    })
    const pid = (await readFile(lock, 'utf8')).trim()
    await cluster.killAgents()
    assert.ok(existsSync(`/proc/${pid}`))
    await passSeconds(cluster, 35)
    await startAgent()
    assert.deepEqual(await scratch(), [])
    assert.equal(existsSync(`/proc/${pid}/exe`), false)
    await unlocked(cluster)
    assert.deepEqual(compareStates(others, await now()), [])
  })

  it('begins nothing where the files have no room', async () => {
    await cluster.killAgents()
    await startAgent({ PBM_SCRATCH_KEEP_FREE: '9999' })
    const before = await now()
    const sent = await sendRestore(cluster.leader, backup.name, { nss: ['work.types'] })
    const { status, error = '' } = await restoreEnded(cluster, sent)
    assert.equal(status, 'error')
    assert.match(error, /the file system of .*scratch has \d+ bytes left.*Nothing of the data was changed/)
    assert.deepEqual(compareStates(before, await now()), [])
  })

  function command(): RestoreCommand {
    const unset = { fallbackEnabled: null, allowPartlyDone: null, external: false, extConf: null, exit: false }
    return {
      name: new ObjectId().toHexString(),
      backupName: backup.name,
      ...unset,
      extTS: new Timestamp({ t: 0, i: 0 }),
    }
  }

  async function send(given: Partial<RestoreCommand>): Promise<string> {
    const whole = { ...command(), ...given }
    await sendCommand(cluster.leader, { cmd: 'restorePart', restore: whole })
    return whole.name
  }
})
