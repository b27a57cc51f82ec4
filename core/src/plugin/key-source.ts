import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { PluginError } from './errors.js'
import type { PluginContext } from './plugin.js'

/** Where a secret is to be found: never the secret itself. Exactly one of these. */
export interface KeySource {
  readonly file?: string | undefined
  /** Name of an environment variable. */
  readonly env?: string | undefined
  /** A program with its arguments, run without a shell; what it writes to standard output is the secret. */
  readonly command?: readonly string[] | undefined
}

const MOST_BYTES = 1024 * 1024
const COMMAND_MILLIS = 60_000

/**
 * The text of a key file, variable or command. `what` names it in messages: 'encryption key'. Rejects with
 * `ENCRYPTION_KEY_MISSING`, which says where it looked and never what it found.
 */
export async function readKeySource(source: KeySource, what: string, context: PluginContext): Promise<string> {
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
      : fromCommand(command ?? [], what, context))
  if (text.trim() === '') throw missing(`the ${what} is empty: ${placeOf(source)}`)
  return text
}

/** What a person calls the place, for messages. */
export function placeOf({ file, env, command }: KeySource): string {
  if (file !== undefined) return `file ${file}`
  return env !== undefined ? `environment variable ${env}` : `command ${command?.[0] ?? ''}`
}

async function fromFile(path: string, what: string, { warn }: PluginContext): Promise<string> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'there is no such file' : (cause.code ?? 'unreadable')
    throw missing(`the ${what} can't be read from file ${path}: ${why}`)
  })
  try {
    const { mode, size } = await handle.stat()
    if (size > MOST_BYTES) throw missing(`the ${what} can't be in file ${path}: it has ${size} bytes`)
    if (process.platform !== 'win32' && (mode & 0o007) !== 0) {
      warn(`file ${path} with the ${what} can be read or written by every user of this machine: chmod 600 ${path}`)
    }
    return await handle.readFile('utf8')
  } catch (error) {
    if (error instanceof PluginError) throw error
    throw missing(
      `the ${what} can't be read from file ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`,
    )
  } finally {
    await handle.close()
  }
}

async function fromEnvironment(name: string, what: string): Promise<string> {
  const value = process.env[name]
  if (value === undefined) throw missing(`the ${what} is not there: environment variable ${name} is not set`)
  return value
}

function fromCommand(command: readonly string[], what: string, { signal }: PluginContext): Promise<string> {
  const [program, ...args] = command
  if (program === undefined) throw missing(`the command that gives the ${what} is empty`)
  return new Promise((resolve, reject) => {
    const options = { signal, timeout: COMMAND_MILLIS, maxBuffer: MOST_BYTES, encoding: 'utf8' as const }
    const child = execFile(program, args, options, (error, stdout) => {
      // Its output may hold the secret, and so may the message and arguments that Node puts into the error.
      if (error === null) resolve(stdout)
      else
        reject(missing(`the ${what} can't be had: command ${program} ${howItEnded(error)}; run it by hand to see why`))
    })
    child.stdin?.on('error', () => undefined).end()
  })
}

function howItEnded(error: Error & { code?: unknown; signal?: unknown; killed?: boolean }): string {
  if (error.code === 'ENOENT') return 'is not there'
  if (typeof error.code === 'number') return `ended with exit code ${error.code}`
  if (typeof error.code === 'string') return `failed (${error.code})`
  return error.killed === true
    ? `did not end within ${COMMAND_MILLIS / 1000} s`
    : `was ended by ${String(error.signal)}`
}

function missing(message: string): PluginError {
  return new PluginError('ENCRYPTION_KEY_MISSING', message)
}
