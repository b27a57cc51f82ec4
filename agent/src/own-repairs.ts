import {
  type Clock,
  errorText,
  type Member,
  type OperationLog,
  repairPhysicalBackup,
  repairTtlMonitor,
  until,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { STATUS_MS } from './status.js'

/** How often it is looked for what a physical backup has left. */
const LOCK_POLL_MS = 500

export interface OwnRepairsOptions {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly clock: Clock
  readonly log: OperationLog
  /** Whether a backup is under way here: what it has locked is its own. */
  readonly isBackingUp: () => boolean
}

/**
 * What an agent puts right on its own mongod: left by an agent before this one that was killed, or by an operation that could
 * not do it at its end.
 */
export class OwnRepairs {
  readonly #options: OwnRepairsOptions
  readonly #running = new Map<string, Promise<void>>()

  constructor(options: OwnRepairsOptions) {
    this.#options = options
  }

  /** Resolves when nothing is left, or the signal aborts. */
  async runUntil(signal: AbortSignal): Promise<void> {
    await Promise.all([this.repairTtl(signal), this.repairPhysical(signal)])
  }

  /** A replay whose server went away at its end has left expired documents undeleted. */
  async repairTtl(signal: AbortSignal): Promise<void> {
    await this.#once('whether a replay left the TTL monitor off', STATUS_MS, signal, () =>
      repairTtlMonitor(this.#options),
    )
  }

  /** A lock, or a copy of the files. */
  async repairPhysical(signal: AbortSignal): Promise<void> {
    const { isBackingUp } = this.#options
    await this.#once('whether a physical backup left this mongod locked', LOCK_POLL_MS, signal, async () =>
      isBackingUp() ? true : await repairPhysicalBackup(this.#options),
    )
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running.values())
  }

  /** Who asks while it runs waits with it. `isLeft` rejects where it can't be seen, and is tried again. */
  async #once(what: string, everyMs: number, signal: AbortSignal, isLeft: () => Promise<boolean>): Promise<void> {
    const running = this.#running.get(what) ?? this.#run(what, everyMs, signal, isLeft)
    this.#running.set(what, running)
    await running.finally(() => this.#running.delete(what))
  }

  async #run(what: string, everyMs: number, signal: AbortSignal, isLeft: () => Promise<boolean>): Promise<void> {
    const { clock, log } = this.#options
    let told = ''
    const isRepaired = async () => {
      if (signal.aborted) return true
      try {
        return !(await isLeft())
      } catch (error) {
        const text = `cannot see ${what}: ${errorText(error)}`
        if (text !== told) log.warning(text)
        told = text
        return false
      }
    }
    await until(isRepaired, { clock, signal, everyMs }).catch(() => undefined)
  }
}
