import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Double, Int32, Long, type MongoClient, Timestamp } from 'mongodb'
import { parseConfig } from '../config/parse.js'
import { PluginHost } from '../plugin-host/host.js'
import {
  configCollection,
  readConfig,
  readEpoch,
  requireConfig,
  resetEpoch,
  setPitrEnabled,
  writeConfig,
} from './config.js'
import { getConfigKey, parseSetting, setConfigKeys } from './config-keys.js'

const YAML =
  'storage:\n  type: filesystem\n  filesystem: {path: /tmp/a}\nbackup: {compression: none, timeouts: {startingStatus: 40}}\n'

describe('the configuration in the cluster', () => {
  // The plugins of this repository, as the agent and the CLI find them.
  const host = new PluginHost({ resolveFrom: import.meta.url })
  let set: ReplicaSet
  let leader: MongoClient

  before(async () => {
    set = await startReplicaSet({ members: 1 })
    leader = await set.client()
  })

  after(() => set?.stop())

  beforeEach(() => configCollection(leader).deleteMany({}))

  const upload = async (yaml = YAML) => writeConfig(leader, await parseConfig(yaml, host), host)
  const assign = (...settings: string[]) => setConfigKeys(leader, settings.map(parseSetting), host)
  const raw = () => configCollection(leader).findOne({}, { promoteValues: false, projection: { _id: 0, epoch: 0 } })

  it('says what to do when there is none', async () => {
    assert.equal(await readConfig(leader), undefined)
    assert.equal(await readEpoch(leader), undefined)
    const calls = [
      () => requireConfig(leader),
      () => assign('pitr.enabled=true'),
      () => setPitrEnabled(leader, true),
      () => getConfigKey(leader, 'pitr.enabled', host),
    ]
    for (const call of calls) await assert.rejects(call, { code: 'CONFIG_MISSING', hint: /pbm config --file/ })
  })

  it('writes, reads and replaces it, with the epoch moving', async () => {
    const first = await upload()
    assert.equal(first.previous, undefined)
    const config = await requireConfig(leader)
    assert.deepEqual(config, first.config)
    assert.ok(config.epoch instanceof Timestamp && !config.epoch.isZero())
    const second = await upload(YAML.replace('/tmp/a', '/tmp/b'))
    assert.deepEqual(second.previous, config)
    assert.ok(second.config.epoch.greaterThan(config.epoch))
    assert.equal(await configCollection(leader).countDocuments(), 1)
  })

  it('leaves profiles alone', async () => {
    await configCollection(leader).insertOne({ name: 'other', profile: true, storage: { type: 'filesystem' } })
    assert.equal(await readConfig(leader), undefined)
    await upload()
    await upload()
    await assign('pitr.enabled=true')
    assert.deepEqual((await configCollection(leader).findOne({ name: 'other' }))?.storage, { type: 'filesystem' })
    assert.equal(await configCollection(leader).countDocuments(), 2)
  })

  it('stores the types that PBM stores', async () => {
    await upload()
    await assign(
      'backup.oplogSpanMin=10',
      'backup.compression=zstd',
      'backup.compressionLevel=2',
      'backup.priority.a.b:1=2',
      'backup.timeouts.balancerStop=5',
    )
    assert.deepEqual((await raw())?.backup, {
      compression: 'zstd',
      timeouts: { startingStatus: Long.fromNumber(40), balancerStop: Long.fromNumber(5) },
      oplogSpanMin: new Double(10),
      compressionLevel: new Int32(2),
      priority: { 'a.b:1': new Double(2) },
    })
  })

  it('sets several keys or none', async () => {
    await upload()
    const before = await configCollection(leader).findOne({})
    await assert.rejects(assign('pitr.enabled=true', 'backup.layout=tar'), { code: 'CONFIG_INVALID' })
    assert.deepEqual(await configCollection(leader).findOne({}), before)
    const { config, previous } = await assign('pitr.enabled=true', 'backup.layout=archive')
    assert.equal(previous?.pitr, undefined)
    assert.deepEqual(await requireConfig(leader), config)
    assert.ok(config.epoch.greaterThan(before?.epoch))
  })

  it('keeps what another writer stored', async () => {
    const theirs = {
      storage: { type: 'filesystem', filesystem: { path: '/tmp/a', newOption: 1 }, s3: { bucket: 'b' } },
      pitr: null,
      restore: { batchSize: 0, mongodLocation: '', mongodLocationMap: null, unknown: { deep: Long.fromNumber(7) } },
      newSection: { key: new Double(3) },
      epoch: new Timestamp({ t: 1, i: 1 }),
    }
    await configCollection(leader).insertOne({ ...theirs })
    await assign(
      'pitr.enabled=true',
      'restore.batchSize=100',
      'restore.mongodLocationMap.h.x:1=/bin/mongod',
      'storage.filesystem.path=/tmp/b',
    )
    assert.deepEqual(await raw(), {
      storage: { type: 'filesystem', filesystem: { path: '/tmp/b', newOption: new Int32(1) }, s3: { bucket: 'b' } },
      pitr: { enabled: true },
      restore: {
        batchSize: new Int32(100),
        mongodLocation: '',
        mongodLocationMap: { 'h.x:1': '/bin/mongod' },
        unknown: { deep: Long.fromNumber(7) },
      },
      newSection: { key: new Double(3) },
    })
  })

  it('reads the zeros and nulls of PBM as unset', async () => {
    const restore = {
      batchSize: 0,
      numParallelCollections: 0,
      mongodLocation: '',
      mongodLocationMap: null,
      downloadChunkMb: 32,
    }
    const backup = { oplogSpanMin: new Double(0), compressionLevel: 0, numParallelCollections: 0 }
    const storage = { type: 'filesystem', filesystem: { path: '/tmp/a' } }
    const epoch = new Timestamp({ t: 1, i: 1 })
    await configCollection(leader).insertOne({ storage, pitr: null, backup, restore, epoch })
    const expected = { storage, backup: { compressionLevel: 0 }, restore: { downloadChunkMb: 32 }, epoch }
    assert.deepEqual(await requireConfig(leader), expected)
  })

  it('unsets keys and names of maps', async () => {
    await upload()
    await assign('backup.priority.a.b:1=2', 'backup.priority.c:1=3', 'pitr.enabled=true')
    await assign('backup.priority.a.b:1=', 'backup.compression=', 'pitr.enabled=')
    const { backup, pitr } = await requireConfig(leader)
    assert.deepEqual(backup, { timeouts: { startingStatus: 40 }, priority: { 'c:1': 3 } })
    assert.deepEqual(pitr, {})
  })

  it('loses no change of many writers at once', async () => {
    await upload()
    const hosts = Array.from({ length: 8 }, (_, index) => `host${index}.example.net:27017`)
    await Promise.all(hosts.map((each, index) => assign(`backup.priority.${each}=${index}`)))
    assert.deepEqual(Object.keys((await requireConfig(leader)).backup?.priority ?? {}).sort(), hosts)
  })

  it('tells a value, a section, and what is not set apart from what does not exist', async () => {
    await upload()
    await assign('backup.priority.a.b:1=2')
    const value = async (key: string) => (await getConfigKey(leader, key, host)).value
    assert.equal(await value('storage.filesystem.path'), '/tmp/a')
    assert.equal(await value('backup.priority.a.b:1'), 2)
    assert.deepEqual(await value('backup.priority'), { 'a.b:1': 2 })
    assert.equal(await value('pitr.enabled'), undefined)
    await assert.rejects(value('pitr.enable'), { code: 'CONFIG_INVALID' })
  })

  it('switches point-in-time recovery, also where pitr is null', async () => {
    await upload()
    await configCollection(leader).updateOne({}, { $set: { pitr: null } })
    const epoch = await setPitrEnabled(leader, true)
    const config = await requireConfig(leader)
    assert.deepEqual(config.pitr, { enabled: true })
    assert.ok(config.epoch.equals(epoch))
    await assign('pitr.oplogSpanMin=1')
    await setPitrEnabled(leader, false)
    assert.deepEqual((await requireConfig(leader)).pitr, { enabled: false, oplogSpanMin: 1 })
  })

  it('moves the epoch alone', async () => {
    const { config } = await upload()
    const epoch = await resetEpoch(leader)
    assert.ok(epoch.greaterThan(config.epoch))
    assert.deepEqual(await requireConfig(leader), { ...config, epoch })
    assert.deepEqual(await readEpoch(leader), epoch)
  })
})
