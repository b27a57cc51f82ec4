import type { MongoClient } from 'mongodb'
import { listLocks } from '../../control/locks.js'
import { findPlans, notePlan } from '../../control/operations.js'
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

/** How long an agent of each replica set is given to begin. */
const BEGIN_MS = 45_000

/** Of a look, which has no record: in the notes of the operation, `opid`. Reading rejects with REPLSET_LOST and REPLSET_FAILED. */
export function notesBoard(
  { leader, replsets, clock, signal }: Omit<PartsWait, 'name'>,
  rs: string,
  opid: string,
): PartsBoard {
  const begun = clock.now()
  const look = async () => {
    const [locks, notes] = await Promise.all([listLocks(leader, { opid }), findPlans(leader, opid)])
    for (const name of replsets) {
      const note = notes.get(name)
      if (note?.error !== undefined) throw new PbmError('REPLSET_FAILED', `replica set ${name}: ${note.error}`)
      if (note?.chosen !== undefined || locks.some(({ replset }) => replset === name)) continue
      if (note === undefined && clock.now() - begun < BEGIN_MS) continue
      const what = note === undefined ? 'has taken part' : 'goes on'
      throw new PbmError('REPLSET_LOST', `replica set ${name} is lost: none of its agents ${what}`)
    }
    const parts = replsets.flatMap((name) => {
      const chosen = notes.get(name)?.chosen
      return chosen === undefined ? [] : [{ name, chosen }]
    })
    return parts.length === replsets.length ? parts : undefined
  }
  return {
    write: (chosen) => notePlan(leader, { opid, replset: rs }, { chosen }),
    read: () => until(look, { clock, signal, everyMs: POLL_MS }),
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
