import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { errorText, PbmError } from '@pbmkit/core'
import type { MetricsSettings } from './settings.js'

export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

interface Loaded {
  /** Changes whenever a file does. */
  readonly state: string
  readonly tls: TlsFiles | undefined
  /** Hashes of `user:password`; undefined where everybody may read. */
  readonly users: readonly Buffer[] | undefined
}

/** Who may read the metrics, and the certificate of the endpoint: from files of this machine. */
export class EndpointAccess {
  readonly #settings: MetricsSettings
  #loaded: Loaded

  private constructor(settings: MetricsSettings, loaded: Loaded) {
    this.#settings = settings
    this.#loaded = loaded
  }

  /** Rejects with FILE_UNREADABLE or SETTINGS_INVALID. */
  static async read(settings: MetricsSettings): Promise<EndpointAccess> {
    return new EndpointAccess(settings, await load(settings))
  }

  get tls(): TlsFiles | undefined {
    return this.#loaded.tls
  }

  /** Whether a user and a password are asked for. */
  get asks(): boolean {
    return this.#loaded.users !== undefined
  }

  /** Reads changed files; whether there were any. Rejects as {@link read} does, and keeps what it had. */
  async refresh(): Promise<boolean> {
    if ((await stateOf(this.#settings)) === this.#loaded.state) return false
    this.#loaded = await load(this.#settings)
    return true
  }

  admits(authorization: string | undefined): boolean {
    const { users } = this.#loaded
    if (users === undefined) return true
    const [, encoded] = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '') ?? []
    if (encoded === undefined) return false
    const given = hashed(Buffer.from(encoded, 'base64').toString())
    // All of them, so that the time does not tell which one it was nearest to.
    return users.filter((known) => timingSafeEqual(known, given)).length > 0
  }
}

async function load(settings: MetricsSettings): Promise<Loaded> {
  const { tlsCert, tlsKey, users } = settings
  // First: what changes while it is read is read again.
  const state = await stateOf(settings)
  const [cert, key, lines] = await Promise.all(
    [tlsCert, tlsKey, users].map((path) => (path === undefined ? undefined : read(path))),
  )
  const tls = cert === undefined || key === undefined ? undefined : checkedTls({ cert, key }, settings)
  return { state, tls, users: lines === undefined ? undefined : usersIn(lines.toString(), users) }
}

function checkedTls(tls: TlsFiles, { tlsCert, tlsKey }: MetricsSettings): TlsFiles {
  try {
    createSecureContext({ ...tls })
    return tls
  } catch (error) {
    throw new PbmError(
      'SETTINGS_INVALID',
      `${tlsCert} and ${tlsKey} are no certificate with its key: ${errorText(error)}`,
    )
  }
}

function usersIn(text: string, file: string | undefined): Buffer[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'))
  const wrong = lines.findIndex((line) => !/^[^:]+:./.test(line))
  if (lines.length > 0 && wrong < 0) return lines.map(hashed)
  const what = lines.length === 0 ? 'has no user' : `entry ${wrong + 1} is not user:password`
  throw new PbmError('SETTINGS_INVALID', `${file}: ${what}`, { hint: 'Write one user:password a line' })
}

async function stateOf({ tlsCert, tlsKey, users }: MetricsSettings): Promise<string> {
  const files = [tlsCert, tlsKey, users].filter((path) => path !== undefined)
  const states = await Promise.all(files.map(statOf))
  return JSON.stringify(states)
}

async function statOf(path: string): Promise<readonly number[]> {
  const { mtimeMs, ino, size } = await stat(path).catch((error: unknown) => unreadable(path, error))
  return [mtimeMs, ino, size]
}

async function read(path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => unreadable(path, error))
}

function unreadable(path: string, error: unknown): never {
  throw new PbmError('FILE_UNREADABLE', `can't read ${path}: ${errorText(error)}`)
}

/** Of one length, as comparing them needs. */
function hashed(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
