import type { Document } from 'mongodb'
import { type ReplsetFacts, toReplsetFacts } from './backup-facts.js'
import type { RestoreDocument } from './restore-document.js'
import { isDocument, readList, readNumber } from './wire.js'

/** A restore or a replay in short. Times are Unix seconds. */
export interface RestoreFacts {
  readonly name: string
  readonly opid: string
  /** '' for a replay. */
  readonly backup: string
  readonly status: RestoreDocument['status']
  readonly startedAt: number
  /** When its state changed last: its end, where it has ended. */
  readonly changedAt: number
  readonly replsets: readonly ReplsetFacts[]
}

export const RESTORE_FACTS: Document = {
  ...{ name: 1, opid: 1, backup: 1, status: 1, start_ts: 1, last_transition_ts: 1 },
  ...{ 'replsets.name': 1, 'replsets.node': 1, 'replsets.progress': 1 },
}

/** Undefined for a document without a name. */
export function toRestoreFacts(found: Document): RestoreFacts | undefined {
  const { name, opid, backup, status } = found
  if (typeof name !== 'string') return undefined
  return {
    ...{ name, opid: String(opid), backup: typeof backup === 'string' ? backup : '', status },
    startedAt: readNumber(found.start_ts),
    changedAt: readNumber(found.last_transition_ts),
    replsets: readList(found.replsets as Document[] | null)
      .filter(isDocument)
      .map(toReplsetFacts),
  }
}
