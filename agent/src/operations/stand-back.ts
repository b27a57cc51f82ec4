import { hasOperation, listAgents, until } from '@pbmkit/core'
import type { OperationContext } from './context.js'

/** What costs a host something is left to others for so long by that of the primary. */
export const STAND_BACK_MS = 2_000
const LOOK_MS = 100

/** Gives other agents of the replica set, where there are any, so many milliseconds to begin. */
export async function standBack(
  { leader, self, opid, clock, signal }: OperationContext,
  timeoutMs: number,
): Promise<void> {
  const isTaken = () => hasOperation(leader, opid, self.rs)
  const others = (await listAgents(leader)).filter(({ rs, n, arb }) => rs === self.rs && n !== self.node && !arb)
  if (others.length > 0) await until(isTaken, { clock, signal, everyMs: LOOK_MS, timeoutMs })
}
