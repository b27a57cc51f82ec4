const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `118.7 MiB`, wherever people read a size, and in PBM's fields that end in `_h`; `unknown` below zero. */
export function prettySize(bytes: number): string {
  if (bytes < 0) return 'unknown'
  if (bytes < 1024) return `${bytes} B`
  let value = bytes
  let power = 0
  while (value >= 1024 && power < UNITS.length - 1) {
    value /= 1024
    power += 1
  }
  return `${value.toFixed(1)} ${UNITS[power] ?? 'PiB'}`
}
