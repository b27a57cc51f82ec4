const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `45m`, `26h`, `30d`: what the schema of such a key asks for. */
export const DURATION_PATTERN = '^[1-9]\\d{0,5}[smhd]$'

/** Milliseconds of what fits {@link DURATION_PATTERN}. */
export function durationOf(text: string): number {
  return Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? 0)
}
