import { errorText, queryLog, readClusterView } from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { wholeNumber } from '../numbers.js'
import { shown } from '../output/output.js'
import type { Run, Session } from '../session.js'
import { topSnapshot, topText } from '../top/frame.js'
import { onScreen } from '../top/screen.js'

interface TopOptions {
  interval: number
  lines: number
}

const COLUMNS = 80

/** `pbm top`: what goes on, drawn again and again; one snapshot where there is no terminal. */
export function topCommand(run: Run): Command {
  return new Command('top')
    .description('watch agents, operations and the log; q ends it')
    .option('--interval <seconds>', 'how often to look', wholeNumber('--interval'), 2)
    .option('--lines <n>', 'so many lines of the log', wholeNumber('--lines'), 10)
    .action((options: TopOptions, command: Command) => run(command, (session) => top(session, options)))
}

async function top(session: Session, options: TopOptions): Promise<void> {
  const { io, output, clock } = session
  const leader = await session.leader()
  if (output.json || io.stdout.isTTY !== true || io.stdin.isTTY !== true) {
    const { snapshot, text } = await look(session, leader, options)
    return output.result(snapshot, () => text)
  }
  await onScreen(io, async ({ signal, draw }) => {
    while (!signal.aborted) {
      const text = await look(session, leader, options).then(
        (seen) => seen.text,
        // An election, a restart: it goes on by itself.
        (error: unknown) => `${output.colours.bad('Error:')} ${errorText(error)}`,
      )
      draw(shown(`${text}\n\n${output.colours.quiet('q ends it')}`))
      await clock.sleep(Math.max(1, options.interval) * 1000, signal).catch(() => undefined)
    }
  })
}

async function look({ output, io }: Session, leader: MongoClient, { lines }: TopOptions) {
  const [view, log] = await Promise.all([readClusterView(leader), lines === 0 ? [] : queryLog(leader, { tail: lines })])
  const snapshot = topSnapshot(view)
  const columns = io.stdout.columns ?? COLUMNS
  return {
    snapshot: { ...snapshot, log: log.map(({ ts, s, rs, node, e, eobj, msg }) => ({ ts, s, rs, node, e, eobj, msg })) },
    text: topText(snapshot, log, { colours: output.colours, columns }),
  }
}
