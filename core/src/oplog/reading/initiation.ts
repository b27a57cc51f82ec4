import { documentsIn } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { type Operation, parseEntry } from '../entry.js'

/** What every server writes first into the oplog of a new replica set. */
const MESSAGE = 'initiating set'

/** Whether this is the first entry that its replica set ever wrote. */
export function isInitiation({ op, o }: Pick<Operation, 'op' | 'o'>): boolean {
  return op === 'n' && findString(o, 'msg') === MESSAGE
}

/** Of whole raw entries: whether they begin with {@link isInitiation}. */
export function beginWithInitiation(documents: Buffer): boolean {
  for (const document of documentsIn(documents)) return isInitiation(parseEntry(document))
  return false
}
