import type { MongoClient } from 'mongodb'
import { requireKnownStorage } from '../catalog/known-storage.js'
import type { Config } from '../config/document.js'
import { acknowledgePitr, reportPitrReplset } from '../control/pitr.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { writtenByNow } from '../mongo/causal.js'
import type { Member } from '../mongo/topology.js'
import { lastWriteAfter } from '../oplog/reading/last-write-after.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { acquireLock, type HeldLock, isHeld } from '../protocol/lock.js'
import type { WithPrimary } from '../protocol/tokens.js'
import { recoverChunks, requireLastChunk } from '../recovery/recover-chunks.js'
import type { Clock } from '../time/clock.js'
import { type Gap, timeText } from './catch-up.js'
import { slicerSettings } from './settings.js'
import type { Slicer, SlicerState } from './slicer.js'
import { startingPoint } from './starting-point.js'

export interface SlicingJobOptions {
  readonly leader: MongoClient
  readonly node: MongoClient
  readonly withPrimary: WithPrimary
  readonly self: Member
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: OperationLog
  readonly config: Config
  readonly openStore: () => Promise<ObjectStore>
  /** The pipeline, made for this storage. */
  readonly makeSlicer: (store: ObjectStore) => Slicer
  /** Each time that storing fails. */
  readonly onFailing: () => void
}

/** How long work that was told to stop at once may take to let go: a read from a server that hangs never does. */
const LET_GO_MS = 5_000

/** How long a last chunk that nobody goes on from waits for a member that is behind. */
const CATCH_UP_MS = 30_000

export interface FinishOptions {
  /** How long a last chunk may take. */
  readonly patienceMs: number
  /** Nobody goes on: it is to have all that was acknowledged until now, also where this member is behind. */
  readonly isEnd?: boolean
}

/**
 * One agent's turn at storing the oplog: take the lock and say so, find where to begin, follow until told to stop, release
 * the lock. Whatever ends it, the next turn goes on from the last listed chunk.
 */
export class SlicingJob {
  readonly config: Config
  /** Resolves when the lock is released. */
  readonly ended: Promise<void>
  readonly #options: SlicingJobOptions
  readonly #finish = new AbortController()
  readonly #abort = new AbortController()
  #slicer: Slicer | undefined
  #isFailing = false
  #isEnd = false
  #settingsText: string

  constructor(options: SlicingJobOptions) {
    this.#options = options
    this.config = options.config
    this.#settingsText = settingsText(options.config)
    this.ended = this.#run().catch((error: unknown) => options.log.error(errorText(error)))
  }

  get isEnding(): boolean {
    return this.#finish.signal.aborted || this.#abort.signal.aborted
  }

  /** Storing fails at the moment, and is tried again and again. */
  get isFailing(): boolean {
    return this.#isFailing
  }

  /** Ends with a last chunk up to now; at once when that takes too long. */
  finish(why: string, { patienceMs, isEnd = false }: FinishOptions): void {
    if (this.isEnding) return
    this.#isEnd = isEnd
    this.#options.log.info(`stops storing the oplog: ${why}`)
    this.#finish.abort()
    const late = new PbmError('SLICER_STOPPED', `the last chunk was not stored in time: ${why}`)
    const timer = setTimeout(() => this.#abort.abort(late), patienceMs)
    timer.unref()
    void this.ended.then(() => clearTimeout(timer))
  }

  /** Ends without a last chunk. */
  abort(why: string): void {
    if (this.#abort.signal.aborted) return
    this.#options.log.info(`stops storing the oplog: ${why}`)
    this.#abort.abort(new PbmError('SLICER_STOPPED', why))
  }

  /** Takes over a changed span or compression. */
  async change(config: Config): Promise<void> {
    const text = settingsText(config)
    if (text === this.#settingsText) return
    this.#slicer?.change(await slicerSettings(config, this.#options.host))
    this.#settingsText = text
  }

  async #run(): Promise<void> {
    const { leader, self, clock, log, config } = this.#options
    const header = { type: 'pitr' as const, replset: self.rs, node: self.node, epoch: config.epoch }
    const lock = await acquireLock({ leader, header, clock, log, onStale: async () => undefined })
    if (!isHeld(lock)) {
      log.debug(`another member of ${self.rs} stores the oplog: ${lock.by?.node ?? lock.refused}`)
      return
    }
    const letGo = new Promise<void>((resolve) => {
      const later = () => setTimeout(resolve, LET_GO_MS).unref()
      for (const signal of [this.#abort.signal, lock.signal]) {
        if (signal.aborted) later()
        else signal.addEventListener('abort', later, { once: true })
      }
    })
    try {
      await acknowledgePitr(leader, self.rs, self.node)
      await Promise.race([this.#work(lock), letGo])
    } catch (error) {
      if (!this.#abort.signal.aborted) await this.#fail(error)
    } finally {
      await lock.release()
    }
  }

  async #work(lock: HeldLock): Promise<void> {
    const { leader, node, self, host, log, config, openStore, makeSlicer } = this.#options
    const { rs } = self
    const signal = AbortSignal.any([this.#abort.signal, lock.signal])
    const point = await startingPoint({ leader, node, rs, config, host })
    if ('waits' in point) throw new PbmError('SLICER_WAITS', point.reason)
    const settings = await slicerSettings(config, host)
    const store = await openStore()
    try {
      if (point.gap !== undefined) log.warning(gapText(rs, point.gap))
      const requirePlace = () => requireKnownStorage(store, { leader, host, storage: config.storage }, { signal })
      await requirePlace()
      const recovering = { leader, store, host, rs, log, signal }
      if (point.after === 'chunk') await requireLastChunk(recovering)
      const start = await recoverChunks({ ...recovering, start: point.start })
      const slicer = makeSlicer(store)
      this.#slicer = slicer
      const onState = (state: SlicerState) => this.#report(state)
      const beforeLast = () => this.#catchUp(signal)
      await slicer.run({
        start,
        settings,
        lock,
        signal,
        finish: this.#finish.signal,
        requirePlace,
        beforeLast,
        onState,
      })
    } finally {
      await store.close().catch(() => undefined)
    }
  }

  async #catchUp(stopped: AbortSignal): Promise<void> {
    const { withPrimary, node, self, clock, log } = this.#options
    if (!this.#isEnd) return
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(CATCH_UP_MS)])
    try {
      await lastWriteAfter(node, await withPrimary(writtenByNow), { member: self.node, clock, signal, log })
    } catch (error) {
      if (!stopped.aborted) log.warning(`the last chunk may lack what was written last: ${errorText(error)}`)
    }
  }

  async #report({ stored, error }: SlicerState): Promise<void> {
    const { leader, self, log } = this.#options
    this.#isFailing = error !== undefined
    if (this.#isFailing) this.#options.onFailing()
    const told = error === undefined ? {} : { error }
    await reportPitrReplset(
      leader,
      { name: self.rs, node: self.node, status: 'running', ...told, stored },
      'running',
    ).catch((cause: unknown) => log.debug(`the state of slicing can't be told: ${errorText(cause)}`))
  }

  /** Told to the cluster leader, too: PBM's begins anew then. */
  async #fail(cause: unknown): Promise<void> {
    const { leader, self, log } = this.#options
    const error = `storing the oplog ended: ${errorText(cause)}`
    log.error(error)
    const entry = { name: self.rs, node: self.node, status: 'error' as const, error }
    await reportPitrReplset(leader, entry, 'running').catch(() => false)
  }
}

export function gapText(rs: string, { from, to }: Gap): string {
  const until = to === undefined ? 'on' : `to ${timeText(to)}`
  return `gap in the stored oplog of ${rs}, from ${timeText(from)} ${until}: no time in it can be restored to`
}

function settingsText({ pitr, backup }: Config): string {
  const { oplogSpanMin, compression, compressionLevel } = pitr ?? {}
  return JSON.stringify([oplogSpanMin, compression, compressionLevel, backup?.compression, backup?.compressionLevel])
}
