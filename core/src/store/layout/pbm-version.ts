/**
 * The layout of a backup on the storage follows from the `pbm_version` in its metadata (PBM: storage-format.md §0).
 * A leading `v` is optional; what can't be parsed counts as older than everything, as in PBM.
 */

interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/** Pre-release and build parts are cut off. */
export function parsePbmVersion(text: string): Version | undefined {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(text)
  if (match === null) return undefined
  return { major: Number(match[1]), minor: Number(match[2] ?? 0), patch: Number(match[3] ?? 0) }
}

/** What `pbm_version` says of a backup that is written in the archive layout: PBM reads it by its rules before 2.0. */
export const ARCHIVE_LAYOUT_VERSION = '1.8.1'

/** Below 2.0: one mongodump archive per replica set at the root of the storage. */
export function isLegacyArchive(pbmVersion: string): boolean {
  return isOlder(pbmVersion, 2, 0, 0)
}

/** Below 2.4: the oplog of a backup is one file; since then a folder of chunks. */
export function isLegacyBackupOplog(pbmVersion: string): boolean {
  return isOlder(pbmVersion, 2, 4, 0)
}

/** Since 2.4.1 the file list of a physical backup is in `filelist.pbm`, before in the metadata document. */
export function hasFilelistFile(pbmVersion: string): boolean {
  return !isOlder(pbmVersion, 2, 4, 1)
}

/** Negative, zero or positive like a comparator; only major and minor count. */
export function comparePbmMajorMinor(a: string, b: string): number {
  const left = parsePbmVersion(a)
  const right = parsePbmVersion(b)
  if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined)
  return left.major - right.major || left.minor - right.minor
}

function isOlder(text: string, major: number, minor: number, patch: number): boolean {
  const version = parsePbmVersion(text)
  if (version === undefined) return true
  return (version.major - major || version.minor - minor || version.patch - patch) < 0
}
