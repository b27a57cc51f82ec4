import { usageError } from '../errors.js'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a duration as PBM's flags take them (`90s`, `1h30m`, `0`). Fails with USAGE on anything else. */
export function parseDuration(text: string, option: string): number {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text))
    throw usageError(`${option}: '${text}' is not a duration`, 'Write for example 90s, 15m or 1h30m.')
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0)
  return total
}

/** `1h02m`, `3m05s`, `12s`: how long something took or will still take. */
export function shortDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const pad = (value: number) => String(value).padStart(2, '0')
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h${pad(Math.floor((seconds % 3600) / 60))}m`
  if (seconds >= 60) return `${Math.floor(seconds / 60)}m${pad(seconds % 60)}s`
  return `${seconds}s`
}
