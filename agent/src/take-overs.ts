import {
  carryOut,
  type EndedTakeOver,
  errorText,
  JournalFile,
  type OperationLog,
  PluginHost,
  parseUri,
  recordTakeOver,
  recoverTakeOver,
  systemClock,
  type TakeOverContext,
  until,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Logger } from 'pino'
import type { HandedOver } from './operations/context.js'
import type { Settings } from './settings.js'
import { withStore } from './storages.js'

export interface TakeOversOptions {
  readonly settings: Settings
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** How long writing down how a restore has ended is tried. */
const TELL_MS = 60_000
const TELL_PAUSE_MS = 500

/** What physical restores do while the mongod beside this agent is down, or is another one. */
export class TakeOvers {
  readonly #options: TakeOversOptions
  #ended: EndedTakeOver | undefined

  constructor(options: TakeOversOptions) {
    this.#options = options
  }

  /** Before anything else: an agent that was killed in the middle has left a mongod that does not run. */
  async recover(): Promise<void> {
    this.#ended = await recoverTakeOver(this.#context())
  }

  async carryOut({ planned, config }: HandedOver): Promise<void> {
    const { settings, signal } = this.#options
    const { pluginDir, localAccess } = settings
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir, localAccess })
    const log = this.#log()
    // Not ended by a signal: a mongod that is down has to come up again first.
    const unstopped = new AbortController().signal
    const outcome = await withStore(
      { leader: undefined, host, self: planned.self, config, log, signal: unstopped },
      (store) => carryOut(planned, { ...this.#context(), store, signal: unstopped }),
    )
    signal.throwIfAborted()
    if (planned.isCoordinator) this.#ended = { record: planned.journal.record, ...outcome }
  }

  /** To be called with the first connection after it. */
  async tellEnd(leader: MongoClient): Promise<void> {
    const ended = this.#ended
    this.#ended = undefined
    if (ended === undefined) return
    const log = this.#log()
    const told = async () => {
      try {
        await recordTakeOver(leader, ended)
        return true
      } catch (error) {
        log.warning(`how the restore has ended can't be written down: ${errorText(error)}`)
        return false
      }
    }
    const { signal } = this.#options
    await until(told, { clock: systemClock, signal, everyMs: TELL_PAUSE_MS, timeoutMs: TELL_MS })
  }

  #context(): TakeOverContext {
    const { settings } = this.#options
    const { mongodbUri, mongodStart, stateFolder } = settings
    // What tells the servers of a machine apart.
    const file = new JournalFile(stateFolder, parseUri(mongodbUri).hosts.join(','))
    return { uri: mongodbUri, startCommand: mongodStart, file, log: this.#log(), clock: systemClock }
  }

  /** No collection can be written meanwhile. */
  #log(): OperationLog {
    const logger = this.#options.logger.child({ event: 'restore' })
    return {
      debug: (text) => logger.debug(text),
      info: (text) => logger.info(text),
      warning: (text) => logger.warn(text),
      error: (text) => logger.error(text),
    }
  }
}
