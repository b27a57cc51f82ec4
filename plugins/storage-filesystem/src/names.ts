import { PluginError, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin'

const MAX_NAME_BYTES = 1024
/** What Linux, macOS and Windows filesystems keep as one file or folder name. */
export const MAX_SEGMENT_BYTES = 255

/** Throws STORAGE_INVALID_NAME for a name that this store can't keep, before anything is touched. */
export function checkName(name: string): void {
  const reason = whyIllegal(name)
  if (reason === undefined) return
  throw new PluginError('STORAGE_INVALID_NAME', `object name ${shorten(name)}: ${reason}`)
}

function whyIllegal(name: string): string | undefined {
  if (typeof name !== 'string' || name === '') return 'a name must not be empty'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (name.includes('\0')) return 'it holds a NUL'
  const bytes = Buffer.byteLength(name)
  if (bytes > MAX_NAME_BYTES) return `it has ${bytes} bytes, ${MAX_NAME_BYTES} are the limit`
  for (const segment of name.split('/')) {
    if (segment === '') return 'it holds an empty segment'
    if (segment === '.' || segment === '..') return `it holds the segment ${segment}`
    const length = Buffer.byteLength(segment)
    if (length > MAX_SEGMENT_BYTES) return `a segment has ${length} bytes, a file name can have ${MAX_SEGMENT_BYTES}`
  }
  if (name.endsWith(TEMPORARY_SUFFIX)) return `names that end in ${TEMPORARY_SUFFIX} are of files being written`
  return undefined
}

function shorten(name: string): string {
  const shown = JSON.stringify(name)
  return shown.length > 120 ? `${shown.slice(0, 116)}…"` : shown
}
