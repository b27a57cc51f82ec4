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

/** A snapshot of a volume takes seconds, a copy by hand as long as its files are large. */
const EXTERNAL_SECONDS = 3_600

/** How long a member may be locked for an external backup, in milliseconds. Pure. */
export function longestExternalLock({ backup }: Pick<Config, 'backup'>): number {
  return 1000 * (backup?.physical?.maxExternalLockSeconds ?? EXTERNAL_SECONDS)
}
