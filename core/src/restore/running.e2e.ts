import assert from 'node:assert/strict'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fixturesFolder } from '@pbmkit/conformance/testbed'
import { type Document, Timestamp } from 'mongodb'
import { readConfig, writeConfig } from '../control/config.js'
import { listLiveLocks } from '../control/locks.js'
import { emptyRestore } from '../control/new-restore.js'
import { findRestore, insertRestore } from '../control/restores.js'
import { unixSeconds } from '../control/wire.js'
import { errorText, PbmError } from '../errors.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { acquireLock, isHeld } from '../protocol/lock.js'
import type { WithStore } from '../protocol/tokens.js'
import { type Bench, fixtureFolder, restoreCommand, startBench } from './restore.support.js'

describe('A restore among other operations', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  let name = ''

  before(async () => {
    bench = await startBench('pbm-codecs')
    const manifest = JSON.parse(await readFile(join(fixtureFolder('pbm-codecs'), 'manifest.json'), 'utf8')) as {
      snapshots: { name: string; compression: string }[]
    }
    name = manifest.snapshots.find(({ compression }) => compression === 'none')?.name ?? ''
  })
  after(async () => {
    await bench?.stop()
  })

  it('does not begin where a database of the target differs in case only, which no server takes beside its own', async () => {
    const databases = async () => (await bench.admin.db().admin().listDatabases({ nameOnly: true })).databases
    await bench.admin.db('Shop').collection('things').insertOne({ a: 1 })
    await bench.admin.db('shopping').collection('things').insertOne({ a: 1 })
    await assert.rejects(bench.restore(name), {
      code: 'DATABASE_CASE',
      message: /database Shop where the backup has shop/,
    })
    assert.equal(await bench.admin.db('Shop').collection('things').countDocuments(), 1)
    assert.ok(!(await databases()).some((database) => database.name === 'shop'))
    await bench.admin.db('Shop').dropDatabase()
  })

  it('does not begin while another one runs, and leaves no record behind', async () => {
    const header = {
      type: 'backup' as const,
      replset: 'rs0',
      node: 'elsewhere:27017',
      opid: 'a'.repeat(24),
      epoch: new Timestamp({ t: 1, i: 1 }),
    }
    const other = await acquireLock({ leader: bench.leader, header })
    assert.ok(isHeld(other))
    const command = restoreCommand(name).restore
    // Its storage is none of its business before it has the lock.
    const withStore = () => assert.fail('the storage was opened')
    assert.equal(await bench.restore(name, { command: { name: command.name }, withStore }), 'refused')
    assert.equal(await findRestore(bench.leader, command.name), undefined)
    await other.release()
  })

  it('shows its lock and its record while a storage does not open', async () => {
    const stop = new AbortController()
    const { name: restore } = restoreCommand(name).restore
    const opening = Promise.withResolvers<void>()
    const withStore: WithStore = (signal) => {
      opening.resolve()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const running = bench.restore(name, { command: { name: restore }, withStore, signal: stop.signal })
    await Promise.race([opening.promise, running])
    assert.equal((await findRestore(bench.leader, restore))?.status, 'starting')
    assert.deepEqual(
      (await listLiveLocks(bench.leader)).map(({ type }) => type),
      ['restore'],
    )
    stop.abort(new Error('the test has it end'))
    await assert.rejects(running, /the test has it end/)
    assert.match((await findRestore(bench.leader, restore))?.error ?? '', /Nothing of the data was changed/)
    assert.deepEqual(await listLiveLocks(bench.leader), [])
  })

  it('turns point-in-time recovery off and says so', async () => {
    const storage = { type: 'filesystem', filesystem: { path: bench.folder } }
    const config = { storage, pitr: { enabled: true }, epoch: new Timestamp({ t: 1, i: 1 }) }
    await writeConfig(bench.leader, config, bench.host)
    assert.equal(await bench.restore(name), 'done')
    assert.equal((await readConfig(bench.leader))?.pitr?.enabled, false)
    assert.ok(bench.log.lines.some((line) => line.startsWith('warning point-in-time recovery was on and is off now')))
  })

  it('does not begin where a collection that was renamed aside has the UUID of one of the backup, until it is moved', async () => {
    const shop = bench.node.db('shop')
    await shop.renameCollection('orders', 'orders_old')
    await shop.collection('orders_old').insertOne({ since: 'the backup' })
    const kept = await shop.collection('orders_old').countDocuments()
    const failure = await bench.restore(name).catch((error: unknown) => error)
    assert.ok(failure instanceof PbmError)
    assert.equal(failure.code, 'UUID_TAKEN')
    assert.match(errorText(failure), /shop\.orders_old has the UUID of shop\.orders.*Nothing of the data was changed/)
    assert.equal(await shop.collection('orders_old').countDocuments(), kept)
    // As the message says.
    const command = /adminCommand\((\{.*?\})\)/.exec(errorText(failure))?.[1]?.replace(/(\w+):/g, '"$1":') ?? ''
    await bench.node.db('admin').command(JSON.parse(command) as Document)
    assert.equal(await bench.restore(name), 'done')
    const moved = bench.node.db('shop_kept').collection('orders_old')
    assert.equal(await moved.countDocuments(), kept)
    assert.equal((await moved.indexes()).length, (await shop.collection('orders').indexes()).length)
    assert.equal(await shop.collection('orders').countDocuments({ since: 'the backup' }), 0)
  })

  it('takes what the server had moved aside for a restore that was interrupted for its own, and for no other', async () => {
    const db = bench.node.db('shop')
    assert.equal(await bench.restore(name), 'done')
    const [one] = (await db.listCollections({ type: 'collection' }).toArray()).filter(
      (found) => !/^system/.test(found.name),
    )
    assert.ok(one)
    await db.renameCollection(one.name, 'tmpAbC1e.create')
    await assert.rejects(bench.restore(name), { code: 'UUID_TAKEN' })
    const { restore } = restoreCommand(name)
    const died = emptyRestore(restore, 'b'.repeat(24), unixSeconds() + 1, await clusterTime(bench.leader))
    const conditions = [{ timestamp: unixSeconds(), status: 'running' as const }]
    await insertRestore(bench.leader, { ...died, status: 'error', error: 'killed', conditions })
    assert.equal(await bench.restore(name), 'done')
    const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map((found) => found.name)
    assert.ok(names.includes(one.name) && !names.includes('tmpAbC1e.create'))
  })

  it('says that somebody else writes meanwhile, and leaves nothing of it', async () => {
    const orders = bench.node.db('shop').collection<{ _id: string }>('orders')
    let restoring = true
    const writing = (async () => {
      for (let i = 0; restoring; i++) await orders.updateOne({ _id: `${i}` }, { $set: { i } }, { upsert: true })
    })()
    const command = restoreCommand(name).restore
    await assert.rejects(bench.restore(name, { command: { name: command.name } }), {
      code: 'TARGET_WRITTEN',
      message: /Somebody else writes to what is being restored: .*shop\.orders/,
    })
    restoring = false
    await writing
    const found = await bench.node.db('shop').listCollections().toArray()
    assert.deepEqual(
      found.map((one) => one.name).filter((one) => one.startsWith('tmp')),
      [],
    )
    assert.match((await findRestore(bench.leader, command.name))?.error ?? '', /Stop the applications/)
  })

  it('uses votingMembers where the commit quorum asks for more members than there are', async () => {
    assert.equal(await bench.restore(name, { command: { indexCommitQuorum: '7' } }), 'done')
    assert.ok(bench.log.lines.some((line) => line.includes("commit quorum 7 can't be met")))
  })

  it('names the unique index that documents violate', async () => {
    const list = join(bench.folder, name, 'rs0', 'metadata.json')
    const text = await readFile(list, 'utf8')
    // The definition is JSON in a string of JSON.
    const changed = text
      .replace('\\"name\\":\\"ttl\\"', '\\"unique\\":true,\\"name\\":\\"ttl\\"')
      .replace(
        '\\"key\\":{\\"at\\":{\\"$numberInt\\":\\"1\\"}}',
        '\\"key\\":{\\"nothing\\":{\\"$numberInt\\":\\"1\\"}}',
      )
    assert.notEqual(changed, text)
    await writeFile(list, changed)
    // PBM writes there what it makes the list of.
    await rm(join(bench.folder, name, 'rs0', 'meta.pbm'))
    const command = restoreCommand(name).restore
    const failure = await bench.restore(name, { command: { name: command.name } }).catch((error: unknown) => error)
    assert.match(errorText(failure), /shop\.orders .*"name":"ttl".*E11000.*All data and all other indexes are in place/)
    assert.doesNotMatch(errorText(failure), /incomplete/)
    // What documents hold is not for everybody who may read the record.
    assert.match(errorText(failure), /dup key: \{…\}/)
    assert.doesNotMatch(`${errorText(failure)} ${bench.log.lines.join()}`, /dup key: \{ /)
    const record = await findRestore(bench.leader, command.name)
    assert.deepEqual([record?.status, record?.replsets[0]?.unbuilt_indexes?.length], ['error', 1])
    const built = await bench.node.db('shop').collection('orders').indexes()
    assert.ok(built.length > 1 && !built.some(({ name }) => name === 'ttl'))
    await writeFile(list, text)
  })

  it('reports a damaged object also when it was not verified before', async () => {
    const config = await readConfig(bench.leader)
    assert.ok(config)
    await writeConfig(bench.leader, { ...config, restore: { verify: false } }, bench.host)
    await truncate(join(bench.folder, name, 'rs0', 'shop.orders'), 50_000)
    const command = restoreCommand(name).restore
    await assert.rejects(bench.restore(name, { command: { name: command.name } }), { code: 'BACKUP_DAMAGED' })
    assert.match((await findRestore(bench.leader, command.name))?.error ?? '', /incomplete now: repeat the restore/)
  })
})
