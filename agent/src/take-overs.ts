import {
  type CarryOutContext,
  carryOut,
  type EndedTakeOver,
  errorText,
  JournalFile,
  type OperationLog,
  PluginHost,
  parseUri,
  recordTakeOver,
  systemClock,
  type TakeOverJournal,
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

/** What a restore writes down before its server ends. */
export function takeOverFile({ mongodbUri, stateFolder }: Settings): JournalFile {
  // What tells the servers of a machine apart.
  return new JournalFile(stateFolder, parseUri(mongodbUri).hosts.join(','))
}

/** What physical restores do while the mongod beside this agent is down, or is another one. */
export class TakeOvers {
  readonly #options: TakeOversOptions
  #ended: EndedTakeOver | undefined

  constructor(options: TakeOversOptions) {
    this.#options = options
  }

  /**
   * Before anything else: an agent that was killed in the middle has left a mongod that does not run. What it does depends on
   * what the others have done meanwhile. False where the agent is to end.
   */
  async recover(): Promise<boolean> {
    const journal = await takeOverFile(this.#options.settings).read()
    if (journal === undefined) return true
    this.#log().warning(`restore ${journal.record.name} was broken off here in phase ${journal.phase}`)
    return await this.#carryOut(journal, { isResumed: true })
  }

  /**
   * False where the agent is to end until somebody has copied files, and then to begin again.
   *
   * @param letGo ends what is done in the database that is there now
   */
  async carryOut({ planned }: HandedOver, letGo: () => Promise<void>): Promise<boolean> {
    const { journal, lock } = planned
    const goesOn = await this.#carryOut(journal, {
      letGo: async () => {
        await lock?.leave()
        await letGo()
      },
    })
    if (goesOn) this.#options.signal.throwIfAborted()
    return goesOn
  }

  async #carryOut(journal: TakeOverJournal, how: Pick<CarryOutContext, 'isResumed' | 'letGo'>): Promise<boolean> {
    const { settings } = this.#options
    const { mongodbUri: uri, mongodStart: startCommand, pluginDir, localAccess } = settings
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir, localAccess })
    const log = this.#log()
    const { party: self, config, record } = journal
    // Not ended by a signal: a mongod that is down has to come up again first.
    const signal = new AbortController().signal
    const context = {
      uri,
      startCommand,
      file: takeOverFile(settings),
      log,
      clock: systemClock,
      signal,
      ending: this.#options.signal,
    }
    const outcome = await withStore({ leader: undefined, host, self, config, log, signal }, (store) =>
      carryOut(journal, { ...context, ...how, store }),
    )
    const { status, error } = outcome
    if (status === 'copyReady') return false
    if (self.isCoordinator && self.rs === self.leading)
      this.#ended = { record, status, ...(error === undefined ? {} : { error }) }
    return true
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
