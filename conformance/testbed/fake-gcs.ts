import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFakeGcs } from './find-fake-gcs.js'
import type { FindServerOptions } from './find-go-server.js'
import { freePort } from './free-port.js'
import { removeTemporaryFolder, spawnSupervised, temporaryFolder } from './supervisor.js'

const START_TIMEOUT_MS = 60_000
const POLL_MS = 25

export interface FakeGcsOptions extends FindServerOptions {
  /**
   * `memory` keeps any name, as the real service does; `filesystem` only what a file can be called. What is uploaded in
   * chunks is in memory until its end with both.
   */
  readonly backend?: 'memory' | 'filesystem'
}

/** A running fake-gcs-server that listens on 127.0.0.1 only. It asks for no credentials. */
export interface FakeGcs {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string
  readonly port: number
  createBucket(name: string): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  kill(): Promise<void>
  /** Starts it again on the same port; objects are there again with the backend `filesystem` only. */
  restart(): Promise<void>
  /** Kills it and removes its data. */
  stop(): Promise<void>
}

/** Starts a fake-gcs-server and waits until it serves. Rejects when none can be had; see {@link findFakeGcs}. */
export async function startFakeGcs(options: FakeGcsOptions = {}): Promise<FakeGcs> {
  const binary = await findFakeGcs(options)
  const folder = await temporaryFolder('pbmkit-gcs-')
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const args = [
    ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-log-level', 'error'],
    ...['-public-host', `127.0.0.1:${port}`, '-external-url', endpoint],
    ...['-backend', options.backend ?? 'memory', '-filesystem-root', folder],
  ]
  const start = async () => {
    const started = spawnSupervised(binary, args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    const keep = (text: string) => {
      log = (log + text).slice(-4000)
    }
    started.stdout?.setEncoding('utf8').on('data', keep)
    started.stderr?.setEncoding('utf8').on('data', keep)
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await isReady(endpoint))) {
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`fake-gcs-server ended at once:\n${log}`)
      if (Date.now() > deadline) throw new Error(`fake-gcs-server does not serve after ${START_TIMEOUT_MS} ms:\n${log}`)
      await sleep(POLL_MS)
    }
    return started
  }
  let child = await start()
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    ...{ endpoint, port },
    createBucket: async (name) => {
      const body = JSON.stringify({ name })
      const answer = await fetch(`${endpoint}/storage/v1/b?project=test`, { method: 'POST', body })
      if (!answer.ok) throw new Error(`no bucket ${name}: HTTP ${answer.status} ${await answer.text()}`)
    },
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

async function isReady(endpoint: string): Promise<boolean> {
  const answer = await fetch(`${endpoint}/_internal/healthcheck`).catch(() => undefined)
  return answer?.ok === true
}
