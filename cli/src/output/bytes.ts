const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const
const IEC_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `12.50MB`: powers of 1024 with two decimals, as PBM's tables print sizes; `unknown` below zero. */
export function prettySize(bytes: number): string {
  if (bytes < 0) return 'unknown'
  const { value, power } = scale(bytes)
  return `${value.toFixed(2)}${UNITS[power] ?? 'PB'}`
}

/** `1.2 GiB`: the human fields `size_h` and `size_uncompressed_h` of `describe-backup`. */
export function sizeInIecUnits(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const { value, power } = scale(bytes)
  return `${value.toFixed(1)} ${IEC_UNITS[power] ?? 'PiB'}`
}

function scale(bytes: number): { value: number; power: number } {
  let value = bytes
  let power = 0
  while (value >= 1024 && power < UNITS.length - 1) {
    value /= 1024
    power += 1
  }
  return { value, power }
}
