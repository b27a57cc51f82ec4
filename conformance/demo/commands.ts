import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { spawnSupervised } from '@pbmkit/conformance/testbed'

/** What a command prints for people goes on to the terminal; `output` is its standard output. */
export interface CommandResult {
  readonly output: string
}

export interface CommandOptions {
  readonly env: Readonly<Record<string, string>>
  readonly input?: string
  /** Keep standard output to ourselves. */
  readonly quiet?: boolean
  readonly signal: AbortSignal
}

/** Runs a program of this repository by the Node.js that runs the demo. Rejects unless it exits with 0. */
export async function runProgram(
  script: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  options.signal.throwIfAborted()
  const terminal = process.stderr.isTTY === true
  const child = spawnSupervised(process.execPath, [script, ...args], {
    env: { ...process.env, ...options.env },
    // On a terminal the command draws its own progress bar.
    stdio: ['pipe', 'pipe', terminal ? 'inherit' : 'pipe'],
  })
  const stop = () => child.kill('SIGTERM')
  options.signal.addEventListener('abort', stop, { once: true })
  try {
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk
      if (options.quiet !== true) process.stdout.write(chunk)
    })
    showProgress(child)
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    options.signal.throwIfAborted()
    if (code !== 0) throw new Error(`pbm ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`)
    return { output }
  } finally {
    options.signal.removeEventListener('abort', stop)
  }
}

interface Progress {
  readonly phase?: string
  readonly bytes?: number
  readonly totalBytes?: number
}

/** Without a terminal the command reports JSON lines; a phase and its quarters are enough to read in a log. */
function showProgress(child: ChildProcess): void {
  if (child.stderr === null) return
  let shown = ''
  createInterface({ input: child.stderr }).on('line', (line) => {
    const progress = parseProgress(line)
    if (progress === undefined) {
      process.stderr.write(`${line}\n`)
      return
    }
    const { phase = 'working', bytes = 0, totalBytes = 0 } = progress
    const quarter = totalBytes > 0 ? ` ${Math.floor(Math.min(1, bytes / totalBytes) * 4) * 25} %` : ''
    const text = `  … ${phase}${quarter}`
    if (text !== shown) process.stderr.write(`${text}\n`)
    shown = text
  })
}

function parseProgress(line: string): Progress | undefined {
  try {
    return (JSON.parse(line) as { progress?: Progress }).progress
  } catch {
    return undefined
  }
}
