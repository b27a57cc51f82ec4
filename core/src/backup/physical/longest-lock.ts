import type { Config } from '../../config/document.js'
import type { NodeInfo } from '../../mongo/topology.js'

const DEFAULT_SECONDS = 10
/** On the primary of the leader replica set heartbeats wait, too: longer, and others would take the backup for dead. */
const PRIMARY_SECONDS = 15

/** How long a member may be locked, in milliseconds; undefined for as long as it takes. Pure. */
export function longestLock(
  { backup }: Pick<Config, 'backup'>,
  { isPrimary }: Pick<NodeInfo, 'isPrimary'>,
): number | undefined {
  const { allowLongLock = false, maxLockSeconds = DEFAULT_SECONDS } = backup?.physical ?? {}
  if (isPrimary) return 1000 * (allowLongLock ? PRIMARY_SECONDS : Math.min(PRIMARY_SECONDS, maxLockSeconds))
  return allowLongLock ? undefined : 1000 * maxLockSeconds
}
