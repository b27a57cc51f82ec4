import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { main } from './main.js'
import { collector } from './output/collector.js'

const BIN = fileURLToPath(new URL('./bin.js', import.meta.url))

/** How one run of `pbm` ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
}

/** Runs `pbm` in this process, with streams and an environment of its own. Standard input is no terminal. */
export async function pbm(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const stdout = collector()
  const stderr = collector()
  const code = await main(args, {
    stdin: Readable.from(options.input === undefined ? [] : [options.input]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { ...options.env },
    signal: new AbortController().signal,
  })
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

/** Runs the program itself, for what only a process has: signals, exit codes, broken pipes. */
export async function pbmProcess(
  args: readonly string[],
  options: RunOptions & { readonly during?: (child: ChildProcess, told: () => string) => Promise<void> } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  child.stdin.end(options.input ?? '')
  const closed = once(child, 'close')
  await options.during?.(child, () => stdout + stderr)
  const [code] = await closed
  return { code: code as number | null, stdout, stderr }
}
