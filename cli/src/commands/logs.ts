import { followLog, type LogEntry, type LogQuery, queryLog, type Severity } from '@pbmkit/core'
import { Command } from 'commander'
import { usageError } from '../errors.js'
import { wholeNumber } from '../numbers.js'
import { logLine, logTimes } from '../output/log-line.js'
import type { Run } from '../session.js'

const SEVERITIES: Readonly<Record<string, Severity>> = { F: 0, E: 1, W: 2, I: 3, D: 4 }

interface LogsOptions {
  tail?: number
  follow?: boolean
  node?: string
  severity: string
  event?: string
  opid?: string
  extra?: boolean
  timezone: string
}

/** `pbm logs`: the central log of all agents, oldest first; `-f` goes on from there until Ctrl-C. */
export function logsCommand(run: Run): Command {
  return new Command('logs')
    .description('show what the agents logged')
    .option('-t, --tail <n>', 'the newest n entries; 0 is all (default: 20)', wholeNumber('--tail'))
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --node <node>', 'RS, or RS/HOST:PORT')
    .option('-s, --severity <severity>', 'F, E, W, I or D: this and worse', 'I')
    .option('-e, --event <event>', 'EVENT, or EVENT/OBJECT: backup, restore/2031-02-03T04:05:06.7Z, resync, delete …')
    .option('-i, --opid <id>', 'of one operation')
    .option('-x, --extra', 'with the operation id')
    .option('--timezone <zone>', 'UTC, Local or a name such as Europe/Berlin', 'UTC')
    .action((options: LogsOptions, command: Command) =>
      run(command, async (session) => {
        const query = queryOf(options)
        const time = logTimes(options.timezone)
        const leader = await session.leader()
        const { output } = session
        const text = (entry: LogEntry) => logLine(entry, time, output.colours, options.extra === true)
        if (options.follow !== true) {
          const entries = await queryLog(leader, query)
          output.result(entries.map(toJson), () => entries.map(text).join('\n') || 'No entries.')
          return
        }
        const onTrouble = (message: string) => output.warn(message)
        for await (const entry of followLog(leader, query, { signal: session.signal, clock: session.clock, onTrouble }))
          output.entry(toJson(entry), () => text(entry))
      }),
    )
}

function queryOf(options: LogsOptions): LogQuery {
  const severity = SEVERITIES[options.severity.toUpperCase()]
  if (severity === undefined) throw usageError(`--severity: '${options.severity}' is none`, 'Choose F, E, W, I or D.')
  const [rs, node] = splitOnce(options.node)
  const [event, object] = splitOnce(options.event)
  return {
    severity,
    tail: options.tail ?? 20,
    ...(rs === undefined ? {} : { rs }),
    ...(node === undefined ? {} : { node }),
    ...(event === undefined ? {} : { event }),
    ...(object === undefined ? {} : { object }),
    ...(options.opid === undefined ? {} : { opid: options.opid }),
  }
}

function splitOnce(text: string | undefined): [string | undefined, string | undefined] {
  if (text === undefined) return [undefined, undefined]
  const slash = text.indexOf('/')
  return slash < 0 ? [text, undefined] : [text.slice(0, slash), text.slice(slash + 1)]
}

/** PBM's fields in PBM's order. */
function toJson({ ts, s, rs, node, e, eobj, ep, opid, msg }: LogEntry) {
  return {
    ts,
    s,
    rs,
    node,
    e,
    eobj,
    ep: { T: ep?.t ?? 0, I: ep?.i ?? 0 },
    ...(opid === undefined ? {} : { opid }),
    msg,
  }
}
