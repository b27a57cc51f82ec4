import {
  type AgentKeys,
  Ciphers,
  type EncryptionConfig,
  errorText,
  inTime,
  PbmError,
  type PluginHost,
} from '@pbmkit/core'
import pLimit from 'p-limit'

/** An agent that waited for its keys longer would look dead to the others. */
const PATIENCE_MS = 10_000

export interface KeyWatchOptions {
  readonly host: PluginHost
  readonly node: string
  readonly signal: AbortSignal
  /** Default: 10 s. */
  readonly patienceMs?: number
}

/** Which keys this agent seals with, for everybody to see: a rotation asks all agents before it begins. */
export class KeyWatch {
  readonly #options: KeyWatchOptions
  #keys: AgentKeys | undefined
  #foundFor: string | undefined
  #asked: string | undefined
  /** Under way; `over` once another configuration holds. */
  #searched: { readonly text: string; readonly search: Promise<void>; readonly over: AbortController } | undefined
  /** One after the other, so that what is known is what was seen last. */
  readonly #oneByOne = pLimit(1)

  constructor(options: KeyWatchOptions) {
    this.#options = options
  }

  /** As of the last look; undefined where nothing is sealed. */
  get keys(): AgentKeys | undefined {
    return this.#keys
  }

  /**
   * Looks, unless it has found the keys of this configuration before: a command that gives them is not run every few
   * seconds. Rejects where there is no key, as {@link Ciphers.current}, and with `KEYS_LATE` while they can't be had yet.
   */
  async require(config: EncryptionConfig | undefined): Promise<void> {
    // Also where the section is gone, which has no text of its own.
    const text = JSON.stringify(config ?? null)
    if (text === this.#foundFor) return
    if (this.#searched?.text !== text) {
      // A command that hangs must not be what is said of the configuration that mended it.
      this.#searched?.over.abort()
      const over = new AbortController()
      this.#searched = { text, over, search: this.#search(config, text, over) }
    }
    const millis = this.#options.patienceMs ?? PATIENCE_MS
    await inTime(this.#searched.search, millis, () => {
      const fault = `the encryption keys could not be had within ${millis / 1000} s`
      return new PbmError('KEYS_LATE', fault, { hint: 'does the command that gives them hang?' })
    })
  }

  async #search(config: EncryptionConfig | undefined, text: string, over: AbortController): Promise<void> {
    try {
      await this.#oneByOne(() => this.#look(config, over.signal))
      this.#foundFor = text
    } finally {
      if (this.#searched?.over === over) this.#searched = undefined
    }
  }

  /** Looks anew, and notes for which command. Never rejects: what is wrong stands in {@link keys}. */
  async answer(config: EncryptionConfig | undefined, opid: string): Promise<void> {
    await this.#oneByOne(() => {
      this.#asked = opid
      return this.#look(config)
    }).catch(() => undefined)
  }

  async #look(config: EncryptionConfig | undefined, over?: AbortSignal): Promise<void> {
    // Whoever asked before is answered as well.
    const asked = this.#asked === undefined ? {} : { opid: this.#asked }
    try {
      const { host, node } = this.#options
      const signal = over === undefined ? this.#options.signal : AbortSignal.any([this.#options.signal, over])
      // Warnings are the operations' to give: this looks again and again.
      const method = await new Ciphers(host, config, { signal, warn: () => undefined, node }).current()
      this.#keys =
        method === undefined ? undefined : { method: method.name, ids: [...method.cipher.keyIds], e: '', ...asked }
    } catch (error) {
      this.#foundFor = undefined
      this.#keys = { method: config?.type ?? '', ids: [], e: errorText(error), ...asked }
      throw error
    }
  }
}
