import { PluginError } from '@pbmkit/core/plugin'
import { shownName, TEMPORARY_SUFFIX, whyIllegalName } from '@pbmkit/core/plugin/kit'

/** What Linux, macOS and Windows filesystems keep as one file or folder name. */
export const MAX_SEGMENT_BYTES = 255

/** Throws STORAGE_INVALID_NAME for a name that this store can't keep, before anything is touched. */
export function checkName(name: string): void {
  const reason = whyIllegalName(name, { maxSegmentBytes: MAX_SEGMENT_BYTES }) ?? whyReserved(name)
  if (reason !== undefined) throw new PluginError('STORAGE_INVALID_NAME', `object name ${shownName(name)}: ${reason}`)
}

function whyReserved(name: string): string | undefined {
  return name.endsWith(TEMPORARY_SUFFIX)
    ? `names that end in ${TEMPORARY_SUFFIX} are of files being written`
    : undefined
}
