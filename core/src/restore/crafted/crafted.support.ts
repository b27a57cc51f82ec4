import 'reflect-metadata'
import { cp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { ADMIN, type Random, removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import { type Document, MongoError, Timestamp } from 'mongodb'
import { deleteBackup } from '../../catalog/delete.js'
import { listPhysicalRestores, readPhysicalRestore } from '../../catalog/physical-restores.js'
import { resync } from '../../catalog/resync.js'
import { listBackups } from '../../control/backups.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { errorText, PbmError } from '../../errors.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { PluginError } from '../../plugin/errors.js'
import { PluginHost } from '../../plugin-host/host.js'
import { compressionBySuffix } from '../../plugin-host/naming.js'
import {
  CIPHERS,
  CLOCK,
  LEADER,
  NODE,
  OPERATION_LOG,
  SCRATCH,
  SELF,
  WITH_STORE,
  type WithStore,
} from '../../protocol/tokens.js'
import { isNamedAfter } from '../../store/layout/names.js'
import type { OpenStore } from '../../store/open-store.js'
import { systemClock } from '../../time/clock.js'
import { RecordedLog, restoreCommand } from '../restore.support.js'
import { Restore } from '../run/restore.js'
import { type Ask, randomAsk } from './asks.support.js'
import { type Base, basesFor, openAt, storageOf } from './bases.support.js'
import { fetchCrafted, readListAt } from './files.support.js'
import { ELSEWHERE, knownOf } from './guarded-state.support.js'
import { forgeFileList, forgeRouting, forgeSmall } from './more-mutations.support.js'
import { type Crafted, type Crafting, craft, type Mutation, objectsIn } from './mutations.support.js'
import {
  type CraftedTarget,
  differences,
  guardedDifferences,
  type TargetPart,
  type TargetState,
} from './target.support.js'

const SCRATCH_SETTINGS = { folder: join(tmpdir(), `pbmkit-scratch-${process.pid}`), cacheGb: '0.25', keepFree: 0 }

export interface Verdict {
  readonly title: string
  readonly crafted: Crafted
  /** 'done', or the code of what it was refused with. */
  readonly outcome: string
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[]
  /** The longest that nobody else got a turn, in ms. */
  readonly blockedMs: number
}

/** In ms. */
const LONGEST = 90_000
/** PBM's backups lack the index; the role is that of the connected user; no backup has what is made anew each time. */
const MAY_DIFFER = new RegExp(
  `^shop\\.orders: index hid|^role admin\\.|${ELSEWHERE}|^\\w+: role admin\\.|^(shard \\w+: )?\\w+\\.other: uuid`,
)

/** Real servers and storages that somebody has changed: they are read, restored and deleted from as agents do. */
export class CraftedBench {
  readonly #target: CraftedTarget
  readonly #scratch: string
  readonly #host = new PluginHost({
    resolveFrom: new URL('../../../../agent/package.json', import.meta.url).href,
    localAccess: { folders: [tmpdir()], commands: [] },
  })
  readonly #log = new RecordedLog()
  /** By base and what was asked for: what good storages give. */
  readonly #expected = new Map<string, TargetState>()
  /** By base: hashes of the files of physical backups. */
  readonly #files = new Map<string, ReadonlyMap<string, string>>()
  bases: readonly Base[] = []

  private constructor(target: CraftedTarget, scratch: string) {
    this.#target = target
    this.#scratch = scratch
  }

  static async start(target: CraftedTarget): Promise<CraftedBench> {
    const scratch = await temporaryFolder('pbmkit-crafted-')
    const bench = new CraftedBench(target, scratch)
    const configure = (folder: string) => bench.#configure(folder)
    const restore = async (base: Base) => void (await bench.#good(base, { title: 'whole', command: {} }))
    const [host, log] = [bench.#host, bench.#log]
    bench.bases = await basesFor({ target, host, log, scratch, configure, restore })
    await target.plant()
    bench.#expected.clear()
    return bench
  }

  async stop(): Promise<void> {
    await this.#target.stop()
    await removeTemporaryFolder(this.#scratch)
  }

  /** One crafted storage, from the resync to the end of a restore. */
  async run(base: Base, random: Random): Promise<Verdict> {
    const ask: Ask = base.type === 'physical' ? FILES : randomAsk(random, this.#target.isSharded)
    const expected = base.type === 'physical' ? undefined : await this.#good(base, ask)
    const folder = await this.#prepare(base)
    const [before, untouched] = [await this.#target.guarded(), await this.#target.state()]
    const crafted = await craft(await this.#crafting(base, folder, random))
    const store = await openAt(this.#host, folder)
    const faults: string[] = []
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const began = Date.now()
    let [outcome, chosen] = ['', base.backup]
    try {
      await this.#resync(base, folder, store)
      for (const name of (await listPhysicalRestores(store)).slice(0, 5)) await readPhysicalRestore(store, name)
      chosen = await this.#chosen(base, random)
      if (base.type === 'physical') {
        faults.push(...(await this.#fetch(base, store, crafted.isForged)))
        outcome = 'done'
      } else outcome = await this.#restore(base, ask, chosen, store)
    } catch (error) {
      if (!isForPeople(error)) faults.push(`it broke: ${error instanceof Error ? error.stack : String(error)}`)
      outcome = String((error as { code?: unknown }).code ?? (error as Error).name)
      if (base.type === 'physical' || /Nothing of the data was changed/.test(await this.#told()))
        faults.push(...(await this.#changed(untouched, () => false)))
      else if (!crafted.isForged) faults.push(`it was found too late: ${errorText(error)}`)
    }
    delay.disable()
    if (Date.now() - began > LONGEST) faults.push(`it took ${Date.now() - began} ms`)
    const isTrusted = !crafted.isForged || (base.ciphers !== undefined && chosen === base.backup)
    if (outcome === 'done' && expected !== undefined && isTrusted)
      faults.push(...(await this.#different(expected, ask)))
    if (ask.touches !== undefined) faults.push(...(await this.#changed(untouched, ask.touches)))
    if (random(4) === 0) faults.push(...(await this.#deleteOne(store, random)))
    faults.push(...guardedDifferences(before, await this.#target.guarded()))
    await store.close()
    const asked = chosen === base.backup ? ask.title : `${ask.title}, restored ${chosen}`
    const title = `${base.title}, ${asked}`
    return { title, crafted, outcome, faults, blockedMs: Math.round(delay.max / 1e6) }
  }

  async #prepare(base: Base): Promise<string> {
    const folder = join(this.#scratch, 'crafted')
    await rm(folder, { recursive: true, force: true })
    await cp(base.folder, folder, { recursive: true })
    await this.#target.reset()
    await this.#configure(folder)
    return folder
  }

  /** What comes of a storage that nobody has changed. */
  async #good(base: Base, ask: Ask): Promise<TargetState | undefined> {
    const key = `${base.title} ${ask.title}`
    const known = this.#expected.get(key)
    if (known !== undefined) return known
    const folder = await this.#prepare(base)
    const store = await openAt(this.#host, folder)
    try {
      await this.#resync(base, folder, store)
      const outcome = await this.#restore(base, ask, base.backup, store)
      if (outcome !== 'done') throw new Error(`the good storage ${key} is ${outcome}`)
    } catch (error) {
      // What is asked for may not be there.
      if (ask.title === 'whole' || !isForPeople(error)) throw error
      return undefined
    } finally {
      await store.close()
    }
    const state = await this.#target.state()
    this.#expected.set(key, state)
    return state
  }

  async #crafting(base: Base, folder: string, random: Random): Promise<Crafting> {
    const more: Mutation[] = [forgeSmall]
    if (this.#target.isSharded) more.push(...Array.from({ length: 5 }, () => forgeRouting))
    if (base.type === 'physical')
      more.push(...Array.from({ length: 12 }, () => forgeFileList((at, object) => readListAt(at, object))))
    return {
      random,
      folder,
      backup: base.backup,
      more,
      known: await knownOf(this.#target.parts.map(({ admin }) => admin)),
      compressionOf: async (object) => await this.#host.compression(compressionBySuffix(object)),
      objectsOf: (isWanted) => objectsIn(folder, isWanted),
    }
  }

  async #resync({ ciphers }: Base, folder: string, store: OpenStore): Promise<void> {
    const { leader } = this.#target
    const [host, log, storage] = [this.#host, this.#log, storageOf(folder)]
    await resync({ leader, store, host, storage, log, ciphers })
  }

  /** By all agents at once. */
  async #restore(base: Base, ask: Ask, backupName: string, store: OpenStore): Promise<string> {
    const time = base.time === undefined ? {} : { oplogTS: new Timestamp({ t: base.time, i: 0 }) }
    const given: Partial<RestoreCommand> = { sender: `admin.${ADMIN.user}`, ...time, ...ask.command }
    const command = restoreCommand(backupName, given)
    const signal = AbortSignal.timeout(LONGEST * 2)
    const results = await Promise.allSettled(
      this.#target.parts.map((part) => this.#containerOf(base, part, store).resolve(Restore).run(command, { signal })),
    )
    const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown)
    const odd = failed.find((error) => !isForPeople(error))
    if (odd !== undefined || failed.length > 0) throw odd ?? failed[0]
    const outcomes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    return outcomes.find((outcome) => outcome !== 'done') ?? 'done'
  }

  #containerOf(base: Base, part: TargetPart, store: OpenStore) {
    const container = this.#host.container.createChildContainer()
    container.registerInstance(NODE, part.node)
    container.registerInstance(LEADER, this.#target.leader)
    container.registerInstance(SELF, { rs: part.rs, node: part.host })
    container.registerInstance(OPERATION_LOG, this.#log)
    container.registerInstance(CLOCK, systemClock)
    container.registerInstance(SCRATCH, SCRATCH_SETTINGS)
    container.registerInstance<WithStore>(WITH_STORE, (_signal, work) => work(store))
    container.registerInstance(PluginHost, this.#host)
    if (base.ciphers !== undefined) container.registerInstance(CIPHERS, base.ciphers)
    return container
  }

  /** Of one that nobody has changed, too. */
  async #fetch(base: Base, store: OpenStore, isForged: boolean): Promise<string[]> {
    const given = { base, target: this.#target, host: this.#host, log: this.#log }
    let good = this.#files.get(base.title)
    if (good === undefined) {
      const untouched = await openAt(this.#host, base.folder)
      good = (await fetchCrafted({ ...given, store: untouched }).finally(() => untouched.close())).files
      this.#files.set(base.title, good)
    }
    const { files, faults } = await fetchCrafted({ ...given, store })
    if (isForged && base.ciphers === undefined) return faults
    const names = new Set([...good.keys(), ...files.keys()])
    const other = [...names].filter((name) => good.get(name) !== files.get(name))
    return [...faults, ...other.map((name) => `done and different: ${name}`)]
  }

  /** Mostly the one that was changed. */
  async #chosen({ backup }: Base, random: Random): Promise<string> {
    const listed = (await listBackups(this.#target.leader)).map(({ name }) => name)
    if (listed.includes(backup) && random(20) > 0) return backup
    return listed[random(listed.length)] ?? backup
  }

  async #told(): Promise<string> {
    const restores = this.#target.leader.db('admin').collection('pbmRestores')
    const [last] = await restores.find().sort({ $natural: -1 }).limit(1).toArray()
    return String(last?.error ?? 'Nothing of the data was changed')
  }

  async #changed(untouched: TargetState, mayBe: (ns: string) => boolean): Promise<string[]> {
    // Chunks and zones are numbered; those of what no backup has are looked at by themselves.
    // A shard may have nothing of a database that a part of is restored there.
    const isNamed = (line: string) => !/^(chunk|zone) \d|^shard \w+: \w+: unexpected database$/.test(line)
    const found = differences(untouched, await this.#target.state()).filter(
      (line) => isNamed(line) && !mayBe(nameIn(line)),
    )
    return found.filter((line) => !MAY_DIFFER.test(line)).map((text) => `must be unchanged: ${text}`)
  }

  async #different(expected: TargetState, { touches }: Ask): Promise<string[]> {
    const found = differences(expected, await this.#target.state()).filter((text) => !MAY_DIFFER.test(text))
    // What is restored of a part has other UUIDs each time.
    const real = touches === undefined ? found : found.filter((text) => !/uuid /.test(text))
    return real.map((text) => `done and different: ${text}`)
  }

  async #deleteOne(store: OpenStore, random: Random): Promise<string[]> {
    const { leader } = this.#target
    const listed = await listBackups(leader)
    const name = listed[random(listed.length)]?.name
    if (name === undefined) return []
    const before = await namesOn(store)
    try {
      await deleteBackup({ leader, store, log: this.#log }, name)
    } catch (error) {
      if (!isForPeople(error)) return [`deleting broke: ${error instanceof Error ? error.stack : String(error)}`]
    }
    const left = new Set(await namesOn(store))
    const gone = before.filter((object) => !left.has(object))
    return gone
      .filter((object) => object !== `${name}.pbm.json` && !isNamedAfter(name, object))
      .map((object) => `${object} was deleted with ${name}`)
  }

  async #configure(folder: string): Promise<void> {
    const { leader, admin } = this.#target
    const config = { storage: storageOf(folder), epoch: await clusterTime(leader), encryption: { type: 'none' } }
    await admin.db('admin').collection<Document>('pbmConfig').replaceOne({}, config, { upsert: true })
  }
}

const FILES: Ask = { title: 'files', command: {}, touches: () => false }

/** The namespace that a line of differences is about; '' where it is about none. */
function nameIn(line: string): string {
  const text = line.replace(/^shard \w+: /, '')
  const [, ns = ''] = /^(?:sharded collection |database )?(\S+?)[: ]/.exec(text) ?? []
  return ns.includes('.') ? ns : `${ns}.`
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
