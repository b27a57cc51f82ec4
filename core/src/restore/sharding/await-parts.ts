import type { MongoClient } from 'mongodb'
import type { ChosenThere, RestoreDocument, RestoreReplset } from '../../control/restore-document.js'
import { findRestore, setRestoreReplsetFields } from '../../control/restores.js'
import { PbmError } from '../../errors.js'
import type { Clock } from '../../time/clock.js'
import { until } from '../../time/until.js'

const POLL_MS = 100

export interface PartsWait {
  readonly leader: MongoClient
  /** Of the restore. */
  readonly name: string
  /** Whose parts are waited for. */
  readonly replsets: readonly string[]
  readonly clock: Clock
  /** Aborts when one of them fails. */
  readonly signal: AbortSignal
}

/** Where each replica set of a cluster writes down what it has of a selection, for all others. */
export interface PartsBoard {
  write(chosen: ChosenThere): Promise<void>
  /** Waits until all have done so. */
  read(): Promise<readonly Pick<RestoreReplset, 'name' | 'chosen'>[]>
}

/** In the record of the restore. */
export function recordBoard(wait: PartsWait, rs: string): PartsBoard {
  const { leader, name } = wait
  return {
    write: async (chosen) => void (await setRestoreReplsetFields(leader, name, rs, { chosen })),
    read: async () =>
      (await awaitParts(wait, 'lists of what is chosen', ({ chosen }) => chosen !== undefined)).replsets,
  }
}

/** Waits until each replica set has written something into its part of the record. Throws `OPERATION_GONE`. */
export async function awaitParts(
  { leader, name, replsets, clock, signal }: PartsWait,
  what: string,
  has: (part: RestoreReplset) => boolean,
): Promise<RestoreDocument> {
  const complete = async () => {
    const found = await findRestore(leader, name)
    if (found === undefined) throw new PbmError('OPERATION_GONE', `the record of restore ${name} is gone: no ${what}`)
    const ready = found.replsets.filter(has).map((part) => part.name)
    return replsets.every((replset) => ready.includes(replset)) ? found : undefined
  }
  return await until(complete, { clock, signal, everyMs: POLL_MS })
}
