import { type ChildProcess, spawn } from 'node:child_process'
import { open, stat } from 'node:fs/promises'
import { PluginError } from '../plugin/errors.js'
import type { PluginContext } from '../plugin/plugin.js'

/** Where a secret is to be found: never the secret itself. Exactly one of these. */
export interface KeySource {
  readonly file?: string | undefined
  /** Name of an environment variable. */
  readonly env?: string | undefined
  /**
   * A program with its arguments, run without a shell and with no environment but PATH; what it writes to standard output
   * is the secret.
   */
  readonly command?: readonly string[] | undefined
}

const MOST_BYTES = 1024 * 1024
const COMMAND_MS = 60_000

/**
 * The text of a key file, variable or command. `what` names it in messages: 'encryption key'. Rejects with
 * `ENCRYPTION_KEY_MISSING`, which says where it looked and never what it found.
 */
export async function readKeySource(
  source: KeySource,
  what: string,
  context: PluginContext,
  { commandMs = COMMAND_MS }: { readonly commandMs?: number } = {},
): Promise<string> {
  const { file, env, command } = source
  const said = [file, env, command].filter((one) => one !== undefined)
  if (said.length !== 1) {
    throw missing(
      `the ${what} needs exactly one place to come from: a file, a variable of the environment or a command`,
    )
  }
  const text = await (file !== undefined
    ? fromFile(file, what, context)
    : env !== undefined
      ? fromEnvironment(env, what)
      : fromCommand(command ?? [], what, context, commandMs))
  if (text.trim() === '') throw missing(`the ${what} is empty: ${placeOf(source)}`)
  return text
}

/** What a person calls the place, for messages. */
export function placeOf({ file, env, command }: KeySource): string {
  if (file !== undefined) return `file ${file}`
  return env !== undefined ? `environment variable ${env}` : `command ${command?.[0] ?? ''}`
}

async function fromFile(path: string, what: string, { warn }: PluginContext): Promise<string> {
  const unreadable = (why: string) => missing(`the ${what} can't be read from file ${path}: ${why}`)
  const unopened = (cause: NodeJS.ErrnoException) => {
    throw unreadable(cause.code === 'ENOENT' ? 'there is no such file' : (cause.code ?? 'unreadable'))
  }
  // Before it is opened: that would wait for whoever writes into a pipe, and reading a device may never end.
  if (!(await stat(path).catch(unopened)).isFile()) throw unreadable('it is not a regular file')
  const handle = await open(path, 'r').catch(unopened)
  try {
    const { mode, size } = await handle.stat()
    if (size > MOST_BYTES) throw missing(`the ${what} can't be in file ${path}: it has ${size} bytes`)
    if (process.platform !== 'win32' && (mode & 0o007) !== 0) {
      warn(`file ${path} with the ${what} can be read or written by every user of this machine: chmod 600 ${path}`)
    }
    return await handle.readFile('utf8')
  } catch (error) {
    if (error instanceof PluginError) throw error
    throw unreadable((error as NodeJS.ErrnoException).code ?? 'unreadable')
  } finally {
    await handle.close()
  }
}

async function fromEnvironment(name: string, what: string): Promise<string> {
  const value = process.env[name]
  if (value === undefined) throw missing(`the ${what} is not there: environment variable ${name} is not set`)
  return value
}

/**
 * Settles when its output has ended, and in time whatever it does: a program that hangs, or that leaves others behind, is
 * killed with all that it started.
 */
async function fromCommand(
  command: readonly string[],
  what: string,
  { signal }: PluginContext,
  millis: number,
): Promise<string> {
  const [program, ...args] = command
  if (program === undefined) throw missing(`the command that gives the ${what} is empty`)
  const failed = Promise.withResolvers<never>()
  // It may fail before anybody waits for it.
  failed.promise.catch(() => undefined)
  // Its output may hold the secret, and so may the message and arguments that Node puts into an error.
  const fail = (how: string) =>
    failed.reject(missing(`the ${what} can't be had: command ${program} ${how}; run it by hand to see why`))
  // A process group of its own (not on Windows, where it would get a window instead).
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    // The environment holds this process's own password, and the arguments are somebody else's.
    env: process.env.PATH === undefined ? {} : { PATH: process.env.PATH },
    detached: process.platform !== 'win32',
  })
  child.on('error', (error: NodeJS.ErrnoException) =>
    fail(error.code === 'ENOENT' ? 'is not there' : `can't be run (${error.code ?? error.name})`),
  )
  const chunks: Buffer[] = []
  let bytes = 0
  // Without a descriptor left there is none, and the error comes next.
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MOST_BYTES) chunks.push(chunk)
    else fail(`wrote more than ${MOST_BYTES} bytes`)
  })
  const ended = new Promise<string>((resolve) => {
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'))
      else fail(code === null ? `was ended by ${killedBy}` : `ended with exit code ${code}`)
    })
  })
  const late = setTimeout(() => fail(`did not end within ${millis / 1000} s`), millis)
  const stopped = () => fail('was stopped with this program')
  signal.addEventListener('abort', stopped, { once: true })
  if (signal.aborted) stopped()
  // In a group of its own it would outlive a program that ends without telling.
  const orphaned = () => killAll(child)
  process.once('exit', orphaned)
  try {
    return await Promise.race([ended, failed.promise])
  } finally {
    process.off('exit', orphaned)
    clearTimeout(late)
    signal.removeEventListener('abort', stopped)
    killAll(child)
  }
}

function killAll(child: ChildProcess): void {
  child.stdout?.destroy()
  if (child.pid === undefined) return
  try {
    if (process.platform === 'win32') child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // All have ended.
  }
}

function missing(message: string): PluginError {
  return new PluginError('ENCRYPTION_KEY_MISSING', message)
}
