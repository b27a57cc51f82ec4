import { setTimeout as sleep } from 'node:timers/promises'
import type { Document, MongoClient } from 'mongodb'
import type { DeadlineGuard } from '../time/deadline-guard.js'
import type { RawValue } from './raw-command.js'

/**
 * Milliseconds that each attempt may take; none bounds the last. Together they outlast the 60 s that a server lets a
 * transaction live, each well below the 30 s after which a silent operation counts as dead.
 */
const ATTEMPTS_MS: readonly number[] = [2_000, 4_000, ...Array<number>(8).fill(8_000)]
/** For what waited meanwhile: heartbeats above all. */
const BREATH_MS = 1_000
const MAX_TIME_EXPIRED = 50

/**
 * `applyOps` that steps back and tries again. The command takes the global lock, and while it waits for somebody's open
 * transaction all other writes of the server wait behind it, the operation's own heartbeat too.
 */
export async function applyOps(
  client: MongoClient,
  operations: RawValue | readonly Document[],
  options: {
    readonly guard?: DeadlineGuard | undefined
    readonly more?: Document
    readonly attempts?: readonly number[]
  } = {},
): Promise<void> {
  const { guard, more = {}, attempts = ATTEMPTS_MS } = options
  // The majority has it when the operation ends; waiting for it here would count as time of the attempt.
  const command = { applyOps: operations, ...more, writeConcern: { w: 1 } }
  for (const maxTimeMS of attempts) {
    try {
      guard?.throwIfStopped()
      await client.db('admin').command({ ...command, maxTimeMS })
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== MAX_TIME_EXPIRED) throw error
      await sleep(BREATH_MS, undefined, { signal: guard?.signal })
    }
  }
  guard?.throwIfStopped()
  await client.db('admin').command(command)
}

/** What the server says of each operation it came to, where one of them failed. */
export function resultsOf(error: unknown): boolean[] | undefined {
  const response = (error as { errorResponse?: { results?: unknown } }).errorResponse
  return Array.isArray(response?.results) ? (response.results as boolean[]) : undefined
}
