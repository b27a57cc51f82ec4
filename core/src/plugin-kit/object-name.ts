const MAX_BYTES = 1024

/** Why no storage takes `name` (see `ObjectStore`), or none whose limits these are; `undefined` for a legal name. */
export function whyIllegalName(
  name: string,
  limits: { readonly maxBytes?: number; readonly maxSegmentBytes?: number | undefined } = {},
): string | undefined {
  const { maxBytes = MAX_BYTES, maxSegmentBytes } = limits
  if (typeof name !== 'string' || name === '') return 'a name must not be empty'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (name.includes('\0')) return 'it holds a NUL'
  const bytes = Buffer.byteLength(name)
  if (bytes > maxBytes) return `it has ${bytes} bytes, ${maxBytes} are the limit`
  for (const segment of name.split('/')) {
    if (segment === '') return 'it holds an empty segment'
    if (segment === '.' || segment === '..') return `it holds the segment ${segment}`
    const length = maxSegmentBytes === undefined ? 0 : Buffer.byteLength(segment)
    if (maxSegmentBytes !== undefined && length > maxSegmentBytes)
      return `a segment has ${length} bytes, ${maxSegmentBytes} are the limit here`
  }
  return undefined
}

/** An object name as messages show it. */
export function shownName(name: string): string {
  const shown = JSON.stringify(name) ?? String(name)
  return shown.length > 120 ? `${shown.slice(0, 116)}…"` : shown
}
