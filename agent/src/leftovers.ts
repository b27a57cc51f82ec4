import {
  type BackupDocument,
  type Clock,
  deleteFailedBackup,
  errorText,
  isSafeBackupName,
  listBackups,
  listLocks,
  neverWasDone,
  type ObjectStore,
  type OperationLog,
  profileOf,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

const SWEEP_MILLIS = 10_000

export interface LeftoversOptions {
  readonly leader: MongoClient
  readonly clock: Clock
  readonly log: OperationLog
  /** The storage that holds the backup. */
  readonly openStore: (backup: BackupDocument) => Promise<ObjectStore>
}

/**
 * Deletes what failed backups left on the storage because nobody could delete it at the time: the agent that should have
 * died too, or the storage was away. Each failed backup is looked at until nothing of it is left, then never again.
 */
export class Leftovers {
  readonly #options: LeftoversOptions
  readonly #clean = new Set<string>()
  #next = 0
  #told = ''

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** At most every 10 s, however often it is called. Rejects only when the control collections can't be read. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { leader, log, clock } = this.#options
    if (clock.now() < this.#next) return
    this.#next = clock.now() + SWEEP_MILLIS
    const [failed, locks] = await Promise.all([
      listBackups(leader, { status: ['error', 'canceled'] }),
      listLocks(leader),
    ])
    // A resync takes whole backups for what they are; one of them must not go meanwhile.
    if (locks.some(({ type }) => type === 'resync')) return
    const atWork = new Set(locks.map(({ opid }) => opid))
    const left = failed.filter(
      (backup) => !this.#clean.has(backup.name) && !atWork.has(backup.opid) && isLeftover(backup),
    )
    const faults: string[] = []
    for (const [, backups] of Map.groupBy(left, profileOf)) {
      await this.#delete(backups, signal).catch((error: unknown) => faults.push(errorText(error)))
    }
    const text = faults.join('; ')
    if (text !== this.#told && text !== '') {
      log.warning(`cannot look for what failed backups left on the storage: ${text}`)
    }
    this.#told = text
  }

  /** Backups on one storage. */
  async #delete(backups: readonly BackupDocument[], signal: AbortSignal): Promise<void> {
    const [first] = backups
    if (first === undefined) return
    const store = await this.#options.openStore(first)
    try {
      for (const backup of backups) {
        const objects = await deleteFailedBackup(store, backup, { signal })
        if (objects > 0) this.#options.log.info(`deleted ${objects} objects of failed backup ${backup.name}`)
        this.#clean.add(backup.name)
      }
    } finally {
      await store.close().catch(() => undefined)
    }
  }
}

/** One that was done once and is marked now (damaged, its deletion interrupted) is for a person to delete. */
function isLeftover(backup: BackupDocument): boolean {
  return backup.type === 'logical' && isSafeBackupName(backup.name) && neverWasDone(backup)
}
