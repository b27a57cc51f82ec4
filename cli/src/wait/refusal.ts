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
