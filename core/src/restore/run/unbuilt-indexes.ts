import type { MongoClient } from 'mongodb'
import { findRestore, setRestoreReplsetFields } from '../../control/restores.js'
import { PbmError } from '../../errors.js'

/** How many a message names; the record has all. */
const NAMED = 20
/** Told where it stands in for what failures usually say of the data. */
export const ALL_BUT_INDEXES = 'All data and all other indexes are in place'

/** Writes down what this replica set could not build. */
export async function noteUnbuilt(
  leader: MongoClient,
  name: string,
  replset: string,
  unbuilt: readonly string[],
): Promise<void> {
  if (unbuilt.length > 0) await setRestoreReplsetFields(leader, name, replset, { unbuilt_indexes: [...unbuilt] })
}

/**
 * The cluster leader's, when all replica sets have done all they can: throws INDEXES_UNBUILT where an index is missing on
 * any of them, for who runs the restore must not take it for whole.
 */
export async function refuseUnbuilt(leader: MongoClient, name: string): Promise<void> {
  const replsets = (await findRestore(leader, name))?.replsets ?? []
  const unbuilt = replsets.flatMap((replset) => replset.unbuilt_indexes ?? [])
  if (unbuilt.length === 0) return
  const more = unbuilt.length > NAMED ? `; and ${unbuilt.length - NAMED} more` : ''
  throw new PbmError('INDEXES_UNBUILT', `Indexes can't be built: ${unbuilt.slice(0, NAMED).join('; ')}${more}`, {
    hint: `${ALL_BUT_INDEXES}: create these by hand, once the server can have them. To repeat the restore does not help.`,
  })
}
