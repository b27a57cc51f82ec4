import { createHmac } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FindAzuriteOptions, findAzurite } from './find-azurite.js'
import { freePort } from './free-port.js'
import { isListening } from './probe.js'
import { type ServerProcess, startServerProcess } from './server-process.js'
import { temporaryFolder } from './supervisor.js'

const START_TIMEOUT_MS = 120_000
const POLL_MS = 25
const SAVED_WITHIN_MS = 6_000

/** A running Azurite (Microsoft's emulator of Blob Storage) on 127.0.0.1, its data in a folder that goes with it. */
export interface Azurite extends ServerProcess {
  readonly account: string
  /** The well-known key of the emulator, in base64. */
  readonly key: string
  /** `http://127.0.0.1:port/account`. */
  readonly endpoint: string
  createContainer(name: string): Promise<void>
  /** Kills it once its data is saved, and starts it again on the same port and data. */
  restart(): Promise<void>
}

/** Starts an Azurite and waits until it serves. Rejects when none can be had; see {@link findAzurite}. */
export async function startAzurite(options: FindAzuriteOptions = {}): Promise<Azurite> {
  const main = await findAzurite(options)
  const folder = await temporaryFolder('pbmkit-azurite-')
  const port = await freePort()
  const account = 'devstoreaccount1'
  const key = Buffer.from('a key of the testbed, of sixty-four bytes as those of accounts, x').toString('base64')
  const args = [
    ...[main, '--silent', '--skipApiVersionCheck', '--disableTelemetry', '--disableProductStyleUrl'],
    ...['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', folder],
  ]
  const server = await startServerProcess({
    title: 'Azurite',
    program: process.execPath,
    args,
    env: { PATH: process.env.PATH, HOME: folder, AZURITE_ACCOUNTS: `${account}:${key}` },
    cwd: folder,
    folder,
    startTimeoutMs: START_TIMEOUT_MS,
    isReady: () => isListening(port),
  })
  const endpoint = `http://127.0.0.1:${port}/${account}`
  return {
    ...server,
    ...{ account, key, endpoint },
    createContainer: (name) => createContainer(endpoint, account, key, name),
    restart: async () => {
      await saved(folder)
      await server.restart()
    },
  }
}

/**
 * It writes what it knows of containers and blobs every five seconds, if that changed, and would forget the rest when
 * killed. Its way to end in peace waits for open connections, so that no test could see one break.
 */
async function saved(folder: string): Promise<void> {
  const files = ['__azurite_db_blob__.json', '__azurite_db_blob_extent__.json'].map((name) => join(folder, name))
  const since = Date.now()
  while (Date.now() - since < SAVED_WITHIN_MS) {
    const times = await Promise.all(
      files.map((file) =>
        stat(file).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      ),
    )
    if (times.every((time) => time > since)) return
    await sleep(POLL_MS)
  }
}

/** Signed by the key (learn.microsoft.com: "Authorize with Shared Key"), so that this testbed needs no SDK. */
async function createContainer(endpoint: string, account: string, key: string, name: string): Promise<void> {
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' }
  const signed = [
    // Method, and eleven standard headers, all of them empty.
    ...['PUT', ...Array.from({ length: 11 }, () => '')],
    ...Object.entries(headers).map(([header, value]) => `${header}:${value}`),
    // The account is in the path of the URL, too, as always with the emulator.
    `/${account}/${account}/${name}`,
    'restype:container',
  ].join('\n')
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(signed).digest('base64')
  const answer = await fetch(`${endpoint}/${name}?restype=container`, {
    method: 'PUT',
    headers: { ...headers, authorization: `SharedKey ${account}:${signature}` },
  })
  if (!answer.ok) throw new Error(`Azurite makes no container: ${answer.status} ${await answer.text()}`)
}
