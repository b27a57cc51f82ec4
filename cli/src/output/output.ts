import { printable, printableJson } from '@pbmkit/core'
import { usageError } from '../errors.js'
import { type Colours, coloursFor } from './colour.js'

export type Format = 'text' | 'json' | 'json-pretty'

/** PBM takes any other word for text, and a script with a typo then parses prose. */
export function parseFormat(text: string): Format {
  if (text === 'text' || text === 'json' || text === 'json-pretty') return text
  throw usageError(`--out: '${text}' is not an output format`, 'Choose text, json or json-pretty.')
}

/** The part of a stream that output needs; process.stdout and process.stderr are such. */
export interface TextStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/**
 * Results go to standard output and nothing else does; notes, warnings, questions and progress go to standard error.
 * So `pbm … -o json | jq` always gets exactly one JSON value (or one a line from `logs -f`).
 */
export class Output {
  readonly colours: Colours
  readonly #stdout: TextStream
  readonly #env: NodeJS.ProcessEnv

  constructor(
    readonly format: Format,
    stdout: TextStream,
    readonly stderr: TextStream,
    env: NodeJS.ProcessEnv,
  ) {
    this.#stdout = stdout
    this.#env = env
    this.colours = coloursFor(stdout, env)
  }

  get json(): boolean {
    return this.format !== 'text'
  }

  /** The one result of a command, in the form the user asked for. */
  result(value: unknown, text: () => string): void {
    this.#stdout.write(`${this.json ? this.#encode(value) : shown(text())}\n`)
  }

  /** One of many results that come over time: always one line, also with `json-pretty`. */
  entry(value: unknown, text: () => string): void {
    this.#stdout.write(`${this.json ? printableJson(JSON.stringify(value)) : shown(text())}\n`)
  }

  /** Something a person should know beside the result. */
  note(message: string): void {
    this.stderr.write(this.json ? `${printableJson(JSON.stringify({ note: message }))}\n` : `${shown(message)}\n`)
  }

  warn(message: string): void {
    const { caution } = coloursFor(this.stderr, this.#env)
    const json = () => printableJson(JSON.stringify({ warning: message }))
    this.stderr.write(this.json ? `${json()}\n` : `${caution('Warning:')} ${shown(message)}\n`)
  }

  #encode(value: unknown): string {
    return printableJson(JSON.stringify(value, undefined, this.format === 'json-pretty' ? 2 : undefined))
  }
}

/** What `colours` puts into text: bold, dim, red, green, yellow, and their ends. */
const PAINT = new RegExp(`(${String.fromCharCode(0x1b)}\\[(?:1|2|22|31|32|33|39)m)`)

/** The text as a terminal may have it, painted as it is. */
export function shown(text: string): string {
  return text
    .split(PAINT)
    .map((part, index) => (index % 2 === 1 ? part : printable(part)))
    .join('')
}
