import { PluginError } from '../plugin/errors.js'

/**
 * The level to work with: `level`, or the default when none is given. Throws `CODEC_LEVEL` for one outside `levels` or
 * not whole, naming the method and its range.
 */
export function checkedLevel(
  method: string,
  levels: { readonly min: number; readonly max: number; readonly default: number },
  level: number | undefined,
): number {
  if (level === undefined) return levels.default
  if (Number.isInteger(level) && level >= levels.min && level <= levels.max) return level
  throw new PluginError(
    'CODEC_LEVEL',
    `${method} has the levels ${levels.min} to ${levels.max}, whole numbers, not ${level}`,
  )
}

/** A `CODEC_CORRUPT` error: `what` says which bytes of which format are wrong. */
export function corrupt(what: string, cause?: unknown): PluginError {
  return new PluginError('CODEC_CORRUPT', what, cause === undefined ? {} : { cause })
}

/** A `CODEC_TRUNCATED` error. */
export function truncated(what: string, cause?: unknown): PluginError {
  return new PluginError('CODEC_TRUNCATED', what, cause === undefined ? {} : { cause })
}
