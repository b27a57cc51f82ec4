import type { MongoClient } from 'mongodb'
import { deleteFailedBackup } from '../catalog/delete-failed.js'
import type { BackupDocument } from '../control/backup-document.js'
import { neverWasDone } from '../control/backup-history.js'
import { listBackups } from '../control/backups.js'
import { listLocks } from '../control/locks.js'
import { profileOf } from '../control/profiles.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { isSafeBackupName } from '../store/layout/names.js'
import type { OpenStore } from '../store/open-store.js'
import type { Clock } from '../time/clock.js'

/** How long deleting may take at a time. */
const CLEAN_MS = 600_000

/** How long after a failure an agent that stood still may go on and store one more object. */
const STRAGGLER_MS = 900_000

/** Opens the storage that holds a backup. */
export type OpenStoreOf = (backup: BackupDocument) => Promise<OpenStore>

export interface LeftoversOptions {
  readonly leader: MongoClient
  readonly clock: Clock
  readonly log: OperationLog
  readonly openStore: OpenStoreOf
}

/**
 * Deletes what failed backups left on the storage because nobody could delete it at the time: the agent that should have
 * died too, the storage was away, or an agent that stood still went on later. Each failed backup is looked at until nothing
 * of it is left and it failed 15 minutes ago, then never again.
 */
export class Leftovers {
  readonly #options: LeftoversOptions
  readonly #clean = new Set<string>()
  #told = ''

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** Rejects only when the control collections can't be read. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { leader, log } = this.#options
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
    const { log } = this.#options
    await deleteFailed(this.#options.openStore, backups, signal, (backup, objects) => {
      if (objects > 0) log.info(`deleted ${objects} objects of failed backup ${backup.name}`)
      if (this.#isSettled(backup)) this.#clean.add(backup.name)
    })
  }

  #isSettled({ last_transition_ts }: BackupDocument): boolean {
    return this.#options.clock.now() - Number(last_transition_ts) * 1000 > STRAGGLER_MS
  }
}

/** Deletes the objects of failed backups that lie on one storage. */
export async function deleteFailed(
  openStore: OpenStoreOf,
  backups: readonly BackupDocument[],
  signal: AbortSignal,
  onDeleted: (backup: BackupDocument, objects: number) => void,
): Promise<void> {
  const [first] = backups
  if (first === undefined) return
  // A storage that hangs must not keep the watch from the next dead operation.
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(CLEAN_MS)])
  const store = await openStore(first)
  try {
    for (const backup of backups) onDeleted(backup, await deleteFailedBackup(store, backup, { signal: inTime }))
  } finally {
    await store.close().catch(() => undefined)
  }
}

/** One that was done once and is marked now (damaged, its deletion interrupted) is for a person to delete. */
function isLeftover(backup: BackupDocument): boolean {
  return backup.type === 'logical' && isSafeBackupName(backup.name) && neverWasDone(backup)
}
