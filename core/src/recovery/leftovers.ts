import type { MongoClient } from 'mongodb'
import { deleteFailedBackup } from '../catalog/delete-failed.js'
import type { BackupDocument } from '../control/backup-document.js'
import { neverWasDone } from '../control/backup-history.js'
import { listBackups } from '../control/backups.js'
import { listLocks } from '../control/locks.js'
import { profileOf } from '../control/profiles.js'
import { isDocument } from '../control/wire.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { printableLine } from '../secrets/printable.js'
import { isSafeBackupName } from '../store/layout/names.js'
import type { OpenStore } from '../store/open-store.js'
import type { Clock } from '../time/clock.js'

/** Characters of a record that can't be one. */
const MOST_SHOWN = 200

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
  readonly #odd = new Set<string>()
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
    const left = leftoversOf(failed, (record) => this.#tellOdd(record)).filter(
      ({ name, opid }) => !this.#clean.has(name) && !atWork.has(opid),
    )
    const faults = new Set<string>()
    for (const [, backups] of Map.groupBy(left, placeOf)) {
      await this.#delete(backups, signal).catch((error: unknown) => faults.add(errorText(error)))
    }
    const text = [...faults].join('; ')
    if (text !== this.#told && text !== '') {
      log.warning(`cannot look for what failed backups left on the storage: ${text}`)
    }
    this.#told = text
  }

  #tellOdd(record: BackupDocument): void {
    const shown = printableLine(JSON.stringify({ name: record.name, opid: record.opid }).slice(0, MOST_SHOWN))
    if (this.#odd.has(shown)) return
    this.#odd.add(shown)
    this.#options.log.warning(`passed over the record of a failed backup that does not tell what to delete: ${shown}`)
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

/**
 * Failed backups whose objects go without anybody asking: only those that began here, as this cluster's own records say.
 * What was read from a storage says what whoever can write there likes. One that was done once and is marked now (damaged,
 * its deletion interrupted) is for a person to delete. Records that can't be looked at go to `onOdd`.
 */
export function leftoversOf(
  failed: readonly BackupDocument[],
  onOdd: (record: BackupDocument) => void,
): BackupDocument[] {
  return failed.filter((backup) => {
    if (!isSound(backup)) {
      onOdd(backup)
      return false
    }
    return backup.began_here === true && OURS.has(backup.type) && neverWasDone(backup)
  })
}

/** Of which agents of ours begin some. */
const OURS: ReadonlySet<string> = new Set(['logical', 'physical', 'incremental', 'external'])

/** Whether all that deleting needs is of its type: anybody who can write to the collection may have made the record. */
function isSound({ name, opid, store, pbm_version, replsets }: BackupDocument): boolean {
  if (!isSafeBackupName(name) || typeof opid !== 'string' || typeof pbm_version !== 'string') return false
  if (!isDocument(store) || typeof store.type !== 'string') return false
  if (store.profile === true && (store.type === '' || typeof store.name !== 'string')) return false
  return replsets.every(
    ({ dump_name = '', oplog_name = '' }) => typeof dump_name === 'string' && typeof oplog_name === 'string',
  )
}

/** One text for each storage. Two records may name one profile that is gone, and only one of them a storage that opens. */
function placeOf({ store }: BackupDocument): string {
  return profileOf({ store }) === undefined ? '' : JSON.stringify(store)
}
