import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeTemporaryFolder, spawnSupervised } from './supervisor.js'

const POLL_MS = 25

/** A server of a storage, as a process that tests pause, kill and start again. */
export interface ServerProcess {
  /** SIGSTOP: connections stay open and nothing answers, as when a machine or a network hangs. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  kill(): Promise<void>
  /** Starts it again on the same port and data. */
  restart(): Promise<void>
  /** Kills it and removes its data. */
  stop(): Promise<void>
}

export interface ServerProcessOptions {
  /** In messages. */
  readonly title: string
  readonly program: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Removed by `stop`. */
  readonly folder: string
  readonly startTimeoutMs: number
  isReady(): Promise<boolean>
}

/** Starts it and waits until it is ready; rejects with what it printed when it ends before, or is too slow. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { title, program, args, env, cwd, folder, startTimeoutMs } = options
  const start = async () => {
    const child = spawnSupervised(program, [...args], {
      env,
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    const keep = (text: string) => {
      log = (log + text).slice(-4000)
    }
    child.stdout?.setEncoding('utf8').on('data', keep)
    child.stderr?.setEncoding('utf8').on('data', keep)
    const deadline = Date.now() + startTimeoutMs
    while (!(await options.isReady())) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${title} ended at once:\n${log}`)
      if (Date.now() > deadline) throw new Error(`${title} does not serve after ${startTimeoutMs} ms:\n${log}`)
      await sleep(POLL_MS)
    }
    return child
  }
  let child = await start()
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill,
    restart: async () => {
      await kill()
      child = await start()
    },
    stop: async () => {
      await kill()
      await removeTemporaryFolder(folder)
    },
  }
}
