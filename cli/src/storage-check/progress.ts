import { SingleBar } from 'cli-progress'
import type { Session } from '../session.js'
import type { CaseResult } from './cases.js'

export interface CheckProgress {
  ended(result: CaseResult): void
  phase(name: string): void
  stop(): void
}

/** Between two plain lines. */
const PLAIN_MILLISECONDS = 10_000

/**
 * On standard error: with `-o json` a JSON line for each group that has ended; a bar on a terminal, and elsewhere a plain line
 * at most each 10 s.
 */
export function checkProgress(session: Session, total: number): CheckProgress {
  const { output, clock } = session
  const { stderr } = session.io
  if (stderr.isTTY === true) return bar(stderr, total)
  let done = 0
  let group = ''
  let next = Number.NEGATIVE_INFINITY
  const tell = (what: string) => {
    if (output.json)
      stderr.write(`${JSON.stringify({ progress: { operation: 'storage check', group: what, done, total } })}\n`)
    else if (clock.now() >= next) {
      output.note(`storage check: ${done} of ${total}, ${what}`)
      next = clock.now() + PLAIN_MILLISECONDS
    }
  }
  return {
    ended: (result) => {
      done += 1
      if (result.group === group) return
      group = result.group
      tell(group)
    },
    phase: tell,
    stop: () => undefined,
  }
}

function bar(stderr: NodeJS.WritableStream, total: number): CheckProgress {
  const single = new SingleBar({
    stream: stderr,
    hideCursor: true,
    clearOnComplete: true,
    format: '{bar} {value}/{total}  {group}',
  })
  single.start(total, 0, { group: '' })
  return {
    ended: ({ group }) => single.increment(1, { group }),
    phase: (group) => single.update({ group }),
    stop: () => single.stop(),
  }
}
