import type { Collection, Document, FindOptions } from 'mongodb'
import { until } from '../time/until.js'

const LOOK_AGAIN_MS = 20
/** Longer than a primary without a majority stays one. */
const SETTLED_MS = 12_000

/**
 * One document as the majority has it; null when there is none. A primary that was just elected may not know yet that the
 * majority has what it has itself: what it only has itself is waited for, since whoever finds a record gone gives up.
 */
export async function findSettled(
  documents: Collection,
  filter: Document,
  options: FindOptions = {},
): Promise<Document | null> {
  const settled = async () => {
    const document = await documents.findOne(filter, options)
    if (document !== null) return { document }
    const own = await documents.findOne(filter, { projection: { _id: 1 }, readConcern: { level: 'local' } })
    return own === null ? { document } : undefined
  }
  const found = await until(settled, { everyMs: LOOK_AGAIN_MS, timeoutMs: SETTLED_MS })
  return found?.document ?? null
}
