import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { PbmError } from '@pbmkit/core'
import type { TextStream } from './output/output.js'

/** The world outside as the commands see it; the process in `bin.ts`, streams of their own in tests. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: TextStream
  readonly stderr: TextStream & NodeJS.WritableStream
  readonly env: NodeJS.ProcessEnv
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Answers questions where nobody sits at a terminal; the page of `pbm web` asks its own user. */
  readonly ask?: Ask
}

/** What is known of the question beside its words. */
export interface Asked {
  /** Of a restore: it replaces files. */
  readonly isPhysical?: boolean
}

export type Ask = (question: string, asked: Asked) => Promise<boolean>

/** A whole file, or standard input for `-`. Fails with FILE_UNREADABLE. */
export async function readTextOf(file: string, io: Io): Promise<string> {
  try {
    if (file !== '-') return await readFile(file, 'utf8')
    let text = ''
    for await (const chunk of io.stdin) text += chunk.toString()
    return text
  } catch (cause) {
    throw new PbmError('FILE_UNREADABLE', `can't read ${file === '-' ? 'standard input' : file}`, { cause })
  }
}

/**
 * Asks on standard error, so that standard output stays pure. Anything but y or yes is a no, which ends the command with
 * CANCELED: exit code 0 is for what really happened. Without a terminal there is nobody to ask: CONFIRMATION.
 */
export async function confirm(question: string, io: Io, asked: Asked = {}): Promise<void> {
  if (io.ask !== undefined) {
    if (!(await io.ask(question, asked))) throw canceled()
    return
  }
  if (io.stdin.isTTY !== true)
    throw new PbmError('CONFIRMATION', 'this needs a confirmation, and standard input is not a terminal', {
      hint: 'Add -y (--yes) to go ahead without being asked.',
    })
  const lines = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: io.signal })
    if (!/^y(es)?$/i.test(answer.trim())) throw canceled()
  } finally {
    lines.close()
  }
}

function canceled(): PbmError {
  return new PbmError('CANCELED', 'canceled: nothing was done')
}
