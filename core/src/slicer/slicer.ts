import type { MongoClient, Timestamp } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import { storeChecksum } from '../catalog/chunk-checksums.js'
import { listSlicerLocks } from '../control/locks.js'
import { insertChunk } from '../control/pitr-chunks.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Member } from '../mongo/topology.js'
import { chunkEnd } from '../oplog/reading/chunk-end.js'
import { majorityLastWrite } from '../oplog/reading/window.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { HeldLock } from '../protocol/lock.js'
import { CLOCK, LEADER, NODE, OPERATION_LOG, SELF, STORE } from '../protocol/tokens.js'
import { deleteStrays } from '../recovery/recover-chunks.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'
import { timeText } from './catch-up.js'
import { type ChunkMethod, type StoredChunk, storeChunk } from './chunk.js'

export interface SlicerSettings {
  /** Seconds between two chunks. */
  readonly spanSeconds: number
  readonly method: ChunkMethod
}

export interface SlicerRun {
  /** Inclusive. */
  readonly start: Timestamp
  readonly settings: SlicerSettings
  readonly lock: HeldLock
  /** Stops at once, in the middle of a chunk; nothing of it stays. The lock's own signal does the same. */
  readonly signal: AbortSignal
  /** Ends slicing well: with a last chunk up to now. */
  readonly finish: AbortSignal
  /** Before and after a chunk is stored: rejects where the storage is not the one that the cluster has used. */
  readonly requirePlace: () => Promise<void>
  /** Before the last chunk: may wait until this member has what belongs into it. Must not reject. */
  readonly beforeLast?: (() => Promise<void>) | undefined
  /** Told each time a chunk is stored, and when storing fails (with the reason) or works again. Must not reject. */
  readonly onState?: ((state: SlicerState) => Promise<void>) | undefined
}

export interface SlicerState {
  /** The last entry that is stored. */
  readonly stored: Timestamp
  /** Why storing fails at the moment. */
  readonly error?: string
}

/** What PBM's `status` looks for in the log: the errors before it are over (PBM: control-plane.md §6). */
export const START_MESSAGE = 'start_ok'

/** What trying again cannot mend. */
const FINAL = new Set(['OPLOG_ROLLED_OVER', 'LOCK_LOST'])
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** How long the slicer before, cut off from the cluster, may take to end a chunk that it was storing. */
const STRAYS_MS = 10 * 60_000

/**
 * Follows the oplog of one replica set and stores it chunk by chunk: wait for a span, read up to the last majority
 * write, compress, store, list. It never loses its position: what fails is tried again from the same start. Rejects with
 * OPLOG_ROLLED_OVER when the server has forgotten what was not stored yet, and with the reason of the signal or lock.
 */
@injectable()
export class Slicer {
  #settings: SlicerSettings | undefined
  #wake = new AbortController()

  readonly #context

  constructor(
    @inject(NODE) node: MongoClient,
    @inject(LEADER) leader: MongoClient,
    @inject(SELF) self: Member,
    @inject(STORE) store: ObjectStore,
    @inject(OPERATION_LOG) log: OperationLog,
    @inject(CLOCK) clock: Clock,
  ) {
    this.#context = { node, leader, self, store, log, clock }
  }

  /** Takes effect with the next chunk; a shorter span, at once. */
  change(settings: SlicerSettings): void {
    this.#settings = settings
    this.#wake.abort()
  }

  async run({ start, settings, lock, signal, finish, requirePlace, beforeLast, onState }: SlicerRun): Promise<void> {
    const { log, clock } = this.#context
    const stopped = AbortSignal.any([signal, lock.signal])
    this.#settings = settings
    let position = start
    log.info(`storing the oplog from ${timeText(start)}`)
    log.debug(START_MESSAGE)
    await onState?.({ stored: position })
    const straysUntil = clock.now() + STRAYS_MS
    let [due, failures, isLast] = [clock.now() + (await this.#firstWait(position)), 0, false]
    for (;;) {
      await this.#tick(due, failures, stopped, finish)
      if (finish.aborted && !isLast) await beforeLast?.()
      isLast = finish.aborted
      try {
        await this.#requireLock()
        const chunk = await this.#slice(position, { lock, requirePlace, signal: stopped })
        if (chunk !== undefined) {
          await this.#list(chunk, lock, stopped)
          position = chunk.document.end_ts
          if (clock.now() < straysUntil) await this.#clear(start, stopped)
        }
        if (failures > 0) {
          log.info('the oplog is stored again')
          log.debug(START_MESSAGE)
        }
        if (chunk !== undefined || failures > 0) await onState?.({ stored: position })
        failures = 0
        const caughtUp = chunk === undefined || !chunk.more
        if (caughtUp && isLast) return
        // In rhythm: the time that storing took does not add to the lag.
        due = Math.max(clock.now(), caughtUp ? due + this.#spanMs() : 0)
      } catch (error) {
        stopped.throwIfAborted()
        if (error instanceof PbmError && FINAL.has(error.code)) throw error
        failures++
        const text = `the oplog can't be stored: ${errorText(error)}`
        // Once as an error, which status shows until it is over; then it would only repeat itself.
        failures === 1 ? log.error(text) : log.debug(text)
        await onState?.({ stored: position, error: text })
      }
    }
  }

  /** Waits for the time of the next chunk, which a change of the span moves, or of the next attempt. */
  async #tick(due: number, failures: number, stopped: AbortSignal, finish: AbortSignal): Promise<void> {
    const { clock } = this.#context
    const spanAtFirst = this.#spanMs()
    const retry = clock.now() + retryMs(failures)
    for (;;) {
      stopped.throwIfAborted()
      if (finish.aborted && failures === 0) return
      const wait = (failures > 0 ? retry : due + this.#spanMs() - spanAtFirst) - clock.now()
      if (wait <= 0) return
      this.#wake = new AbortController()
      const waking = failures > 0 ? [] : [this.#wake.signal, finish]
      // A timer can't wait longer than 24 days.
      await clock.sleep(Math.min(wait, 86_400_000), AbortSignal.any([stopped, ...waking])).catch(() => undefined)
    }
  }

  /** What is left of a span since the last chunk: a new slicer goes on in the rhythm of the one before. */
  async #firstWait(position: Timestamp): Promise<number> {
    const last = await majorityLastWrite(this.#context.node).catch(() => position)
    return Math.max(0, this.#spanMs() - Math.max(0, last.t - position.t) * 1000)
  }

  #spanMs(): number {
    return (this.#settings?.spanSeconds ?? 0) * 1000
  }

  async #slice(
    start: Timestamp,
    { lock, requirePlace, signal }: Pick<SlicerRun, 'lock' | 'requirePlace' | 'signal'>,
  ): Promise<(StoredChunk & { more: boolean }) | undefined> {
    const { node, store, self, log } = this.#context
    const settings = this.#settings
    if (settings === undefined) throw new Error('unreachable')
    const last = await majorityLastWrite(node)
    // Not before, where this member is behind the one that stored the last chunk.
    if (last.lessThanOrEqual(start)) return undefined
    const end = await chunkEnd(node, start, last, settings.spanSeconds)
    const { method } = settings
    await requirePlace()
    const chunk = await storeChunk({
      node,
      store,
      rs: self.rs,
      start,
      end,
      method,
      assertHeld: lock.assertHeld,
      signal,
    })
    // A share may have gone meanwhile: what went elsewhere must not be listed.
    await requirePlace()
    await storeChecksum(store, chunk.document, { log, signal })
    log.info(`created chunk ${timeText(start)} to ${timeText(end)}: ${chunk.entries} entries`)
    return { ...chunk, more: last.greaterThan(end) }
  }

  /** Between two heartbeats somebody may have removed the lock, and a successor may slice already. PBM looks, too. */
  async #requireLock(): Promise<void> {
    const { rs, node } = this.#context.self
    const [held] = await listSlicerLocks(this.#context.leader, { type: 'pitr', replset: rs })
    if (held?.node === node) return
    throw new PbmError(
      'LOCK_LOST',
      `the lock of ${rs} for slicing is ${held === undefined ? 'gone' : `${held.node}'s`}`,
    )
  }

  /** What the slicer before left. The chunk is stored and listed, so a failure is none of slicing. */
  async #clear(start: Timestamp, signal: AbortSignal): Promise<void> {
    const { leader, store, log, self } = this.#context
    await deleteStrays({ leader, store, log, signal }, { rs: self.rs, start }).catch((error: unknown) => {
      signal.throwIfAborted()
      log.warning(`chunks that a slicer may have left can't be looked for: ${errorText(error)}`)
    })
  }

  /** The object is there; only its document is missing. A slicer that lost its lock leaves that to its successor. */
  async #list({ document }: StoredChunk, lock: HeldLock, stopped: AbortSignal): Promise<void> {
    const { leader, log, clock } = this.#context
    const isListed = async (attempt: number) => {
      stopped.throwIfAborted()
      lock.assertHeld()
      try {
        await this.#requireLock()
        await insertChunk(leader, document)
        return true
      } catch (error) {
        stopped.throwIfAborted()
        if (error instanceof PbmError && FINAL.has(error.code)) throw error
        if (attempt === 1) log.warning(`chunk ${document.fname} can't be listed yet: ${errorText(error)}`)
        return false
      }
    }
    await until(isListed, { clock, signal: stopped, everyMs: retryMs })
  }
}

/** The pause after so many failures in a row. */
function retryMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(16, failures - 1))
}
