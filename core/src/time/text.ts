/** `2031-02-03T04:05:06Z`: RFC 3339 at seconds, which is also the form of a backup name. `seconds` are Unix seconds. */
export function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** `2031-02-03T04:05:06`, UTC without a zone: what PBM's tables print and what `--time` and `--older-than` take. */
export function tableTime(seconds: number): string {
  return rfc3339(seconds).slice(0, -1)
}
