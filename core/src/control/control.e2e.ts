import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Double, Int32, Long, type MongoClient, ObjectId, Timestamp } from 'mongodb'
import { discardBackup } from '../backup/failure.js'
import { resync } from '../catalog/resync.js'
import { connectLeader } from '../mongo/connect.js'
import { AGENTS, BACKUPS, COMMANDS, LOCKS, LOG, OPERATIONS, RESTORES } from '../mongo/control-names.js'
import { PluginHost } from '../plugin-host/host.js'
import { toStorageJson } from '../store/layout/backup-metadata.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { type AgentDocument, listAgents, publishAgent, removeAgent, removeGoneAgents } from './agents.js'
import type { BackupDocument, BackupReplset } from './backup-document.js'
import {
  acknowledgeNomination,
  addBackupSize,
  addReplset,
  beatBackup,
  findBackup,
  findBackupByOpid,
  findNomination,
  insertBackup,
  listBackups,
  openNomination,
  replaceBackups,
  setBackupStatus,
  setNominees,
  setReplsetFields,
  setReplsetStatus,
  UNSET_TIMESTAMP,
} from './backups.js'
import { markDeletion } from './deletion-mark.js'
import type { RestoreDocument } from './restore-document.js'
import { addRestoreReplset, findRestore, insertRestore, setRestoreReplsetStatus, setRestoreStatus } from './restores.js'
import { ensureControlCollections } from './setup.js'

describe('control collections', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const collection = (name: string) => leader.db('admin').collection(name)
  const rawBackup = (name: string) => collection(BACKUPS).findOne({ name }, { promoteValues: false })

  before(async () => {
    set = await startReplicaSet({ mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
    await Promise.all([1, 2, 3].map(() => ensureControlCollections(leader)))
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  afterEach(async () => {
    for (const name of [BACKUPS, RESTORES, AGENTS]) await collection(name).deleteMany({})
  })

  it('are made with PBM’s caps and indexes, once, and left alone when they differ', async () => {
    const info = async (name: string) => (await leader.db('admin').listCollections({ name }).toArray())[0]
    const caps = await Promise.all([COMMANDS, LOG, OPERATIONS].map(info))
    assert.deepEqual(
      caps.map((one) => (one as { options?: { capped: boolean; size: number } }).options),
      [1, 50, 10].map((size) => ({ capped: true, size: size * 1024 * 1024 })),
    )
    const indexes = async (name: string) =>
      (await collection(name).indexes()).map((index) => [index.name, index.unique === true && index.sparse === true])
    assert.deepEqual((await indexes(LOCKS)).slice(1), [['replset_1', true]])
    assert.deepEqual((await indexes(OPERATIONS)).slice(1), [['opid_1_replset_1', true]])
    assert.deepEqual((await indexes(BACKUPS)).slice(1).sort(), [
      ['name_1', true],
      ['start_ts_1_status_1', false],
    ])
    await collection(LOCKS).dropIndexes()
    await collection(LOCKS).createIndex({ replset: 1 }, { name: 'replset_1' })
    await ensureControlCollections(leader)
    assert.deepEqual((await indexes(LOCKS)).slice(1), [['replset_1', false]])
  })

  it('hold a backup in PBM’s types', async () => {
    await insertBackup(leader, backup('a'))
    await addReplset(leader, 'a', replset('rs0'))
    await openNomination(leader, 'a', 'rs0')
    await addBackupSize(leader, 'a', { size: 5_000_000_000, uncompressed: 7 })
    await setReplsetFields(leader, 'a', 'rs0', { size: 1, last_write_ts: new Timestamp({ t: 9, i: 1 }) })
    await setReplsetStatus(leader, 'a', 'rs0', 'dumpDone')
    await setBackupStatus(leader, 'a', 'running')
    const stored = await rawBackup('a')
    assert(stored !== null)
    for (const field of ['size', 'size_uncompressed', 'start_ts', 'last_transition_ts']) {
      assert(stored[field] instanceof Long, field)
      assert(stored.replsets[0][field] instanceof Long, `replsets ${field}`)
    }
    assert.equal(stored.size.toNumber(), 5_000_000_000)
    for (const conditions of [stored.conditions, stored.replsets[0].conditions]) {
      assert(conditions.every(({ timestamp, error }: Record<string, unknown>) => timestamp instanceof Long && !error))
    }
    assert.equal(stored.error, '')
    assert.deepEqual(stored.n, [{ rs: 'rs0', n: [], ack: '' }])
    assert(!('profile' in stored.store))
    const read = await findBackupByOpid(leader, 'opid of a')
    assert.equal(read?.size, 5_000_000_000)
    assert.deepEqual(
      read?.conditions.map(({ status }) => status),
      ['starting', 'running'],
    )
    assert.deepEqual(
      read?.replsets[0]?.conditions.map(({ status }) => status),
      ['running', 'dumpDone'],
    )
  })

  it('read what other PBM versions wrote', async () => {
    await collection(BACKUPS).insertOne({
      name: 'old',
      type: '',
      replsets: null,
      conditions: null,
      n: null,
      size: new Double(12),
      start_ts: new Int32(5),
      status: 'done',
      store: { type: 'filesystem' },
    })
    const read = await findBackup(leader, 'old')
    assert.deepEqual(
      [read?.type, read?.replsets, read?.conditions, read?.n, read?.size, read?.start_ts],
      ['logical', [], [], [], 12, 5],
    )
  })

  it('never let a backup that ended become anything else', async () => {
    for (const end of ['error', 'canceled'] as const) {
      await insertBackup(leader, backup(end))
      await setBackupStatus(leader, end, 'running')
      await setBackupStatus(leader, end, 'dumpDone')
      assert.deepEqual(await setBackupStatus(leader, end, end, { error: 'why' }), { changed: true, status: end })
      await assert.rejects(setBackupStatus(leader, end, 'done'), { code: 'TRANSITION_REFUSED' })
      assert.deepEqual(await setBackupStatus(leader, end, 'error', { error: 'later' }), { changed: false, status: end })
      const read = await findBackup(leader, end)
      assert.deepEqual([read?.status, read?.error], [end, 'why'])
      assert.deepEqual(read?.conditions.at(-1)?.error, 'why')
    }
  })

  it('tell when a backup vanished', async () => {
    await assert.rejects(setBackupStatus(leader, 'none', 'running'), { code: 'OPERATION_GONE' })
    assert.deepEqual(await setBackupStatus(leader, 'none', 'error'), { changed: false, status: undefined })
    assert.equal(await beatBackup(leader, 'none'), false)
    assert.equal(await addReplset(leader, 'none', replset('rs0')), false)
  })

  it('let exactly one of two ends win', async () => {
    await insertBackup(leader, { ...backup('race'), status: 'dumpDone' })
    const outcomes = await Promise.allSettled([
      setBackupStatus(leader, 'race', 'done'),
      setBackupStatus(leader, 'race', 'canceled'),
      setBackupStatus(leader, 'race', 'error', { error: 'x' }),
    ])
    const changed = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value.changed)
    assert.equal(changed.length, 1)
    assert.equal((await findBackup(leader, 'race'))?.conditions.length, 2)
  })

  it('take each part and nomination once', async () => {
    await insertBackup(leader, backup('a'))
    assert.equal(await addReplset(leader, 'a', replset('rs0')), true)
    assert.equal(await addReplset(leader, 'a', { ...replset('rs0'), node: 'b:1' }), false)
    await openNomination(leader, 'a', 'rs0')
    await openNomination(leader, 'a', 'rs0')
    assert.equal(await setNominees(leader, 'a', 'rs0', ['x:1']), true)
    await acknowledgeNomination(leader, 'a', 'rs0', 'x:1')
    assert.equal(await setNominees(leader, 'a', 'rs0', ['y:1']), false)
    assert.deepEqual(await findNomination(leader, 'a', 'rs0'), {
      opid: 'opid of a',
      status: 'starting',
      nomination: { rs: 'rs0', n: ['x:1'], ack: 'x:1' },
    })
    assert.equal((await findBackup(leader, 'a'))?.replsets.length, 1)
  })

  it('list backups of one storage, newest first, and replace them', async () => {
    await insertBackup(leader, { ...backup('a'), start_ts: 1, status: 'done' })
    await insertBackup(leader, { ...backup('b'), start_ts: 2, status: 'running' })
    const store = { type: 'filesystem', name: 'p', profile: true } as const
    await insertBackup(leader, { ...backup('c'), start_ts: 3, status: 'done', store })
    const names = async (profile?: string | null) =>
      (await listBackups(leader, profile === undefined ? {} : { profile })).map(({ name }) => name)
    assert.deepEqual([await names(), await names(null), await names('p')], [['c', 'b', 'a'], ['b', 'a'], ['c']])
    await replaceBackups(leader, [{ ...backup('d'), start_ts: 4, status: 'done' }])
    assert.deepEqual(await names(), ['d', 'c', 'b'])
  })

  it('keep the records of what failed, was canceled or is half deleted when the storage is read', async () => {
    const ended = { size: 1 }
    for (const [name, last] of [
      ['failed', { status: 'error', error: 'no space' }],
      ['canceled', { status: 'canceled', error: 'canceled' }],
      ['deleting', { status: 'done' }],
      ['damaged', { status: 'done' }],
      ['done', { status: 'done' }],
    ] as const)
      await insertBackup(leader, { ...backup(name), ...ended, ...last })
    await markDeletion(leader, 'deleting')
    // As the last reading of the storage left it.
    await collection(BACKUPS).updateOne({ name: 'damaged' }, { $set: { status: 'error', error: 'an object is gone' } })
    const names = async () => (await listBackups(leader)).map(({ name }) => name).sort()
    await replaceBackups(leader, [])
    assert.deepEqual(await names(), ['canceled', 'deleting', 'failed'])
    // What is there whole after all takes the place of its record.
    await replaceBackups(leader, [{ ...backup('failed'), status: 'done' }])
    assert.equal((await findBackup(leader, 'failed'))?.status, 'done')
  })

  it('take from a storage what they can, and name the rest', async () => {
    const store = new FaultyStore()
    store.chunkBytes = 64 * 1024
    const put = (name: string, more: Partial<BackupDocument> = {}, change = (text: string) => text) =>
      store.put(
        `${name}.pbm.json`,
        change(toStorageJson({ ...backup(name), status: 'done', type: 'external', ...more })),
      )
    const nested = `${'{"x":'.repeat(250)}1${'}'.repeat(250)}`
    const part = (mongod_opts: object) => ({ replsets: [{ ...replset('rs0'), mongod_opts: { ...mongod_opts } }] })
    put('good')
    put('nested', part({ nested: 'HERE' }), (text) => text.replace('"HERE"', nested))
    put('nul', part({ 'a\0b': 1 }))
    put('typed', part({ _bsontype: 'ObjectId' }))
    put('large', { error: 'x'.repeat(17 * 1024 * 1024) })
    put('later', { status: 'running' })
    store.put('text.pbm.json', '{')
    await insertBackup(leader, { ...backup('nul'), status: 'done' })
    await insertBackup(leader, { ...backup('gone'), status: 'done' })
    const said: string[] = []
    const warning = (text: string) => void said.push(text)
    const log = { debug: () => undefined, info: () => undefined, error: () => undefined, warning }
    const host = new PluginHost({ resolveFrom: import.meta.url })
    const result = await resync({ leader, store, host, storage: { type: 'filesystem' }, log })
    const found = await listBackups(leader)
    assert.deepEqual(found.map(({ name, status }) => `${name} ${status}`).sort(), [
      ...['good done', 'later error', 'nul done'],
    ])
    const skipped = ['large', 'nested', 'nul', 'text', 'typed'].map((name) => `${name}.pbm.json`)
    assert.deepEqual(result.skipped.map(({ object }) => object).sort(), skipped)
    for (const object of skipped) assert.ok(said.some((line) => line.startsWith(`skipped ${object}: `)))
  })

  it('tell whose objects go when a backup has failed: those of another cluster stay', async () => {
    const name = '2031-02-03T04:05:06Z'
    const own = { ...backup(name), opid: 'a'.repeat(24) }
    const begun = { name, opid: own.opid, replsets: ['rs0'], suffix: '.s2' }
    const filled = (opid: string | undefined) => {
      const store = new FaultyStore()
      for (const object of [`${name}/rs0/metadata.json`, `${name}_rs0.dump.s2`, 'other']) store.put(object, 'x')
      if (opid !== undefined) store.put(`${name}.pbm.json`, toStorageJson({ ...own, opid, status: 'done' }))
      return store
    }
    for (const hasRecord of [true, false]) {
      if (hasRecord) await insertBackup(leader, own)
      else await collection(BACKUPS).deleteMany({})
      const theirs = filled('b'.repeat(24))
      await discardBackup(leader, theirs, begun)
      assert.equal(theirs.objects.size, 4)
      for (const opid of [own.opid, undefined]) {
        const ours = filled(opid)
        await discardBackup(leader, ours, begun)
        // Without its record, nobody knows the layout of the backup.
        const left = hasRecord ? [`${name}_rs0.dump.s2`, 'other'] : ['other']
        assert.deepEqual([...ours.objects.keys()], left)
      }
    }
  })

  it('hold a restore and guard its states', async () => {
    const restore: RestoreDocument = {
      status: 'starting',
      name: 'r',
      opid: 'o',
      backup: 'a',
      type: 'logical',
      bcp_chain: null,
      start_pitr: 0,
      pitr: 0,
      start_ts: 5,
      last_transition_ts: 5,
      replsets: [],
      hb: UNSET_TIMESTAMP,
      conditions: [],
    }
    assert.equal(await insertRestore(leader, restore), true)
    assert.equal(await insertRestore(leader, { ...restore, backup: 'other' }), false)
    const zero = new Timestamp({ t: 0, i: 0 })
    const part = { name: 'rs0', status: 'starting', start_ts: 5, last_transition_ts: 5, txn_set: false } as const
    const times = { op: zero, last_write_ts: zero, hb: zero, conditions: [], committed_txn: null, partial_txn: null }
    await addRestoreReplset(leader, 'r', { ...part, ...times })
    await setRestoreReplsetStatus(leader, 'r', 'rs0', 'running')
    await setRestoreStatus(leader, 'r', 'running')
    await assert.rejects(setRestoreStatus(leader, 'r', 'cleanupCluster'), { code: 'TRANSITION_REFUSED' })
    await assert.rejects(setRestoreReplsetStatus(leader, 'r', 'rs9', 'done'), { code: 'OPERATION_GONE' })
    await setRestoreStatus(leader, 'r', 'done')
    const read = await findRestore(leader, 'r')
    assert.deepEqual([read?.status, read?.backup, read?.replsets[0]?.status], ['done', 'a', 'running'])
    const stored = await collection(RESTORES).findOne({ name: 'r' }, { promoteValues: false })
    for (const field of ['start_pitr', 'pitr', 'start_ts', 'last_transition_ts'])
      assert(stored?.[field] instanceof Long)
    assert.equal(stored?.bcp_chain, null)
  })

  it('hold agents and forget the gone', async () => {
    const now = Math.floor(Date.now() / 1000)
    await publishAgent(leader, agent('a:1', now))
    await publishAgent(leader, { ...agent('a:1', now), e: 'again' })
    await publishAgent(leader, agent('b:1', now - 60))
    assert.deepEqual(
      (await listAgents(leader)).map(({ n, e }) => [n, e]),
      [
        ['a:1', 'again'],
        ['b:1', ''],
      ],
    )
    await removeGoneAgents(leader)
    assert.deepEqual(
      (await listAgents(leader)).map(({ n }) => n),
      ['a:1'],
    )
    await removeAgent(leader, { n: 'a:1', rs: 'rs0' })
    assert.deepEqual(await listAgents(leader), [])
  })
})

function backup(name: string): BackupDocument {
  return {
    type: 'logical',
    opid: `opid of ${name}`,
    name,
    replsets: [],
    compression: 'none',
    store: { type: 'filesystem', filesystem: { path: '/backups' } },
    size: 0,
    size_uncompressed: 0,
    mongodb_version: '6.0.5',
    fcv: '6.0',
    start_ts: 1_700_000_000,
    last_transition_ts: 0,
    first_write_ts: UNSET_TIMESTAMP,
    last_write_ts: UNSET_TIMESTAMP,
    hb: new Timestamp({ t: 1_700_000_000, i: 1 }),
    status: 'starting',
    conditions: [],
    n: [],
    pbm_version: '2.15.0',
    balancer: 'off',
  }
}

function replset(name: string): BackupReplset {
  return {
    name,
    node: 'a:1',
    status: 'running',
    start_ts: 1_700_000_000,
    last_transition_ts: 0,
    size: 0,
    size_uncompressed: 0,
    first_write_ts: UNSET_TIMESTAMP,
    last_write_ts: UNSET_TIMESTAMP,
    conditions: [],
  }
}

function agent(n: string, seconds: number): AgentDocument {
  const fine = { ok: true, e: '' }
  const node = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
  const versions = { v: '2.15.0', mv: '6.0.5' }
  const hb = new Timestamp({ t: seconds, i: new ObjectId().id[11] ?? 1 })
  return { n, rs: 'rs0', ...node, ...versions, pbms: fine, nodes: fine, stors: fine, hb, e: '' }
}
