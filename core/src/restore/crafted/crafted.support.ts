import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  ADMIN,
  compareStates,
  type DatabaseState,
  PBM_USER,
  type Random,
  type ReplicaSet,
  removeTemporaryFolder,
  snapshotState,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { type Document, type MongoClient, MongoError, Timestamp } from 'mongodb'
import { deleteBackup } from '../../catalog/delete.js'
import { resync } from '../../catalog/resync.js'
import type { Config } from '../../config/document.js'
import { listBackups } from '../../control/backups.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { databaseRole } from '../../control/roles.js'
import { ensureControlCollections } from '../../control/setup.js'
import { Ciphers } from '../../encryption/ciphers.js'
import { errorText, PbmError } from '../../errors.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { connectLeader, connectNode } from '../../mongo/connect.js'
import { PluginError } from '../../plugin/errors.js'
import { PluginHost } from '../../plugin-host/host.js'
import { compressionBySuffix } from '../../plugin-host/naming.js'
import { CIPHERS, CLOCK, LEADER, NODE, OPERATION_LOG, SELF, WITH_STORE, type WithStore } from '../../protocol/tokens.js'
import { isNamedAfter } from '../../store/layout/names.js'
import { openStore } from '../../store/open.js'
import type { OpenStore } from '../../store/open-store.js'
import { systemClock } from '../../time/clock.js'
import { expectedState, type Fixture, fixtureFolder, RecordedLog, restoreCommand } from '../restore.support.js'
import { Restore } from '../run/restore.js'
import { ELSEWHERE, guardedDifferences, guardedState, knownOf, plantGuarded } from './guarded-state.support.js'
import { type Crafted, craft } from './mutations.support.js'
import { makeOwnBackup } from './own-backup.support.js'

/** A storage with a good backup, to be changed. */
interface Base {
  readonly title: string
  readonly folder: string
  readonly backup: string
  /** Of a restore to a time. */
  readonly time?: number
  readonly expected: DatabaseState
  readonly ciphers?: Ciphers
}

export interface Verdict {
  readonly base: string
  readonly crafted: Crafted
  /** 'done', or the code of what it was refused with. */
  readonly outcome: string
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[]
  /** The longest that nobody else got a turn, in ms. */
  readonly blockedMs: number
}

/** In ms. */
const LONGEST = 60_000
const OWN_USERS = [`admin.${PBM_USER.user}`, `admin.${ADMIN.user}`]
/** PBM's backups lack it; the role is that of the connected user. */
const MAY_DIFFER = new RegExp(`^shop\\.orders: index hid|^role admin\\.|^${ELSEWHERE}:`)

/** A real server and storages that somebody has changed: they are read, restored and deleted from as agents do. */
export class CraftedBench {
  readonly #set: ReplicaSet
  readonly #admin: MongoClient
  readonly #node: MongoClient
  readonly #leader: MongoClient
  readonly #scratch: string
  readonly #host = new PluginHost({
    resolveFrom: new URL('../../../../agent/package.json', import.meta.url).href,
    localAccess: { folders: [tmpdir()], commands: [] },
  })
  readonly #context = { signal: new AbortController().signal, warn: () => undefined }
  readonly #log = new RecordedLog()
  readonly bases: Base[] = []

  private constructor(
    set: ReplicaSet,
    clients: { admin: MongoClient; node: MongoClient; leader: MongoClient },
    scratch: string,
  ) {
    this.#set = set
    this.#admin = clients.admin
    this.#node = clients.node
    this.#leader = clients.leader
    this.#scratch = scratch
  }

  static async start(): Promise<CraftedBench> {
    const set = await startReplicaSet({ name: 'rs0', auth: true })
    const user = await set.createUser(databaseRole('agent'))
    const admin = await set.client()
    await admin
      .db('admin')
      .command({ grantRolesToUser: ADMIN.user, roles: ['__system'], writeConcern: { w: 'majority' } })
    const node = await connectNode(set.uri({ user, member: 0, direct: true }), { appName: 'pbmkit-test' })
    const { client: leader } = await connectLeader(set.uri({ user }), { appName: 'pbmkit-test' })
    await ensureControlCollections(leader)
    const bench = new CraftedBench(set, { admin, node, leader }, await temporaryFolder('pbmkit-crafted-'))
    await bench.#addFixtures()
    await bench.#addOwn()
    await plantGuarded(admin)
    return bench
  }

  async stop(): Promise<void> {
    await Promise.all([this.#node.close(), this.#leader.close()])
    await this.#set.stop()
    await removeTemporaryFolder(this.#scratch)
  }

  /** One crafted storage, from the resync to the end of a restore. */
  async run(base: Base, random: Random): Promise<Verdict> {
    const folder = join(this.#scratch, 'crafted')
    await rm(folder, { recursive: true, force: true })
    await cp(base.folder, folder, { recursive: true })
    await this.#reset(folder)
    const before = await guardedState(this.#admin, OWN_USERS)
    const untouched = await snapshotState(this.#admin)
    const compressionOf = async (object: string) => await this.#host.compression(compressionBySuffix(object))
    const crafted = await craft({
      random,
      folder,
      backup: base.backup,
      known: await knownOf(this.#admin),
      compressionOf,
    })
    const store = await this.#open(folder)
    const faults: string[] = []
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const began = Date.now()
    let [outcome, chosen] = ['', base.backup]
    try {
      await resync({
        leader: this.#leader,
        store,
        host: this.#host,
        storage: storageOf(folder),
        log: this.#log,
        ciphers: base.ciphers,
      })
      chosen = await this.#chosen(base, random)
      outcome = await this.#restore(base, chosen, store)
    } catch (error) {
      if (!isForPeople(error)) faults.push(`it broke: ${error instanceof Error ? error.stack : String(error)}`)
      outcome = String((error as { code?: unknown }).code ?? (error as Error).name)
      if (/Nothing of the data was changed/.test(await this.#told())) faults.push(...(await this.#changed(untouched)))
      else if (!crafted.isForged) faults.push(`it was found too late: ${errorText(error)}`)
    }
    delay.disable()
    if (Date.now() - began > LONGEST) faults.push(`it took ${Date.now() - began} ms`)
    if (outcome === 'done' && (!crafted.isForged || base.ciphers !== undefined))
      faults.push(...(await this.#different(base)))
    if (random(4) === 0) faults.push(...(await this.#deleteOne(store, random)))
    faults.push(...guardedDifferences(before, await guardedState(this.#admin, OWN_USERS)))
    await store.close()
    const what = chosen === base.backup ? crafted.what : `${crafted.what}; restored ${chosen}`
    return { base: base.title, crafted: { ...crafted, what }, outcome, faults, blockedMs: Math.round(delay.max / 1e6) }
  }

  async #restore(base: Base, backupName: string, store: OpenStore): Promise<string> {
    const container = this.#host.container.createChildContainer()
    container.registerInstance(NODE, this.#node)
    container.registerInstance(LEADER, this.#leader)
    container.registerInstance(SELF, { rs: 'rs0', node: this.#set.members[0]?.host ?? '' })
    container.registerInstance(OPERATION_LOG, this.#log)
    container.registerInstance(CLOCK, systemClock)
    container.registerInstance<WithStore>(WITH_STORE, (_signal, work) => work(store))
    container.registerInstance(PluginHost, this.#host)
    if (base.ciphers !== undefined) container.registerInstance(CIPHERS, base.ciphers)
    const time = base.time === undefined ? {} : { oplogTS: new Timestamp({ t: base.time, i: 0 }) }
    const command: Partial<RestoreCommand> = { sender: `admin.${ADMIN.user}`, ...time }
    const { signal } = this.#context
    return await container.resolve(Restore).run(restoreCommand(backupName, command), { signal })
  }

  /** Mostly the one that was changed. */
  async #chosen({ backup }: Base, random: Random): Promise<string> {
    const listed = (await listBackups(this.#leader)).map(({ name }) => name)
    if (listed.includes(backup) && random(20) > 0) return backup
    return listed[random(listed.length)] ?? backup
  }

  async #told(): Promise<string> {
    const [last] = await this.#leader
      .db('admin')
      .collection('pbmRestores')
      .find()
      .sort({ $natural: -1 })
      .limit(1)
      .toArray()
    return String(last?.error ?? 'Nothing of the data was changed')
  }

  async #changed(untouched: DatabaseState): Promise<string[]> {
    return compareStates(untouched, await snapshotState(this.#admin)).map((text) => `said to be unchanged: ${text}`)
  }

  async #different({ expected }: Base): Promise<string[]> {
    const found = compareStates(expected, await snapshotState(this.#admin), { ignoreUsers: OWN_USERS })
    return found.filter((text) => !MAY_DIFFER.test(text)).map((text) => `done and different: ${text}`)
  }

  async #deleteOne(store: OpenStore, random: Random): Promise<string[]> {
    const listed = await listBackups(this.#leader)
    const name = listed[random(listed.length)]?.name
    if (name === undefined) return []
    const before = await namesOn(store)
    try {
      await deleteBackup({ leader: this.#leader, store, log: this.#log }, name)
    } catch (error) {
      if (!isForPeople(error)) return [`deleting broke: ${error instanceof Error ? error.stack : String(error)}`]
    }
    const left = new Set(await namesOn(store))
    const gone = before.filter((object) => !left.has(object))
    return gone
      .filter((object) => object !== `${name}.pbm.json` && !isNamedAfter(name, object))
      .map((object) => `${object} was deleted with ${name}`)
  }

  /** As if nothing had ever been restored, but for a little data that a refused restore must leave. */
  async #reset(folder: string): Promise<void> {
    const admin = this.#admin.db('admin')
    const { databases } = await admin.admin().listDatabases({ nameOnly: true })
    for (const { name } of databases)
      if (!['admin', 'config', 'local', ELSEWHERE].includes(name)) await this.#admin.db(name).dropDatabase()
    await admin.collection<{ _id: string }>('system.users').deleteMany({ _id: { $nin: OWN_USERS } })
    for (const collection of ['pbmBackups', 'pbmRestores', 'pbmPITRChunks', 'pbmPITR', 'pbmLock'])
      await admin.collection(collection).deleteMany({})
    for (const { name } of await admin.listCollections({}, { nameOnly: true }).toArray())
      if (!/^(pbm|system\.)/.test(name)) await admin.collection(name).drop()
    await this.#admin.db('shop').collection<{ _id: string }>('orders').insertOne({ _id: 'before' })
    await this.#configure(folder)
  }

  async #configure(folder: string): Promise<void> {
    const config = { storage: storageOf(folder), epoch: await clusterTime(this.#leader), encryption: { type: 'none' } }
    await this.#admin.db('admin').collection<Document>('pbmConfig').replaceOne({}, config, { upsert: true })
  }

  async #addFixtures(): Promise<void> {
    const manifestOf = async (fixture: Fixture) =>
      JSON.parse(await readFile(join(fixtureFolder(fixture), 'manifest.json'), 'utf8')) as {
        snapshots: { name: string; compression: string }[]
        marks: { label: string; unix: number }[]
      }
    const codecs = await manifestOf('pbm-codecs')
    for (const { name, compression } of codecs.snapshots.filter((one) => /^(none|zstd)$/.test(one.compression))) {
      const expected = await expectedState('pbm-codecs', 'snapshot')
      const folder = join(fixtureFolder('pbm-codecs'), 'storage')
      this.bases.push({ title: `PBM's, ${compression}`, folder, backup: name, expected })
    }
    const { snapshots, marks } = await manifestOf('pbm-pitr')
    const time = marks.find(({ label }) => label === 'ddl')?.unix ?? 0
    const expected = await expectedState('pbm-pitr', 'ddl')
    const folder = join(fixtureFolder('pbm-pitr'), 'storage')
    this.bases.push({ title: "PBM's, to a time", folder, backup: snapshots[0]?.name ?? '', time, expected })
  }

  /** Of what the first fixture restores. */
  async #addOwn(): Promise<void> {
    const keyFile = join(this.#scratch, 'keys')
    await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
    const ciphers = new Ciphers(this.#host, { type: 'aes-gcm', 'aes-gcm': { keyFile } }, this.#context)
    const [first] = this.bases
    if (first === undefined) throw new Error('there are no fixtures')
    const fixture = await this.#open(first.folder)
    await this.#reset(first.folder)
    await this.#restore(first, first.backup, fixture)
    await fixture.close()
    const kinds = [
      { title: 'plain', compression: 'none' },
      { title: 'zstd', compression: 'zstd' },
      { title: 'sealed', compression: 'zstd', ciphers },
    ]
    for (const [index, { title, ...kind }] of kinds.entries()) {
      const folder = join(this.#scratch, `own-${title}`)
      await mkdir(folder)
      await this.#configure(folder)
      const store = await this.#open(folder)
      const { storage, ...common } = {
        node: this.#node,
        leader: this.#leader,
        host: this.#host,
        log: this.#log,
        storage: store,
      }
      for (const second of [0, 1]) {
        const name = `2031-01-0${index + 1}T00:00:0${second}Z`
        await makeOwnBackup({ ...common, ...kind, store: storage, name })
      }
      await store.close()
      const expected = await snapshotState(this.#admin)
      this.bases.push({
        title,
        folder,
        backup: `2031-01-0${index + 1}T00:00:00Z`,
        expected,
        ...('ciphers' in kind && { ciphers: kind.ciphers }),
      })
    }
  }

  #open(folder: string): Promise<OpenStore> {
    return openStore(this.#host, storageOf(folder), this.#context, { retryMs: 0 })
  }
}

function storageOf(path: string): Config['storage'] {
  return { type: 'filesystem', filesystem: { path } }
}

/** Of a storage, a plugin, the server or ourselves; all else is a fault that nobody has thought of. */
function isForPeople(error: unknown): boolean {
  return error instanceof PbmError || error instanceof PluginError || error instanceof MongoError
}

async function namesOn(store: OpenStore): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list()) names.push(name)
  return names
}
