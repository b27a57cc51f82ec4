import type { BackupDocument } from '../control/backup-document.js'
import { comparePbmMajorMinor } from '../store/layout/pbm-version.js'
import { PBM_COMPATIBLE_VERSION } from '../version.js'

/** What a backup is compared with. */
export interface ClusterFacts {
  /** Feature compatibility version, `6.0`. */
  readonly fcv: string
  readonly mongodbVersion: string
  readonly replsets: readonly string[]
  /** The config server replica set, or the only one. */
  readonly leaderReplset: string
}

/** PBM versions that broke a format, oldest first. */
const BREAKS: Readonly<Record<string, readonly string[]>> = { logical: ['1.5.0'], incremental: ['2.1.0'] }

/**
 * Why a finished backup can't be restored into this cluster; undefined when nothing speaks against it. Nothing of it is
 * stored: `list` leaves such backups out and `status` shows the reason (PBM: storage-format.md §2,
 * Compatibility).
 *
 * @param remap replica set of the backup → of the cluster (`--replset-remapping`)
 */
export function incompatibility(
  backup: BackupDocument,
  cluster: ClusterFacts,
  remap: Readonly<Record<string, string>> = {},
): string | undefined {
  if (backup.status !== 'done') return undefined
  if (!sameSideOfBreaks(backup.pbm_version, BREAKS[backup.type] ?? [])) {
    return `made by PBM ${backup.pbm_version}, whose format is not that of ${PBM_COMPATIBLE_VERSION}`
  }
  if (backup.fcv !== '') {
    if (backup.fcv !== cluster.fcv) return `backup FCV ${backup.fcv}, cluster FCV ${cluster.fcv}`
  } else if (majorMinor(backup.mongodb_version) !== majorMinor(cluster.mongodbVersion)) {
    return `backup of MongoDB ${backup.mongodb_version}, cluster has ${cluster.mongodbVersion}`
  }
  const names = backup.replsets.map(({ name }) => (Object.hasOwn(remap, name) ? (remap[name] ?? name) : name))
  const unknown = names.filter((name) => !cluster.replsets.includes(name))
  if (unknown.length > 0) return `replica sets not in this cluster: ${unknown.join(', ')}`
  if (new Set(names).size !== names.length) return 'two replica sets of the backup are mapped onto one'
  if (!names.includes(cluster.leaderReplset)) return `has no data for replica set ${cluster.leaderReplset}`
  return undefined
}

function sameSideOfBreaks(version: string, breaks: readonly string[]): boolean {
  const [older, newer] =
    comparePbmMajorMinor(version, PBM_COMPATIBLE_VERSION) < 0
      ? [version, PBM_COMPATIBLE_VERSION]
      : [PBM_COMPATIBLE_VERSION, version]
  const newest = breaks.findLast((broken) => comparePbmMajorMinor(newer, broken) >= 0)
  return newest === undefined || comparePbmMajorMinor(older, newest) >= 0
}

function majorMinor(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}
