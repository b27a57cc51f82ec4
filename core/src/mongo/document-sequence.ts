import { createRequire } from 'node:module'
import { PbmError } from '../errors.js'

/**
 * The driver's own (internal) carrier of already serialised documents: the only way to send raw BSON without decoding
 * it first. It is checked here, once, so that a driver that changed says so by name.
 */
export interface DocumentSequence {
  /** Its head, and what was pushed. */
  readonly chunks: Uint8Array[]
  /** Any number of whole documents in `bytes` at once; the object is only for command monitoring. */
  push(document: object, bytes: Uint8Array): number
}
type DocumentSequenceClass = new (field: string) => DocumentSequence

function load(): DocumentSequenceClass {
  const commands = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as Record<string, unknown>
  const found = commands.DocumentSequence as DocumentSequenceClass | undefined
  if (typeof found !== 'function' || typeof found.prototype.push !== 'function') {
    throw new PbmError('DRIVER_UNSUPPORTED', 'This version of the mongodb driver has no DocumentSequence', {
      hint: 'install the mongodb version that package.json names',
    })
  }
  return found
}

/** The driver's class. */
export const Sequence = load()

/** A document sequence for `field` that holds these raw documents. */
export function documentSequence(field: string, ...documents: Uint8Array[]): DocumentSequence {
  const sequence = new Sequence(field)
  for (const bytes of documents) sequence.push({}, bytes)
  return sequence
}
