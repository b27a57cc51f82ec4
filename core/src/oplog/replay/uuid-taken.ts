import { PbmError } from '../../errors.js'
import { databaseOf } from '../entry.js'

/** How many a message names. */
const NAMED = 5

/** `held` is in the target and has the UUID of `ns`, which is to be restored. */
export function uuidTaken(taken: readonly { readonly held: string; readonly ns: string }[]): PbmError {
  const named = taken.slice(0, NAMED).map(({ held, ns }) => `${held} has the UUID of ${ns}`)
  const more = taken.length > NAMED ? ` and ${taken.length - NAMED} more` : ''
  const held = taken[0]?.held ?? ''
  const to = `${databaseOf(held)}_kept${held.slice(databaseOf(held).length)}`
  return new PbmError(
    'UUID_TAKEN',
    `The target has collections that were renamed since they got the UUID that the restore needs: ${named.join(', ')}${more}`,
    {
      hint: `To keep such a collection, move it to another database, which copies it under a new UUID (db.adminCommand({renameCollection: ${JSON.stringify(held)}, to: ${JSON.stringify(to)}})); else drop it, or give it back its old name to have it replaced. Then repeat the restore.`,
    },
  )
}
