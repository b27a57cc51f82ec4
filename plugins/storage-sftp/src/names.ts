import { PluginError } from '@pbmkit/core/plugin'
import { shownName, TEMPORARY_SUFFIX, whyIllegalName } from '@pbmkit/core/plugin/kit'

/** Throws STORAGE_INVALID_NAME for a name that this store can't keep, before anything is touched. */
export function checkName(name: string, maxSegmentBytes: number): void {
  const reason = whyIllegalName(name, { maxSegmentBytes }) ?? whyReserved(name)
  if (reason !== undefined) throw new PluginError('STORAGE_INVALID_NAME', `object name ${shownName(name)}: ${reason}`)
}

function whyReserved(name: string): string | undefined {
  return name.endsWith(TEMPORARY_SUFFIX)
    ? `names that end in ${TEMPORARY_SUFFIX} are of files being written`
    : undefined
}

/** Folders of a name from the outermost on: `a/b/c` has `a` and `a/b`. */
export function foldersOf(name: string): string[] {
  const segments = name.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}

/** The folder of a name with a slash at its end, or nothing at the top. */
export function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1)
}
