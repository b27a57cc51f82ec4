import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorText, printable, printableJson, printableLine } from '@pbmkit/core'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { LogLevel } from './settings.js'

/** pino's numbers for PBM's letters. */
const LEVELS: Readonly<Record<LogLevel, string>> = { D: 'debug', I: 'info', W: 'warn', E: 'error', F: 'fatal' }
const LETTERS: Readonly<Record<number, LogLevel>> = { 20: 'D', 30: 'I', 40: 'W', 50: 'E', 60: 'F' }

export interface LocalLogOptions {
  /** A file (its folders are made), or `/dev/stderr`. Where it can't be written, stderr takes its place. */
  readonly path: string
  readonly level: LogLevel
  readonly json: boolean
}

export interface LocalLog {
  readonly logger: Logger
  /** Level and form may change while the agent runs; the path may not. */
  change(options: { readonly level: LogLevel; readonly json: boolean }): void
  /** Everything written reaches the file before this returns. */
  flush(): void
}

/**
 * The agent's own output. Text as PBM's: `2031-02-03T04:05:06Z I [rs0/host:port] [backup/NAME] message`; or one JSON
 * object a line, with the names of fields that `pbm logs -o json` has.
 */
export function openLocalLog(options: LocalLogOptions): LocalLog {
  let json = options.json
  const { sink, fault } = openSink(options.path)
  const stream: DestinationStream = { write: (line) => sink.write(json ? jsonLine(line) : textLine(line)) }
  const logger = pino(
    {
      level: LEVELS[options.level],
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (_label, number) => ({ s: LETTERS[number] ?? 'D' }) },
    },
    stream,
  )
  if (fault !== undefined) logger.warn(`can't log to ${options.path}, stderr takes its place: ${fault}`)
  return {
    logger,
    change: (next) => {
      json = next.json
      logger.level = LEVELS[next.level]
    },
    flush: () => sink.flushSync(),
  }
}

function openSink(path: string) {
  // Synchronous: the last lines before an exit are the ones somebody will look for.
  if (path === '/dev/stderr') return { sink: destination({ dest: 2, sync: true }) }
  if (path === '/dev/stdout') return { sink: destination({ dest: 1, sync: true }) }
  try {
    mkdirSync(dirname(path), { recursive: true })
    return { sink: destination({ dest: path, sync: true, append: true }) }
  } catch (error) {
    return { sink: destination({ dest: 2, sync: true }), fault: errorText(error) }
  }
}

interface Line {
  s: string
  ts: string
  msg?: string
  rs?: string
  node?: string
  event?: string
  object?: string
}

function jsonLine(json: string): string {
  const { s, ts, event, object, msg, ...rest } = JSON.parse(json) as Line
  return `${printableJson(JSON.stringify({ ts, s, ...rest, e: event, eobj: object, msg }))}\n`
}

/** One line of JSON as PBM prints it. */
function textLine(json: string): string {
  const { s, ts, msg = '', rs, node, event, object } = JSON.parse(json) as Line
  const where = rs === undefined ? '' : ` [${rs}/${node ?? ''}]`
  const what =
    event === undefined || event === '' ? '' : ` [${event}${object === undefined || object === '' ? '' : `/${object}`}]`
  const head = printableLine(`${ts.replace(/\.\d+Z$/, 'Z')} ${s}${where}${what}`)
  return `${head} ${printable(msg).replaceAll('\n', '\n  ')}\n`
}
