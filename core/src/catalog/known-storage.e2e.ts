import assert from 'node:assert/strict'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ReplicaSet, startReplicaSet, temporaryFolder } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId } from 'mongodb'
import type { Config } from '../config/document.js'
import { parseConfig } from '../config/parse.js'
import { storageFingerprint } from '../config/same-storage.js'
import { type AgentDocument, publishAgent } from '../control/agents.js'
import { insertBackup } from '../control/backups.js'
import { configCollection, readConfig, writeConfig } from '../control/config.js'
import { setConfigKeys } from '../control/config-keys.js'
import { newBackup } from '../control/new-backup.js'
import { listProfiles, saveProfile } from '../control/profiles.js'
import { type ConfiguredStorage, forgetIdentity, rememberedIdentity } from '../control/storage-memory.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { clusterMembers, nodeInfo } from '../mongo/topology.js'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { rememberStorage } from '../recovery/remember-storage.js'
import { backupMetadataName, IDENTITY_OBJECT, INIT_OBJECT } from '../store/layout/names.js'
import { ensureInitObject } from './init-object.js'
import { acceptStorage, beginUsing, requireKnownStorage, seeStorage } from './known-storage.js'
import { ensureIdentity, readIdentity } from './storage-identity.js'

describe('the storage that a cluster uses', () => {
  const host = new PluginHost({ resolveFrom: import.meta.url })
  let set: ReplicaSet
  let leader: MongoClient
  let folder: string
  const stores: ObjectStore[] = []

  before(async () => {
    set = await startReplicaSet({ members: 1 })
    leader = await set.client()
    folder = await temporaryFolder('pbmkit-known-')
  })
  after(() => set?.stop())
  beforeEach(() => leader.db('admin').collection('pbmBackups').deleteMany({}))
  beforeEach(() => leader.db('admin').collection('pbmAgents').deleteMany({}))
  beforeEach(() => configCollection(leader).deleteMany({}))
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
    await rm(folder, { recursive: true })
    await mkdir(folder)
  })

  const yamlOf = (name: string) => `storage:\n  type: filesystem\n  filesystem: {path: ${join(folder, name)}}\n`
  const configure = async (name: string, more = ''): Promise<Config> =>
    (await writeConfig(leader, await parseConfig(`${yamlOf(name)}${more}`, host), host)).config
  const of = ({ storage }: Pick<Config, 'storage'>, profile?: string): ConfiguredStorage => ({
    ...{ leader, host, storage, profile },
  })
  async function open(name: string): Promise<ObjectStore> {
    await mkdir(join(folder, name), { recursive: true })
    const plugin = await host.storage('filesystem')
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const store = await plugin.open({ path: join(folder, name) }, context)
    stores.push(store)
    return store
  }
  const list = async (name: string, config: Config) => {
    const [server, hb, replsets] = await Promise.all([nodeInfo(leader), clusterTime(leader), clusterMembers(leader)])
    const backup = { name, type: 'logical' as const, base: false, compression: 's2' }
    const command = { _id: new ObjectId(), ts: 0, cmd: 'backup' as const, backup }
    const document = newBackup({ command, store: config.storage, server, hb, replsets, balancer: 'off' })
    await insertBackup(leader, { ...document, status: 'done' })
  }

  it('is remembered through every change of the configuration but that of the place', async () => {
    const config = await configure('a')
    const store = await open('a')
    await beginUsing(store, of(config))
    const id = await readIdentity(store)
    const isRemembered = async () => assert.equal(await rememberedIdentity(of(config)), id)
    await isRemembered()
    await configure('a', 'pitr: {enabled: true}\n')
    await isRemembered()
    // As PBM's command line does.
    const main = await configCollection(leader).findOne({ profile: null })
    assert.ok(main)
    await configCollection(leader).replaceOne({ profile: null }, { storage: main.storage, epoch: main.epoch })
    await isRemembered()
    assert.equal((await readConfig(leader))?.storage.type, 'filesystem')
    assert.deepEqual(await listProfiles(leader), [])

    const other = await configure('b')
    assert.equal(await rememberedIdentity(of(other)), undefined)
    await beginUsing(await open('b'), of(other))
    await requireKnownStorage(await open('b'), of(other))
    assert.equal(await rememberedIdentity(of(config)), undefined)
    const changed = await setConfigKeys(leader, [{ key: 'storage.filesystem.path', value: join(folder, 'a') }], host)
    assert.equal(await rememberedIdentity(of(changed.config)), undefined)
  })

  it('is another one where a share is gone, and nothing is written there', async () => {
    const config = await configure('a')
    const store = await open('a')
    await beginUsing(store, of(config))
    const empty = await open('empty')
    await assert.rejects(beginUsing(empty, of(config)), {
      code: 'STORAGE_CHANGED',
      message: /it has no identity, and was /,
      hint: /pbm config --force-resync/,
    })
    assert.deepEqual(await readdir(join(folder, 'empty')), [])
    const foreign = await open('foreign')
    await ensureIdentity(foreign)
    await assert.rejects(beginUsing(foreign, of(config)), {
      code: 'STORAGE_CHANGED',
      message: /it is storage .* and was /,
    })
    assert.deepEqual(await readdir(join(folder, 'foreign')), [IDENTITY_OBJECT])
    await acceptStorage(foreign, of(config))
    await beginUsing(foreign, of(config))
    await assert.rejects(requireKnownStorage(store, of(config)), { code: 'STORAGE_CHANGED' })
  })

  it('is not the empty folder of a cluster that has backups and remembers none', async () => {
    const config = await configure('a')
    await list('2031-02-03T04:05:06Z', config)
    const empty = await open('empty')
    const { fault } = await seeStorage(empty, of(config))
    assert.match(fault?.message ?? '', /nothing was ever written to it, and backup 2031-02-03T04:05:06Z is to be there/)
    assert.deepEqual(await readdir(join(folder, 'empty')), [])
    // A copy that lacks the names with a dot: a resync of a profile does not write them, so nothing else could end it.
    const copied = await open('copied')
    await copied.save(backupMetadataName('2031-02-03T04:05:06Z'), bodyOf(Buffer.from('{}')))
    assert.equal((await seeStorage(copied, of(config))).fault, undefined)
    // PBM has written there.
    await ensureInitObject(empty)
    await beginUsing(empty, of(config))
    assert.deepEqual((await readdir(join(folder, 'empty'))).sort(), [INIT_OBJECT, IDENTITY_OBJECT])
    const other = await configure('b')
    await beginUsing(await open('b'), of(other))
  })

  it('has an identity for each profile', async () => {
    const main = await configure('a')
    const name = 'second'
    const profile = { name, storage: (await parseConfig(yamlOf('b'), host)).storage }
    await saveProfile(leader, profile, host)
    const [first, second] = [await open('a'), await open('b')]
    await beginUsing(first, of(main))
    await beginUsing(second, of(profile, name))
    await assert.rejects(requireKnownStorage(second, of(main)), { code: 'STORAGE_CHANGED' })
    await assert.rejects(requireKnownStorage(await open('empty'), of(profile, name)), {
      code: 'STORAGE_CHANGED',
      hint: /pbm profile sync second/,
    })
    await forgetIdentity(leader, name)
    assert.equal(await rememberedIdentity(of(profile, name)), undefined)
    assert.equal(await rememberedIdentity(of(main)), await readIdentity(first))
  })

  it('is learnt where all agents see the same, as after an upgrade', async () => {
    const config = await configure('a')
    const at = await storageFingerprint(config.storage, host)
    const hb = await clusterTime(leader)
    const well = { ok: true, e: '' }
    const publish = async (n: string, place: AgentDocument['place']) => {
      const node = { n, rs: 'rs0', s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
      const told = { v: '2', mv: '8', pbms: well, nodes: well, stors: well, e: '', epoch: config.epoch }
      await publishAgent(leader, { ...node, ...told, hb, ...(place !== undefined && { place }) })
    }
    const learnt = async () => {
      await rememberStorage(leader, host)
      return await rememberedIdentity(of(config))
    }
    await publish('1', { at, id: 'one' })
    await publish('2', { at, id: 'two' })
    assert.equal(await learnt(), undefined)
    await publish('2', { at: 'elsewhere', id: 'one' })
    assert.equal(await learnt(), undefined)
    await publish('2', { at, id: 'one' })
    await publish('pbm', undefined)
    assert.equal(await learnt(), 'one')
    await publish('1', { at, id: 'two' })
    await publish('2', { at, id: 'two' })
    assert.equal(await learnt(), 'one')
  })
})
