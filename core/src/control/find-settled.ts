import { setTimeout as sleep } from 'node:timers/promises'
import type { Collection, Document, FindOptions } from 'mongodb'

const LOOK_AGAIN_MILLIS = 20
/** Longer than a primary without a majority stays one. */
const LOOKS = 600

/**
 * One document as the majority has it; null when there is none. A primary that was just elected may not know yet that the
 * majority has what it has itself: what it only has itself is waited for, since whoever finds a record gone gives up.
 */
export async function findSettled(
  documents: Collection,
  filter: Document,
  options: FindOptions = {},
): Promise<Document | null> {
  for (let look = 1; ; look++) {
    const found = await documents.findOne(filter, options)
    if (found !== null || look === LOOKS) return found
    const own = await documents.findOne(filter, { projection: { _id: 1 }, readConcern: { level: 'local' } })
    if (own === null) return null
    await sleep(LOOK_AGAIN_MILLIS)
  }
}
