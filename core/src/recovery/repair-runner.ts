import type { Timestamp } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import type { LockDocument } from '../control/locks.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Clock } from '../time/clock.js'

/** What the control collections say at one moment. */
export interface OperationsSnapshot {
  now: Timestamp
  locks: readonly LockDocument[]
  backups: readonly BackupDocument[]
  restores: readonly RestoreDocument[]
}

/** Something that is put right after deaths, by the agent that leads the cluster. */
export interface Repair {
  /** For messages: `<name> failed and is tried again`. */
  readonly name: string
  /** How often at most (milliseconds); 0 for each time that dead operations are looked for. */
  readonly everyMs: number
  /** `met`: what that look has met. Rejects where it has to be tried again. */
  run(met: OperationsSnapshot, signal: AbortSignal): Promise<unknown>
  /** Called instead while another agent leads. */
  forget?(): void
}

/** Runs what is due. Each by itself: one that fails must not keep the others from being done. */
export class Repairs {
  readonly #repairs: readonly Repair[]
  readonly #clock: Clock
  readonly #log: OperationLog
  readonly #due = new Map<Repair, number>()

  constructor(repairs: readonly Repair[], { clock, log }: { clock: Clock; log: OperationLog }) {
    this.#repairs = repairs
    this.#clock = clock
    this.#log = log
  }

  async run(met: OperationsSnapshot, signal: AbortSignal): Promise<void> {
    for (const repair of this.#repairs) {
      const now = this.#clock.now()
      if (now < (this.#due.get(repair) ?? now)) continue
      this.#due.set(repair, now + repair.everyMs)
      await repair.run(met, signal).catch((error: unknown) => {
        this.#log.warning(`${repair.name} failed and is tried again: ${errorText(error)}`)
      })
    }
  }

  forget(): void {
    for (const repair of this.#repairs) repair.forget?.()
  }
}
