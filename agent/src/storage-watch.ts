import {
  type Config,
  errorText,
  type ObjectStore,
  openStore,
  type PluginHost,
  probeStorage,
  type SubsystemStatus,
} from '@pbmkit/core'
import type { KeyWatch } from './key-watch.js'

/** Seconds between looks at a storage that is well; one that is not is looked at with every status (PBM: control-plane.md §6). */
const PROBE_MILLIS = 15_000
/** A look that hangs tells as much as one that fails. */
const PROBE_TIMEOUT_MILLIS = 20_000

export interface StorageWatchOptions {
  readonly host: PluginHost
  readonly node: string
  readonly signal: AbortSignal
  readonly keys: KeyWatch
  readonly warn: (message: string) => void
}

/** Keeps an eye on the configured storage and the plugins that the configuration needs. */
export class StorageWatch {
  readonly #options: StorageWatchOptions
  #store: ObjectStore | undefined
  #storageText = ''
  #probedConfig = ''
  #probedAt = 0
  #status: SubsystemStatus = { ok: false, e: 'not looked at yet' }

  constructor(options: StorageWatchOptions) {
    this.#options = options
  }

  /** What the agent's status says of the storage. Never rejects. */
  async check(config: Config | undefined): Promise<SubsystemStatus> {
    if (config === undefined) {
      this.#status = { ok: false, e: 'no configuration is set: pbm config --file pbm-config.yaml' }
      return this.#status
    }
    const { storage, backup, pitr, encryption } = config
    const text = JSON.stringify([storage, backup?.compression, pitr?.compression, encryption])
    const fresh = Date.now() - this.#probedAt < PROBE_MILLIS
    if (this.#status.ok && fresh && text === this.#probedConfig) return this.#status
    this.#probedConfig = text
    this.#probedAt = Date.now()
    try {
      await this.#options.host.check(config)
      await this.#probe(config)
      // Better known now than at the next backup.
      await this.#options.keys.require(encryption)
      this.#status = { ok: true, e: '' }
    } catch (error) {
      this.#status = { ok: false, e: errorText(error) }
      await this.close()
    }
    return this.#status
  }

  async close(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    this.#storageText = ''
    await store?.close().catch(() => undefined)
  }

  async #probe(config: Config): Promise<void> {
    const text = JSON.stringify(config.storage)
    const { host, node, signal, warn } = this.#options
    if (this.#store === undefined || text !== this.#storageText) {
      await this.close()
      this.#store = await openStore(host, config.storage, { signal, warn, node }, { retryMillis: 0 })
      this.#storageText = text
    }
    // A storage never initialised is no fault: the first backup or resync does that.
    await probeStorage(this.#store, { signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MILLIS)]) })
  }
}
