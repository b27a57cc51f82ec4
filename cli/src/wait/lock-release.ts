import { listLiveLocks, until } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Session } from '../session.js'

const RELEASE_MS = 10_000
const POLL_MS = 100

/**
 * Waits until the agents have given the locks of an operation back, which they do a moment after its record is done or
 * failed: the command that comes next in a script would be refused. Never fails, for how the operation ended is known.
 */
export async function locksReleased(
  { clock, signal }: Pick<Session, 'clock' | 'signal'>,
  leader: MongoClient,
  opid: string,
): Promise<void> {
  const areReleased = async () => !(await listLiveLocks(leader)).some((lock) => lock.opid === opid)
  const patience = { everyMs: POLL_MS, timeoutMs: RELEASE_MS }
  // Otherwise the next command asks for itself.
  await until(areReleased, { clock, signal, ...patience }).catch(() => undefined)
}
