import 'reflect-metadata'
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadSampleData, type ReplicaSet, startReplicaSet, temporaryFolder } from '@pbmkit/conformance/testbed'
import { BSON, type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import { container } from 'tsyringe'
import { createCrc64 } from '../archive/crc64.js'
import { readMetadataJson } from '../archive/metadata.js'
import { readArchive } from '../archive/reader.js'
import { Tally } from '../archive/tally.js'
import { documentsIn } from '../bson/documents.js'
import type { BackupConfig } from '../config/document.js'
import { publishAgent } from '../control/agents.js'
import { findBackup, listBackups } from '../control/backups.js'
import type { BackupCommand, CommandDocument } from '../control/command-document.js'
import { listLocks } from '../control/locks.js'
import { databaseRole } from '../control/roles.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { connectLeader, connectNode } from '../mongo/connect.js'
import { nodeInfo } from '../mongo/topology.js'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { backupCanceled } from '../protocol/canceled.js'
import {
  CLOCK,
  COMPRESSION,
  LEADER,
  NODE,
  OPERATION_LOG,
  SELF,
  STORE,
  WITH_PRIMARY,
  type WithPrimary,
} from '../protocol/tokens.js'
import { fromStorageJson } from '../store/layout/backup-metadata.js'
import { bound } from '../store/open-store.js'
import { systemClock } from '../time/clock.js'
import { BackupLeader } from './leader.js'
import { digest, replay, startLoad } from './load.support.js'
import { BackupNominee } from './nominee.js'
import { ignoringCase, slow } from './stores.support.js'

const ignore = () => undefined
const log = { debug: ignore, info: ignore, warning: ignore, error: ignore }

describe('a logical backup', () => {
  let set: ReplicaSet
  let admin: MongoClient
  let node: MongoClient
  let leader: MongoClient
  let folder: string
  let store: ObjectStore
  const host = new PluginHost({ resolveFrom: import.meta.url })
  let serial = 0

  before(async () => {
    set = await startReplicaSet({ auth: true })
    admin = await set.client()
    const user = await set.createUser(databaseRole('agent'))
    node = await connectNode(set.uri({ user, direct: true }), { appName: 'test' })
    leader = (await connectLeader(set.uri({ user }), { appName: 'test' })).client
    folder = await temporaryFolder('pbmkit-backup-')
    const plugin = await host.storage('filesystem')
    store = await plugin.open({ path: folder }, { signal: new AbortController().signal, warn: ignore })
    await ensureControlCollections(leader)
    await loadSampleData(admin)
  })
  after(async () => {
    await node?.close()
    await leader?.close()
    await set.stop()
  })

  async function configure(backup: BackupConfig): Promise<void> {
    const config = leader.db('admin').collection('pbmConfig')
    const storage = { type: 'filesystem', filesystem: { path: folder } }
    await config.replaceOne({}, { storage, backup, epoch: await clusterTime(leader) }, { upsert: true })
  }

  /** One agent's part and the cluster leader's, as the agent beside a lone primary runs them. */
  async function run(
    more: Partial<BackupCommand> = {},
    options: { backup?: BackupConfig; signal?: AbortSignal; store?: ObjectStore } = {},
  ): Promise<{ name: string; failure: unknown }> {
    const info = await nodeInfo(node)
    await configure(options.backup ?? {})
    const part = { ok: true, e: '' }
    await publishAgent(leader, {
      ...{ n: info.me, rs: info.rs, s: 1, str: 'PRIMARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
      ...{ v: '0', mv: info.version, pbms: part, nodes: part, stors: part, hb: await clusterTime(leader), e: '' },
    })
    const name = new Date(Date.UTC(2030, 0, 1) + 1000 * serial++).toISOString().replace('.000', '')
    const compression = more.compression ?? 'none'
    const child = container.createChildContainer()
    child.registerInstance(NODE, node)
    child.registerInstance(LEADER, leader)
    child.registerInstance<WithPrimary>(WITH_PRIMARY, (work) => work(leader))
    child.registerInstance(SELF, { rs: info.rs, node: info.me })
    child.registerInstance(OPERATION_LOG, log)
    child.registerInstance(CLOCK, systemClock)
    child.registerInstance(STORE, options.store ?? store)
    child.registerInstance(PluginHost, host)
    child.registerInstance(COMPRESSION, await host.compression(compression))
    const backup: BackupCommand = { type: 'logical', base: false, name, compression, ...more }
    const command: CommandDocument & { cmd: 'backup' } = { _id: new ObjectId(), ts: 0, cmd: 'backup', backup }
    const signal = options.signal ?? new AbortController().signal
    const parts = [
      child.resolve(BackupLeader).run(command, { signal }),
      child.resolve(BackupNominee).run(command, { signal }),
    ]
    const [led, worked] = await Promise.allSettled(parts)
    const failed = [worked, led].find((outcome) => outcome?.status === 'rejected')
    return { name, failure: failed?.reason }
  }

  const objectsOf = async (name: string) =>
    (await readdir(folder, { recursive: true })).filter((file) => file.startsWith(name)).sort()

  it('writes every namespace with its checksum, and the metadata last', async () => {
    const { name, failure } = await run()
    assert.equal(failure, undefined)
    const document = await findBackup(leader, name)
    assert.equal(document?.status, 'done')
    const states = document.conditions.map(({ status }) => status)
    assert.deepEqual(states, ['starting', 'running', 'dumpDone', 'done'])
    const stored = fromStorageJson(await readFile(join(folder, `${name}.pbm.json`), 'utf8'))
    assert.equal(stored.status, 'done')
    const sizesOf = ({ size, size_uncompressed }: { size: number; size_uncompressed: number }) =>
      [size, size_uncompressed].map(Number)
    const [part] = stored.replsets
    assert(part !== undefined)
    assert.deepEqual(sizesOf(part), sizesOf(stored), 'one replica set is all of it')
    assert.equal(part.size_uncompressed, part.size, 'nothing was compressed')
    assert.ok(part.size > 0)
    assert(stored.last_write_ts.equals(document.last_write_ts as Timestamp))
    const replset = join(folder, name, set.name)
    // What the lists say is only as good as they are.
    const objects = stored.replsets[0]?.objects ?? []
    assert.deepEqual(objects.map((object) => object.name.split('/').at(-1)).sort(), ['meta.pbm', 'metadata.json'])
    for (const { name: object, size, crc } of objects) {
      const tally = new Tally()
      tally.add(await readFile(join(folder, object)))
      assert.deepEqual({ size, crc }, { size: tally.size, crc: tally.crcText() })
    }
    const list = readMetadataJson(await readFile(join(replset, 'metadata.json'), 'utf8'))
    assert(list.namespaces.some(({ collection }) => collection === 'pbmRUsers'))
    assert(!list.namespaces.some(({ collection }) => collection === 'pbmConfig'))
    for (const { db, collection, crc, size, object } of list.namespaces) {
      if (size === 0) continue
      const bytes = await readFile(object === undefined ? join(replset, `${db}.${collection}`) : join(folder, object))
      assert.equal(bytes.length, size, collection)
      const sum = createCrc64()
      sum.update(bytes)
      assert.equal(sum.digest(), crc, collection)
    }
    assert.deepEqual(await listLocks(leader), [])
  })

  const namesOf = async (name: string) => {
    const list = readMetadataJson(await readFile(join(folder, name, set.name, 'metadata.json'), 'utf8'))
    return list.namespaces.map(({ db, collection }) => `${db}.${collection}`)
  }

  it('dumps what it is told to only', async () => {
    for (const name of ['this', 'that']) {
      await admin
        .db('only')
        .collection(name)
        .insertOne({ _id: 1 as never })
    }
    const { name } = await run({ nss: ['only.this'] })
    assert.deepEqual(await namesOf(name), ['only.this'])
  })

  it('dumps a time series by its own name, and users of the databases chosen', async () => {
    const chosen = admin.db('chosen')
    await chosen.createCollection('series', { timeseries: { timeField: 't' } })
    await chosen.collection('series').insertOne({ t: new Date(), v: 1 })
    for (const db of ['chosen', 'other']) {
      await admin.db(db).command({ createRole: 'reads', privileges: [], roles: [] })
      await admin.db(db).command({ createUser: 'reader', pwd: 'secret', roles: ['reads'] })
    }
    const series = await run({ nss: ['chosen.series'] })
    assert.deepEqual(await namesOf(series.name), ['chosen.series'])
    assert.ok((await readFile(join(folder, series.name, set.name, 'chosen.series'))).length > 0)
    const { name } = await run({ nss: ['chosen.*'], usersAndRoles: true })
    assert.deepEqual(await namesOf(name), ['admin.pbmRRoles', 'admin.pbmRUsers', 'chosen.series'])
    for (const copy of ['admin.pbmRUsers', 'admin.pbmRRoles']) {
      const found = [...documentsIn(await readFile(join(folder, name, set.name, copy)))]
      assert.deepEqual(
        found.map((document) => BSON.deserialize(document).db),
        ['chosen'],
        copy,
      )
    }
    const refused = await run({ nss: ['admin.*'] })
    assert.equal((refused.failure as { code?: unknown }).code, 'NAMESPACE_INVALID')
    const { nss, sel_users_and_roles } = fromStorageJson(await readFile(join(folder, `${name}.pbm.json`), 'utf8'))
    assert.deepEqual({ nss, sel_users_and_roles }, { nss: ['chosen.*'], sel_users_and_roles: true })
  })

  it('is exact to its last write under load, its oplog in one object without a gap', async () => {
    const load = startLoad(admin)
    await sleep(300)
    // A piece of oplog every 60 ms: they must be joined to one.
    const { name, failure } = await run(
      { compression: 'zstd' },
      { backup: { oplogSpanMin: 0.001, compression: 'zstd' } },
    )
    await load.stop()
    assert.equal(failure, undefined)
    const document = await findBackup(leader, name)
    assert(document !== undefined)
    const [piece, ...more] = await readdir(join(folder, name, set.name, 'oplog'))
    assert.deepEqual(more, [])
    const object = `${name}/${set.name}/oplog/${piece}`
    const bytes = await readAll(await store.read(object), 'zstd')
    const tally = (of: Buffer, sum = new Tally()) => {
      sum.add(of)
      return sum
    }
    const { replsets } = fromStorageJson(await readFile(join(folder, `${name}.pbm.json`), 'utf8'))
    const packed = tally(await readFile(join(folder, object)))
    const stored = { name: object, crc: tally(bytes).crcText(), storedCrc: packed.crcText() }
    assert.deepEqual(replsets[0]?.oplog_objects, [stored])
    const list = readMetadataJson(await readFile(join(folder, name, set.name, 'metadata.json'), 'utf8'))
    const rowsOf = list.namespaces.find(({ db, collection }) => `${db}.${collection}` === 'load.rows')
    const { size, crc } = tally(await readFile(join(folder, name, set.name, 'load.rows.zst')))
    assert.deepEqual(rowsOf?.packed, { size, crc })
    const entries = [...documentsIn(bytes)].map((entry) => BSON.deserialize(entry) as { ts: Timestamp })
    const expected = await admin
      .db('local')
      .collection('oplog.rs')
      .find({ ts: { $gte: document.first_write_ts, $lte: document.last_write_ts } }, { projection: { ts: 1 } })
      .sort({ $natural: 1 })
      .toArray()
    assert.deepEqual(
      entries.map(({ ts }) => ts.toString()),
      expected.map(({ ts }) => ts.toString()),
    )
    // Replayed by hand: the dump plus the plain writes of its oplog is the state at the last write.
    const dump = await readAll(await store.read(`${name}/${set.name}/load.rows.zst`), 'zstd')
    const rows = replay(dump, bytes, 'load.rows')
    const at = { level: 'snapshot', atClusterTime: document.last_write_ts }
    const reply = await admin.db('load').command({ find: 'rows', batchSize: 1e6, readConcern: at })
    assert.equal(digest(rows), digest(new Map(reply.cursor.firstBatch.map((row: { _id: number }) => [row._id, row]))))
  })

  it('follows a collection that is renamed while it is dumped, and notes one that is dropped', async () => {
    const db = admin.db('moving')
    // More than the first batch (16 MB) and the one that is under way behind it.
    const rows = Array.from({ length: 30 }, (_, _id) => ({ _id, b: 'x'.repeat(1_000_000) }))
    for (const name of ['renamed', 'dropped'])
      await db.collection<(typeof rows)[number]>(name).insertMany(rows, { writeConcern: { w: 'majority' } })
    const acts = new Map<string, () => Promise<unknown>>([
      ['moving.renamed', () => db.collection('renamed').rename('elsewhere')],
      ['moving.dropped', () => db.collection('dropped').drop()],
    ])
    const acting: ObjectStore = {
      ...bound(store),
      save: (name, body, options) => {
        const act = acts.get(basename(name))
        acts.delete(basename(name))
        return store.save(name, afterFirst(body, act), options)
      },
    }
    const { name, failure } = await run({ nss: ['moving.*'] }, { store: acting })
    assert.equal(failure, undefined)
    const list = readMetadataJson(await readFile(join(folder, name, set.name, 'metadata.json'), 'utf8'))
    const sizes = new Map(list.namespaces.map(({ collection, size }) => [collection, size]))
    assert.equal(sizes.get('dropped'), 0)
    assert.equal(
      sizes.get('renamed'),
      rows.reduce((sum, row) => sum + BSON.calculateObjectSize(row), 0),
    )
  })

  it('writes a mongodump archive with its oplog on layout archive', async () => {
    const { name, failure } = await run({ compression: 'gzip' }, { backup: { layout: 'archive', compression: 'gzip' } })
    assert.equal(failure, undefined)
    assert.deepEqual(await objectsOf(name), [
      `${name}.pbm.json`,
      `${name}_${set.name}.dump.gz`,
      `${name}_${set.name}.oplog.gz`,
    ])
    const { layout, pbm_version } = fromStorageJson(await readFile(join(folder, `${name}.pbm.json`), 'utf8'))
    assert.deepEqual({ layout, pbm_version }, { layout: 'archive', pbm_version: '1.8.1' })
    const gzip = await host.compression('gzip')
    const archive = await readArchive(gzip.decompress(await store.read(`${name}_${set.name}.dump.gz`)))
    const ended: string[] = []
    for await (const event of archive.events) if (event.kind === 'end') ended.push(event.namespace.collection)
    assert.equal(ended[0], 'system.version')
    assert.equal(ended.at(-1), 'oplog')
    assert.equal(archive.namespaces.length, ended.length)
  })

  it('keeps apart what differs in case only, also on a storage that does not', async () => {
    const db = admin.db('cases')
    for (const collection of ['Row', 'row', 'ROW'])
      await db.collection<{ _id: string }>(collection).insertOne({ _id: collection })
    for (const used of [await ignoringCase(store), store]) {
      const { name, failure } = await run({ nss: ['cases.*'] }, { store: used })
      assert.equal(failure, undefined)
      const list = readMetadataJson(await readFile(join(folder, name, set.name, 'metadata.json'), 'utf8'))
      const objects = list.namespaces.map(
        ({ db, collection, object }) => object ?? `${name}/${set.name}/${db}.${collection}`,
      )
      const stored = await Promise.all(objects.map((object) => readFile(join(folder, object))))
      assert.deepEqual(
        stored.map((bytes) => BSON.deserialize(bytes)._id),
        ['ROW', 'Row', 'row'],
      )
      // PBM's names wherever the storage can hold them.
      assert.equal(list.namespaces.filter(({ object }) => object !== undefined).length, used === store ? 0 : 2)
    }
  })

  it('ends as canceled at any moment, and leaves no object behind', async () => {
    for (const millis of [0, 30, 80, 140, 200]) {
      const abort = new AbortController()
      const timer = setTimeout(() => abort.abort(backupCanceled()), millis)
      const { name, failure } = await run({ compression: 'zstd' }, { signal: abort.signal, store: slow(store) })
      clearTimeout(timer)
      const status = (await findBackup(leader, name))?.status
      if (failure === undefined) continue
      assert.equal(status, 'canceled', `after ${millis} ms`)
      assert.deepEqual(await filesOf(await objectsOf(name)), [])
      assert.deepEqual(await listLocks(leader), [])
    }
  })

  it('fails visibly when its record or its lock is dropped', async () => {
    for (const collection of ['pbmBackups', 'pbmLock']) {
      const dropping = (async () => {
        while ((await listBackups(leader, { status: 'running' })).length === 0) await sleep(20)
        await leader.db('admin').collection(collection).drop()
      })()
      const { name, failure } = await run({}, { store: slow(store, 12_000) })
      await dropping
      assert(failure instanceof Error)
      const document = await findBackup(leader, name)
      assert.equal(document?.status, 'error')
      assert.match(document?.error ?? '', /gone|lost: somebody has removed its record/)
      assert.deepEqual(await filesOf(await objectsOf(name)), [])
      await ensureControlCollections(leader)
    }
  })

  it('fails with the words of the storage, and the next one works', async () => {
    const full: ObjectStore = {
      ...bound(store),
      save: async () => {
        throw Object.assign(new Error('no space left on /backups'), { code: 'STORAGE_NO_SPACE' })
      },
    }
    const { name } = await run({}, { store: full })
    const document = await findBackup(leader, name)
    assert.equal(document?.status, 'error')
    assert.match(document?.error ?? '', /no space left/)
    assert.equal((await run()).failure, undefined)
  })

  it('refuses what it cannot do, in its record', async () => {
    for (const [more, expected] of [
      [{ type: 'physical' }, /physical/],
      [{ compression: 'gzip', level: 99 }, /level 99/],
      [{ profile: 'other' }, /profile/],
    ] as [Partial<BackupCommand>, RegExp][]) {
      const { name } = await run(more)
      const document = await findBackup(leader, name)
      assert.equal(document?.status, 'error')
      assert.match(document?.error ?? '', expected)
    }
  })

  async function readAll(source: AsyncIterable<Uint8Array>, method: string): Promise<Buffer> {
    const parts: Uint8Array[] = []
    for await (const part of (await host.compression(method)).decompress(source)) parts.push(part)
    return Buffer.concat(parts)
  }

  async function filesOf(names: string[]): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return names.filter((name) => files.includes(join(folder, name)))
  }
})

async function* afterFirst(body: AsyncIterable<Uint8Array>, act?: () => Promise<unknown>): AsyncGenerator<Uint8Array> {
  let acted = act === undefined
  for await (const chunk of body) {
    yield chunk
    if (acted) continue
    acted = true
    await act?.()
  }
}
