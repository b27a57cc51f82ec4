import {
  type AgentPlace,
  type Clock,
  type Config,
  errorText,
  identityObject,
  inTime,
  type ObjectStore,
  openStore,
  PbmError,
  type PluginHost,
  type SeenStorage,
  type StorageConfig,
  type SubsystemStatus,
  systemClock,
  testWriting,
} from '@pbmkit/core'
import type { KeyWatch } from './key-watch.js'

/** Seconds between looks at a storage that is well; one that is not is looked at with every status (PBM: control-plane.md §6). */
const PROBE_MS = 15_000
/** A look that hangs tells as much as one that fails; an agent that waited for it longer would look dead to the others. */
const PROBE_TIMEOUT_MS = 20_000
/** For one that hung before: whatever may keep it, a mount of a dead server or a proxy, seldom ends soon. */
const STILL_HANGS_MS = 1_000

/** Between two tests that a storage that is well can be written: with versioning, each leaves a version. */
const WRITE_MS = 6 * 3600 * 1000

export interface StorageWatchOptions {
  readonly host: PluginHost
  readonly node: string
  readonly signal: AbortSignal
  readonly keys: KeyWatch
  readonly warn: (message: string) => void
  /** What is seen there, and whether it is what the cluster has used. */
  readonly see: (store: ObjectStore, storage: StorageConfig, call: { signal: AbortSignal }) => Promise<AgentSight>
  readonly isUsed: (storage: StorageConfig) => Promise<boolean>
  /** How long a look may take (milliseconds); default: 20 s. */
  readonly probeMs?: number
  readonly clock?: Clock
}

/** Which place of the configuration it is, and what is there. */
export type AgentSight = SeenStorage & { readonly at: string }

interface Probe {
  /** The storage looked at. */
  readonly text: string
  readonly ended: Promise<void>
  readonly over: AbortController
  /** Whether somebody has waited for it in vain. */
  late: boolean
}

/** Keeps an eye on the configured storage and the plugins that the configuration needs. */
export class StorageWatch {
  readonly #options: StorageWatchOptions
  readonly #clock: Clock
  #store: ObjectStore | undefined
  #storageText = ''
  #probedConfig = ''
  #probedAt = 0
  /** Under way. */
  #probing: Probe | undefined
  #status: SubsystemStatus = { ok: false, e: 'not looked at yet' }
  #place: AgentPlace = {}
  /** When writing was tested last; 0 for a storage where it was not. */
  #writtenAt = 0

  constructor(options: StorageWatchOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** What this agent saw as the storage at the last look. */
  get place(): AgentPlace {
    return this.#place
  }

  /** Looks anew, tries to write where the command is going to, and notes for which command. Never rejects. */
  async answer(config: Config, opid: string, { writes }: { writes: boolean }): Promise<SubsystemStatus> {
    this.#probedAt = 0
    const status = await this.#checkFor(config, { writes })
    this.#place = { ...this.#place, opid }
    return status
  }

  /** Something could not be stored: the next look tries to write, for another member may be able to. */
  doubt(): void {
    if (this.#writtenAt !== Number.POSITIVE_INFINITY) this.#writtenAt = 0
    this.#probedAt = 0
  }

  /** What the agent's status says of the storage. Never rejects. */
  async check(config: Config | undefined): Promise<SubsystemStatus> {
    return await this.#checkFor(config)
  }

  async #checkFor(config: Config | undefined, command?: { writes: boolean }): Promise<SubsystemStatus> {
    if (config === undefined) {
      this.#status = { ok: false, e: 'no configuration is set: pbm config --file pbm-config.yaml' }
      return this.#status
    }
    const { storage, backup, pitr, encryption } = config
    const text = JSON.stringify([storage, backup?.compression, pitr?.compression, encryption])
    const fresh = this.#clock.now() - this.#probedAt < PROBE_MS
    if (command === undefined && this.#status.ok && fresh && text === this.#probedConfig) return this.#status
    this.#probedConfig = text
    this.#probedAt = this.#clock.now()
    try {
      await this.#options.host.check(config)
      await this.#probe(config, command)
      // Better known now than at the next backup.
      await this.#options.keys.require(encryption)
      this.#status = { ok: true, e: '' }
    } catch (error) {
      this.#status = { ok: false, e: errorText(error) }
      if (!isOther(error)) this.#place = {}
      void this.close()
    }
    return this.#status
  }

  /** Never rejects. */
  async close(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    this.#storageText = ''
    await store?.close().catch(() => undefined)
  }

  /** One that hangs is not joined by another one of the same storage: each would take a thread or a connection. */
  async #probe(config: Config, command: { writes: boolean } | undefined): Promise<void> {
    const text = JSON.stringify(config.storage)
    const underWay = () => (this.#probing?.text === text ? this.#probing : undefined)
    if (command === undefined) return await this.#outcome(underWay() ?? this.#begin(config, text))
    // One under way may have looked before the command came, and does not test what it asks for.
    for (let other = underWay(); other !== undefined; other = underWay()) {
      const { ended } = other
      await this.#outcome(other).catch(async (error: unknown) => {
        if (underWay()?.ended === ended) throw error
      })
    }
    if (command.writes) this.#writtenAt = 0
    await this.#outcome(this.#begin(config, text))
  }

  async #outcome(probe: Probe): Promise<void> {
    const { probeMs = PROBE_TIMEOUT_MS } = this.#options
    const millis = probe.late ? Math.min(probeMs, STILL_HANGS_MS) : probeMs
    await inTime(probe.ended, millis, () => {
      probe.late = true
      const text = `the storage has not answered within ${probeMs / 1000} s`
      const hint = 'is its server or mount well, and does no firewall or proxy swallow what is sent?'
      const error = new PbmError('STORAGE_PROBE', text, { hint })
      probe.over.abort(error)
      return error
    })
  }

  #begin(config: Config, text: string): Probe {
    this.#probing?.over.abort()
    const over = new AbortController()
    const ended = this.#look(config, text, over.signal).finally(() => {
      if (this.#probing === probe) this.#probing = undefined
    })
    const probe: Probe = { text, ended, over, late: false }
    this.#probing = probe
    return probe
  }

  async #look(config: Config, text: string, over: AbortSignal): Promise<void> {
    const { host, node, signal, warn, see, isUsed } = this.#options
    const call = { signal: AbortSignal.any([signal, over]) }
    if (this.#store === undefined || text !== this.#storageText) {
      void this.close()
      const mustExist = await isUsed(config.storage)
      const store = await openStore(host, config.storage, { ...call, warn, node }, { retryMs: 0, mustExist })
      if (over.aborted) {
        store.close().catch(() => undefined)
        // Whoever waits must not take it for well: nothing was looked at.
        throw over.reason
      }
      this.#store = store
      this.#storageText = text
    }
    const { id, at, fault } = await see(this.#store, config.storage, call)
    const isSame = id === this.#place.id
    if (!isSame) this.#writtenAt = 0
    const { opid } = this.#place
    this.#place = {
      ...{ at, ...(id !== undefined && { id }), ...(fault !== undefined && { other: true }) },
      ...(isSame && opid !== undefined && { opid }),
    }
    if (fault !== undefined) throw fault
    // One without an identity is written to by the first backup or resync.
    if (id === undefined || this.#clock.now() - this.#writtenAt < WRITE_MS) return
    // Where testing leaves an object that may have to stay, only a command asks for it again.
    const isWriteOnce = (await testWriting(this.#store, identityObject(id), call)) === 'write once'
    this.#writtenAt = isWriteOnce ? Number.POSITIVE_INFINITY : this.#clock.now()
  }
}

function isOther(error: unknown): boolean {
  return error instanceof PbmError && error.code === 'STORAGE_CHANGED'
}
