const GIB = 1024 ** 3

/**
 * Bytes of an option `maxObjSizeGB`, which counts in GiB and may be a fraction; values under 1 are ignored
 * (PBM: cli-and-config.md §3.2).
 */
export function maxObjectBytesOf(gib: number | undefined, standardGib: number): number {
  return Math.floor((gib !== undefined && gib >= 1 ? gib : standardGib) * GIB)
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1 },
  ...{ s: 1000, m: 60_000, h: 3_600_000 },
}

/**
 * Milliseconds of a duration as Go writes it (`1m30s`), or of a number of nanoseconds, as which PBM keeps it; `standard`
 * for none and zero, as in PBM.
 */
export function durationMs(value: number | string | undefined, standard: number): number {
  if (typeof value === 'number') return value / 1e6 || standard
  let total = 0
  for (const [, amount, unit] of (value ?? '').matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0)
  return total || standard
}
