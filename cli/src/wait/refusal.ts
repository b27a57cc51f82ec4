import { type LogEntry, queryLog } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** PBM's agents log an error and then still write metadata in a few places: give those this long to do so. */
const GRACE_LOOKS = 4

/**
 * Looks for an agent's refusal of an operation in the central log: PBM's own CLI does not, and so waits its full 33 s for
 * metadata that will never come. Each call looks once and answers the reason, or undefined while there is none.
 */
export function refusal(leader: MongoClient, opid: string): () => Promise<string | undefined> {
  let looks = 0
  return async () => {
    const [first] = await operationErrors(leader, opid)
    if (first === undefined) return undefined
    looks += 1
    return looks > GRACE_LOOKS ? first.msg : undefined
  }
}

/** What agents logged as errors of one operation, oldest first. */
export async function operationErrors(leader: MongoClient, opid: string): Promise<LogEntry[]> {
  return await queryLog(leader, { opid, severity: 1, tail: 10 })
}

/** The last line of operations that have only a lock, PBM's too (PBM: control-plane.md §5.5). */
const ENDS: ReadonlySet<string> = new Set(['succeed', 'done', 'profile saved', 'profile removed'])

/** Whether the log of one operation says that it ended well. */
export async function endedWell(leader: MongoClient, opid: string): Promise<boolean> {
  return (await queryLog(leader, { opid, severity: 3, tail: 10 })).some(({ msg }) => ENDS.has(msg))
}
