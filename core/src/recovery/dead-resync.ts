import { type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import type { CommandDocument } from '../control/command-document.js'
import { noteDeadResync, takeDeadResync } from '../control/commands.js'
import type { LockDocument } from '../control/locks.js'
import { hasOperation } from '../control/operations.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { secondsOf } from '../mongo/cluster-time.js'
import { isResync } from '../protocol/lock-wait.js'
import type { Clock } from '../time/clock.js'

/** How often it is looked for one without a cause, for an agent that stood still while the lock of one came and went. */
const LOOK_MS = 300_000

/** A heartbeat is written every 5 s, and a lock without one for 30 s removed by whoever comes first. */
const SILENT_SECONDS = 20

/** Until one that could not begin is tried again: twice as long each time, for what keeps it may not end by itself. */
const AGAIN_MS = 10_000
const LONGEST_AGAIN_MS = 600_000

export interface DeadResyncOptions {
  readonly leader: MongoClient
  /** Name of the leader replica set. */
  readonly leaderReplset: string
  readonly clock: Clock
  readonly logOf: (opid: string) => OperationLog
  /** Carries a command out; resolves when it has ended, however. */
  readonly carryOut: (command: CommandDocument) => Promise<void>
}

/**
 * Has a resync repeated whose agent died: each once, for somebody asked for it; what an agent began by itself, or repeats,
 * has no command. So one that would kill every agent does not.
 *
 * Before a resync counts as dead its lock is there for longer than the leader's agent takes from look to look. So without
 * having seen one, it asks nothing.
 */
export class DeadResync {
  readonly #options: DeadResyncOptions
  /** Whoever takes the lead doesn't know what was before. */
  #due = true
  #next = 0
  #notBefore = 0
  #pause = AGAIN_MS
  #repeating: Promise<void> | undefined
  /** Ids of those whose heartbeats had ceased at the last look. */
  #silent: string[] = []

  constructor(options: DeadResyncOptions) {
    this.#options = options
  }

  get isRepeating(): boolean {
    return this.#repeating !== undefined
  }

  /** While another agent leads. */
  forget(): void {
    this.#due = true
    this.#silent = []
  }

  /** What the leader's agent does after each look at the `locks` of operations, `now` being cluster time. */
  async look({ locks, now }: { readonly locks: readonly LockDocument[]; readonly now: Timestamp }): Promise<void> {
    const { leader, clock, logOf } = this.#options
    // An agent of PBM that removes a dead one's lock leaves no note.
    const gone = this.#silent.filter((opid) => locks.every((lock) => lock.opid !== opid))
    for (const opid of gone) await noteDeadResync(leader, opid)
    this.#silent = locks.filter((lock) => isResync(lock) && isSilent(lock, now)).flatMap(({ opid }) => opid ?? [])
    if (gone.length > 0 || locks.some(isResync) || clock.now() >= this.#next) this.#due = true
    // Beside another operation it would be refused.
    if (!this.#due || locks.length > 0 || this.isRepeating || clock.now() < this.#notBefore) return
    const died = await takeDeadResync(leader)
    if (died === undefined) {
      this.#due = false
      this.#next = clock.now() + LOOK_MS
      return
    }
    const log = logOf(died._id.toHexString())
    log.info('the agent that read the storage died: it is read again')
    this.#repeating = this.#repeat(died)
      .catch((error: unknown) => log.warning(`it is not known whether the storage was read: ${errorText(error)}`))
      .finally(() => {
        this.#repeating = undefined
      })
  }

  async #repeat(died: CommandDocument): Promise<void> {
    const { leader, leaderReplset, clock, carryOut } = this.#options
    const again = { ...died, _id: new ObjectId() }
    await carryOut(again)
    if (await hasOperation(leader, again._id.toHexString(), leaderReplset)) {
      this.#pause = AGAIN_MS
      return
    }
    // Another operation was faster: what was not begun stays to be done.
    this.#notBefore = clock.now() + this.#pause
    this.#pause = Math.min(LONGEST_AGAIN_MS, 2 * this.#pause)
    await noteDeadResync(leader, died._id.toHexString())
  }
}

function isSilent({ hb }: LockDocument, now: Timestamp): boolean {
  return secondsOf(now) - secondsOf(hb) > SILENT_SECONDS
}
