import type { MongoClient } from 'mongodb'
import type { MergedNamespace } from '../../control/restore-document.js'
import { findRestore, setRestoreReplsetFields } from '../../control/restores.js'
import { PbmError } from '../../errors.js'

/** How many a message names; the record has more. */
const NAMED = 20
/** Told where it stands in for what failures usually say of the data. */
export const ALL_BUT_INDEXES = 'All data and all other indexes are in place'
const ALL_BUT_CONFLICTS = 'All other documents are in place, and those that were there are as they were'
/** Each says itself what the data is like. */
export const SAID_BY_THEMSELVES: readonly string[] = [ALL_BUT_INDEXES, ALL_BUT_CONFLICTS]

/** What is not as it was asked for, though all was done. */
export interface Shortcomings {
  /** Indexes that can't be built, in words. */
  readonly unbuilt: readonly string[]
  /** What became of documents that were put where others may be. */
  readonly merged?: readonly MergedNamespace[]
}

/** Writes down what this replica set could not do, and what became of documents. */
export async function noteShortcomings(
  leader: MongoClient,
  name: string,
  replset: string,
  { unbuilt, merged = [] }: Shortcomings,
): Promise<void> {
  const fields = {
    ...(unbuilt.length === 0 ? {} : { unbuilt_indexes: [...unbuilt] }),
    ...(merged.length === 0 ? {} : { merged: [...merged] }),
  }
  if (Object.keys(fields).length > 0) await setRestoreReplsetFields(leader, name, replset, fields)
}

/**
 * The cluster leader's, when all replica sets have done all they can: throws INDEXES_UNBUILT where an index is missing on
 * any of them, and DOCUMENTS_LEFT_OUT for documents, for who runs the restore must not take it for whole.
 */
export async function refuseShortcomings(leader: MongoClient, name: string): Promise<void> {
  const replsets = (await findRestore(leader, name))?.replsets ?? []
  refuseConflicts(replsets.flatMap(({ merged }) => merged ?? []))
  const unbuilt = replsets.flatMap((replset) => replset.unbuilt_indexes ?? [])
  if (unbuilt.length === 0) return
  const more = unbuilt.length > NAMED ? `; and ${unbuilt.length - NAMED} more` : ''
  throw new PbmError('INDEXES_UNBUILT', `Indexes can't be built: ${unbuilt.slice(0, NAMED).join('; ')}${more}`, {
    hint: `${ALL_BUT_INDEXES}: create these by hand, once the server can have them. To repeat the restore does not help.`,
  })
}

function refuseConflicts(merged: readonly MergedNamespace[]): void {
  const found = merged.filter(({ conflicts }) => Number(conflicts) > 0)
  if (found.length === 0) return
  const told = found.map(({ ns, conflicts, left_out }) => {
    const first = left_out.map(({ id, index }) => `_id ${id} (index ${index})`).slice(0, NAMED)
    const more = Number(conflicts) > first.length ? ` and ${Number(conflicts) - first.length} more` : ''
    return `${conflicts} of ${ns}: ${first.join(', ')}${more}`
  })
  throw new PbmError('DOCUMENTS_LEFT_OUT', `Documents break a unique index, and are left out: ${told.join('; ')}`, {
    hint: `${ALL_BUT_CONFLICTS}. Put these beside the live one, with --ns-from and --ns-to, and decide by hand.`,
  })
}
