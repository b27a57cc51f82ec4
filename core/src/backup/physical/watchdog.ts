import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { MongoClient } from 'mongodb'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { neededEnvironment } from '../../plugin-host/needed-environment.js'
import { endForgottenLock } from '../../recovery/forgotten-lock.js'
import { inTime } from '../../time/deadline.js'
import { BEAT_MS, type WatchdogOrder, type WatchdogWord } from './watchdog-words.js'

const PROGRAM = fileURLToPath(new URL('./watchdog-process.js', import.meta.url))
const READY_MS = 30_000
/** How long a lock that is to end may take to be ended. */
const RELEASE_MS = 15_000

export interface WatchdogOptions {
  readonly node: MongoClient
  /** Of that mongod, with the credentials. */
  readonly uri: string
  readonly dbPath: string
  /** Milliseconds; undefined for no limit. */
  readonly maxLockMs: number | undefined
  readonly log: OperationLog
  readonly signal: AbortSignal
  /** Somebody else copies the files, for as long as that takes. Default false. */
  readonly isLong?: boolean
}

/**
 * Runs `work` while the mongod is locked, by a process of its own that unlocks it whatever becomes of this one. `work` is
 * given a signal that aborts when the lock is lost. Rejects where it was lost before `work` had ended: what it has copied is
 * no backup then. Resolves with how long it was locked (milliseconds).
 *
 * Throws LOCK_EXPIRED, LOCKED_BY_OTHERS, PHYSICAL_UNFIT, and what `work` rejects with.
 */
export async function whileLocked(
  options: WatchdogOptions,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const { signal, uri, dbPath, maxLockMs } = options
  if (await endForgottenLock(options, dbPath)) {
    throw new PbmError('LOCKED_BEFORE', 'a lock that an earlier backup has asked for may still be granted', {
      hint: 'Is a transaction open on this member for long? Try again when it has ended',
    })
  }
  signal.throwIfAborted()
  const watchdog = new Watchdog(options)
  try {
    watchdog.order({ kind: 'open', uri, dbPath, maxLockMs })
    const late = () => new PbmError('WATCHDOG_LOST', 'the process that watches over the lock does not start')
    await inTime(watchdog.word('ready'), READY_MS, late)
    signal.throwIfAborted()
    watchdog.order({ kind: 'lock' })
    await watchdog.word('locked')
    await work(AbortSignal.any([signal, watchdog.lost]))
  } catch (error) {
    await watchdog.end().catch((fault: unknown) => {
      if (fault !== watchdog.lost.reason) options.log.warning(errorText(fault))
    })
    throw watchdog.lost.aborted ? watchdog.lost.reason : error
  }
  return await watchdog.end()
}

class Watchdog {
  readonly #options: WatchdogOptions
  readonly #child: ChildProcess
  readonly #lost = new AbortController()
  readonly #met = new Map<WatchdogWord['kind'], WatchdogWord>()
  readonly #waiting = new Map<WatchdogWord['kind'], (word: WatchdogWord) => void>()
  readonly #exited: Promise<void>
  readonly #beat: NodeJS.Timeout
  #isEnding = false

  constructor(options: WatchdogOptions) {
    this.#options = options
    const env = neededEnvironment(process.env)
    // A group of its own: who kills that of the agent does not kill it, too.
    this.#child = fork(PROGRAM, [], { stdio: 'ignore', execArgv: [], env, detached: true })
    this.#child.on('message', (word: WatchdogWord) => this.#hear(word))
    this.#exited = new Promise((resolve) => {
      const gone = (): void => {
        this.#lose(new PbmError('WATCHDOG_LOST', 'the process that watches over the lock has ended'))
        resolve()
      }
      // What it has said may be read after that it has ended.
      const exited = (): void => void (this.#child.connected ? this.#child.once('disconnect', gone) : gone())
      this.#child.once('exit', exited).once('error', gone)
    })
    this.#beat = setInterval(() => this.order({ kind: 'beat' }), BEAT_MS)
  }

  /** Aborted as soon as the lock may be none any more. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  order(order: WatchdogOrder): void {
    if (this.#child.connected) this.#child.send(order, () => undefined)
  }

  async word<Kind extends WatchdogWord['kind']>(kind: Kind): Promise<WatchdogWord> {
    const { signal } = this.#options
    const stop = AbortSignal.any([signal, this.lost])
    return await new Promise((resolve, reject) => {
      const known = this.#met.get(kind)
      if (known !== undefined) return resolve(known)
      if (stop.aborted) return reject(stop.reason)
      stop.addEventListener('abort', () => reject(stop.reason), { once: true })
      this.#waiting.set(kind, resolve)
    })
  }

  /** Resolves when nothing is locked any more, with how long it was. Rejects where the lock was lost before. */
  async end(): Promise<number> {
    const released = new Promise<WatchdogWord>((resolve) => {
      const known = this.#met.get('released')
      if (known === undefined) this.#waiting.set('released', resolve)
      else resolve(known)
    })
    this.#isEnding = true
    this.order({ kind: 'release' })
    try {
      const late = () => new Error('no answer')
      await inTime(Promise.race([released, this.#exited]), RELEASE_MS, late)
      const word = this.#met.get('released')
      if (word?.kind === 'released') {
        if (word.fault === undefined) return word.lockedMs
        // It goes on alone until the server has granted what was asked for.
        this.#child.unref()
        this.#child.channel?.unref()
        throw this.#expired(word.fault)
      }
    } catch (error) {
      if (error instanceof PbmError) throw error
      // Suspended, say: then it must not go on later.
      this.#child.kill('SIGKILL')
    } finally {
      clearInterval(this.#beat)
    }
    await this.#exited
    const { node, log, dbPath } = this.#options
    await endForgottenLock({ node, log }, dbPath)
    throw this.lost.aborted ? this.lost.reason : new PbmError('WATCHDOG_LOST', 'the lock ended by itself')
  }

  #hear(word: WatchdogWord): void {
    this.#met.set(word.kind, word)
    this.#waiting.get(word.kind)?.(word)
    if (word.kind === 'failed') this.#lose(new PbmError(word.code, word.error))
    if (word.kind === 'released' && word.fault !== undefined) this.#lose(this.#expired(word.fault))
  }

  #lose(reason: PbmError): void {
    if (!this.#isEnding || this.#met.get('released') === undefined) this.#lost.abort(reason)
  }

  #expired(fault: string): PbmError {
    return new PbmError('LOCK_EXPIRED', `the lock was ended before everything was copied: ${fault}`, {
      hint:
        this.#options.isLong === true
          ? 'What was copied is no backup. See backup.physical.maxExternalLockSeconds'
          : 'See backup.physical.maxLockSeconds and allowLongLock; on a primary a transaction that stays open holds a lock up',
    })
  }
}
