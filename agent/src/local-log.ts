import { errorText, printable, printableJson, printableLine } from '@pbmkit/core'
import { type DestinationStream, type Logger, pino } from 'pino'
import { fileOutput, type LogOutput, standardOutput } from './log-output.js'
import { LogSink } from './log-sink.js'
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
  /** Opens the file anew, as after a rotation. Where that fails, the lines go where they went. */
  reopen(): void
  /** Waits for what was logged to be written, a second at the most: whether it is. */
  flush(): Promise<boolean>
}

const FLUSH_MS = 1_000

/**
 * The agent's own output. Text as PBM's: `2031-02-03T04:05:06Z I [rs0/host:port] [backup/NAME] message`; or one JSON
 * object a line, with the names of fields that `pbm logs -o json` has.
 */
export function openLocalLog(options: LocalLogOptions): LocalLog {
  let json = options.json
  const { output, fault } = openOutput(options.path)
  const form = (line: string) => (json ? jsonLine(line) : textLine(line))
  const lossLine = (lost: number, why: string) =>
    form(JSON.stringify({ s: 'W', ts: new Date().toISOString(), msg: `${lost} lines of this log were lost: ${why}` }))
  const sink = new LogSink({ output, lossLine })
  const stream: DestinationStream = { write: (line) => sink.write(form(line)) }
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
    reopen: () => {
      if (isStandard(options.path)) return
      try {
        sink.replace(fileOutput(options.path))
      } catch (error) {
        logger.error(`can't open ${options.path} anew, the log goes on where it was: ${errorText(error)}`)
      }
    },
    flush: () => sink.drain(FLUSH_MS),
  }
}

function isStandard(path: string): path is '/dev/stderr' | '/dev/stdout' {
  return path === '/dev/stderr' || path === '/dev/stdout'
}

function openOutput(path: string): { output: LogOutput; fault?: string } {
  if (isStandard(path)) return { output: standardOutput(path === '/dev/stdout' ? 1 : 2) }
  try {
    return { output: fileOutput(path) }
  } catch (error) {
    return { output: standardOutput(2), fault: errorText(error) }
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
