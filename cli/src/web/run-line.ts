import { Readable } from 'node:stream'
import type { Command } from 'commander'
import { type ErrorReport, EXIT, errorReport, exitCodeOf } from '../errors.js'
import type { Ask, Io } from '../io.js'
import { collector } from '../output/collector.js'
import { type Run, Session } from '../session.js'
import { withSubcommands } from '../subcommands.js'

/** Builds the command line anew for one call. */
export type BuildProgram = (run: Run) => Command

export interface LineOptions {
  readonly signal: AbortSignal
  /** Answers the command's question; without it, a command that asks is refused. */
  readonly ask?: Ask
  /** `text` for what people read; otherwise the result is the value that `-o json` prints. */
  readonly out?: 'json' | 'text'
}

/** What came of a command line: its result, or its error as `pbm` would tell it. */
export interface LineOutcome {
  readonly exitCode: number
  readonly result?: unknown
  readonly error?: ErrorReport
  /** Notes and warnings, in order. */
  readonly notes: readonly string[]
}

/**
 * Runs a command line of `pbm` in this process, over the connection of `host`. All that the page shows of single things, and
 * all that it does, goes through here; so it can do what the command line can, and is refused what that is refused.
 */
export async function runLine(
  build: BuildProgram,
  host: Session,
  words: readonly string[],
  { signal, ask, out = 'json' }: LineOptions,
): Promise<LineOutcome> {
  const stdout = collector()
  const stderr = collector()
  const io: Io = {
    ...{ stdin: Readable.from([]), stdout: stdout.stream, stderr: stderr.stream },
    // Nothing of the environment is for these commands: what they need, they have from the host.
    ...{ env: {}, signal },
    ...(ask === undefined ? {} : { ask }),
  }
  const session = new Session(io, { out }, host)
  const program = build(async (_command, body) => body(session))
  for (const command of withSubcommands(program))
    command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
  const notes = () => stderr.text().split('\n').flatMap(noteOf)
  try {
    await program.parseAsync([...words], { from: 'user' })
    const text = stdout.text()
    return { exitCode: session.exitCode, result: out === 'text' ? text : parsed(text), notes: notes() }
  } catch (error) {
    const exitCode = exitCodeOf(error)
    return { exitCode: exitCode === EXIT.done ? EXIT.usage : exitCode, error: errorReport(error), notes: notes() }
  }
}

function parsed(text: string): unknown {
  return text.trim() === '' ? undefined : JSON.parse(text)
}

function noteOf(line: string): string[] {
  if (!line.startsWith('{')) return line.trim() === '' ? [] : [line]
  const { note, warning } = JSON.parse(line) as { note?: string; warning?: string }
  const text = warning ?? note
  return text === undefined ? [] : [text]
}
