import { findFakeGcs } from './find-fake-gcs.js'
import type { FindServerOptions } from './find-go-server.js'
import { freePort } from './free-port.js'
import { type ServerProcess, startServerProcess } from './server-process.js'
import { temporaryFolder } from './supervisor.js'

const START_TIMEOUT_MS = 60_000

export interface FakeGcsOptions extends FindServerOptions {
  /**
   * `memory` keeps any name, as the real service does; `filesystem` only what a file can be called. What is uploaded in
   * chunks is in memory until its end with both.
   */
  readonly backend?: 'memory' | 'filesystem'
}

/** A running fake-gcs-server that listens on 127.0.0.1 only. It asks for no credentials. */
export interface FakeGcs extends ServerProcess {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string
  readonly port: number
  createBucket(name: string): Promise<void>
  /** Starts it again on the same port; objects are there again with the backend `filesystem` only. */
  restart(): Promise<void>
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
  const server = await startServerProcess({
    title: 'fake-gcs-server',
    program: binary,
    args,
    env: { PATH: process.env.PATH },
    folder,
    startTimeoutMs: START_TIMEOUT_MS,
    isReady: () => isReady(endpoint),
  })
  return {
    ...server,
    ...{ endpoint, port },
    createBucket: async (name) => {
      const body = JSON.stringify({ name })
      const answer = await fetch(`${endpoint}/storage/v1/b?project=test`, { method: 'POST', body })
      if (!answer.ok) throw new Error(`no bucket ${name}: HTTP ${answer.status} ${await answer.text()}`)
    },
  }
}

async function isReady(endpoint: string): Promise<boolean> {
  const answer = await fetch(`${endpoint}/_internal/healthcheck`).catch(() => undefined)
  return answer?.ok === true
}
