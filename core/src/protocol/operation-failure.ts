import { errorText, PbmError } from '../errors.js'
import { isCanceled } from './canceled.js'

/** What an operation that changes data says of it when it fails. */
export interface DataWords {
  /** Where a failure has one of these, it says itself what the data is like. */
  readonly instead?: readonly string[]
  /** The code where the cause has none. */
  readonly code: string
  /** What is to be done where data may be incomplete: `repeat the restore`. */
  readonly repeat: string
}

/** Whether data was changed on any replica set. */
export type DataChanges = 'none' | 'some' | 'unknown'

export interface FailureFacts {
  /** What the work ended by. */
  readonly cause: unknown
  /** Left out for operations that change no data. */
  readonly data?: { readonly words: DataWords; readonly changes: DataChanges } | undefined
}

export interface Failure {
  readonly isCanceled: boolean
  /** What the operation rejects with. */
  readonly error: unknown
  /** What its record says. */
  readonly text: string
}

/** How a failed operation is told to people. Pure. */
export function failureOf({ cause, data }: FailureFacts): Failure {
  const error = data === undefined ? cause : explained(cause, data.words, data.changes)
  return { isCanceled: isCanceled(cause), error, text: errorText(error) }
}

function explained(cause: unknown, { code, repeat, instead }: DataWords, changes: DataChanges): PbmError {
  const after = {
    none: 'Nothing of the data was changed.',
    some: `The data of the cluster is incomplete now: ${repeat}.`,
    unknown: `Nobody can tell whether data was changed: ${repeat} unless all of it is there.`,
  }[changes]
  const lost = isNotPrimary(cause) ? 'this node is no longer the primary: ' : ''
  const text = errorText(cause)
  // Another replica set's words say so already.
  const hint = text.includes(after) || instead?.some((words) => text.includes(words)) === true ? {} : { hint: after }
  return new PbmError(cause instanceof PbmError ? cause.code : code, `${lost}${text}`, { ...hint, cause })
}

const NOT_PRIMARY_CODES: ReadonlySet<unknown> = new Set([10107, 11600, 11602, 13435, 13436, 189, 91])

function isNotPrimary(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (NOT_PRIMARY_CODES.has((current as { code?: unknown }).code)) return true
  }
  return false
}
