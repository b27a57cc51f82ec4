import { type Clock, systemClock } from './clock.js'

export interface UntilOptions {
  readonly clock?: Clock | undefined
  readonly signal?: AbortSignal | undefined
  /** Between two looks; a function is told the number of the look that was the last. */
  readonly everyMs: number | ((look: number) => number)
  /** From the beginning; left out for no limit. */
  readonly timeoutMs?: number | undefined
}

/**
 * Looks at once and then again and again until `condition` gives something other than false or undefined, and gives that.
 * With a limit, undefined when time is over: there is always a last look after it. What holds already is found by the first look, whatever
 * the signal says. Rejects with what a look rejects with, and with the signal's reason.
 *
 * @param condition is told the number of the look, from 1.
 */
export function until<T>(
  condition: (look: number) => Promise<T | false | undefined>,
  options: UntilOptions & { readonly timeoutMs?: undefined },
): Promise<T>
export function until<T>(
  condition: (look: number) => Promise<T | false | undefined>,
  options: UntilOptions,
): Promise<T | undefined>
export async function until<T>(
  condition: (look: number) => Promise<T | false | undefined>,
  { clock = systemClock, signal, everyMs, timeoutMs }: UntilOptions,
): Promise<T | undefined> {
  const end = timeoutMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + timeoutMs
  for (let look = 1; ; look++) {
    const found = await condition(look)
    if (found !== undefined && found !== false) return found
    if (clock.now() >= end) return undefined
    await clock.sleep(typeof everyMs === 'number' ? everyMs : everyMs(look), signal)
  }
}
