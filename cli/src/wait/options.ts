import { type Clock, systemClock } from '@pbmkit/core'
import type { Command } from 'commander'
import { parseDuration } from '../output/durations.js'

/** `-w/--wait` and `--wait-time` as every waiting command has them. */
export interface WaitOptions {
  wait?: boolean
  waitTime?: string
}

export function addWaitOptions(command: Command, what: string): Command {
  return command
    .option('-w, --wait', `wait until ${what}`)
    .option(
      '--wait-time <duration>',
      'with --wait: give up waiting after this long (90s, 15m, 1h30m); 0 is without end',
    )
}

/** The moment to stop waiting, in milliseconds since the epoch; undefined for never, and where nothing waits. */
export function waitDeadline(options: WaitOptions, clock: Clock = systemClock): number | undefined {
  if (options.waitTime === undefined) return undefined
  const milliseconds = parseDuration(options.waitTime, '--wait-time')
  return milliseconds === 0 || options.wait !== true ? undefined : clock.now() + milliseconds
}
