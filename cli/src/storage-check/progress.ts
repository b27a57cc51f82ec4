import { SingleBar } from 'cli-progress'
import type { Session } from '../session.js'
import type { CaseResult } from './cases.js'

export interface CheckProgress {
  ended(result: CaseResult): void
  phase(name: string): void
  stop(): void
}

/** A bar on a terminal; otherwise one JSON line on standard error for each group that has ended. */
export function checkProgress(session: Session, total: number): CheckProgress {
  const { stderr } = session.io
  if (stderr.isTTY === true) return bar(stderr, total)
  let done = 0
  let group = ''
  const tell = (what: string) =>
    stderr.write(`${JSON.stringify({ progress: { operation: 'storage check', group: what, done, total } })}\n`)
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
