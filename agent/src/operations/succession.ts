import type { NodeInfo } from '@pbmkit/core'
import { nodeInfo, until } from '@pbmkit/core'
import type { OperationContext } from './context.js'

/** How long after a command an agent that comes into office still takes it up; nominees wait longer for their election. */
const SUCCESSION_MS = 12_000
const SUCCESSION_POLL_MS = 500

/**
 * Whether this agent has to take up a command that concerns one office of the cluster (the leader, the primary). In an
 * election a command may meet nobody who holds the office: then each agent looks again for a moment, until somebody has
 * taken it up. False as well when the operation is told to stop.
 */
export async function comesIntoOffice(
  { node, clock, signal }: Pick<OperationContext, 'node' | 'clock' | 'signal'>,
  office: { readonly holds: (info: NodeInfo) => Promise<boolean>; readonly isTakenUp: () => Promise<boolean> },
): Promise<boolean> {
  const settled = async () => {
    try {
      if (await office.isTakenUp()) return 'taken up'
      return (await office.holds(await nodeInfo(node))) && 'ours'
    } catch {
      // A member that restarts or is cut off has no office; the feed and the status tell of it.
      return undefined
    }
  }
  const patience = { everyMs: SUCCESSION_POLL_MS, timeoutMs: SUCCESSION_MS }
  try {
    // It has just been looked at.
    await clock.sleep(SUCCESSION_POLL_MS, signal)
    return (await until(settled, { clock, signal, ...patience })) === 'ours'
  } catch {
    return false
  }
}
