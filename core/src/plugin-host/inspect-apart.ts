import { type ChildProcess, fork } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { InspectedPlugin, PluginHostOptions } from './host.js'
import { neededEnvironment } from './needed-environment.js'

/** A plugin that hangs while it is loaded must not keep a process alive. */
const LIMIT_MS = 60_000

const PROGRAM = fileURLToPath(new URL('./inspect-process.js', import.meta.url))

/**
 * As `PluginHost.inspect`, in a process of its own: an agent should not carry the libraries of every storage in its memory,
 * nor run what a package that nobody configured does when it is loaded. `undefined` when that process ends without a word.
 */
export async function inspectApart(
  options: PluginHostOptions,
  signal?: AbortSignal,
): Promise<readonly InspectedPlugin[] | undefined> {
  if (signal?.aborted === true) return undefined
  const child = fork(PROGRAM, [], { stdio: 'ignore', execArgv: [], env: neededEnvironment(process.env) })
  stepBack(child)
  const stop = (): void => void child.kill('SIGKILL')
  const timer = setTimeout(stop, LIMIT_MS)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await new Promise<readonly InspectedPlugin[] | undefined>((resolve) => {
      child.once('message', (found) => resolve(found as InspectedPlugin[]))
      child.once('error', () => resolve(undefined))
      child.once('exit', () => resolve(undefined))
      child.send(options, () => undefined)
    })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
    child.kill()
  }
}

/** Loading the libraries of every storage takes a second of CPU, which the mongod of this machine has better use for. */
function stepBack({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already, or the system does not let it be changed.
  }
}
