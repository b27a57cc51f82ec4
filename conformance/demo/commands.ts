import { once } from 'node:events'
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
  const child = spawnSupervised(process.execPath, [script, ...args], {
    env: { ...process.env, ...options.env },
    // The command shows its own progress.
    stdio: ['pipe', 'pipe', 'inherit'],
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
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    options.signal.throwIfAborted()
    if (code !== 0) throw new Error(`pbm ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`)
    return { output }
  } finally {
    options.signal.removeEventListener('abort', stop)
  }
}
