import { PluginError } from '@pbmkit/core/plugin'
import ssh2, { type CipherAlgorithm, type Client, type ServerHostKeyAlgorithm } from 'ssh2'
import { Channel } from './channel.js'
import type { Credentials } from './credentials.js'
import { type HostKeys, KEY_FAMILIES, typeOf } from './host-key.js'
import { portOf, type SftpOptions, serverOf } from './options.js'
import { prepareKeys } from './prepared-keys.js'
import { sshSocket } from './ssh-socket.js'

const READY_TIMEOUT_MS = 30_000
/** A server that has answered nothing three times as long is given up. */
const KEEPALIVE_MS = 10_000

/** Node has the first of these in native code; ssh2 would begin with one that it computes itself. */
const CIPHERS: CipherAlgorithm[] = [
  ...(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-gcm', 'aes256-gcm'] as const),
  ...(['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'] as const),
]

export interface Login {
  readonly options: SftpOptions
  readonly keys: HostKeys
  readonly credentials: Credentials
}

export interface Opened {
  readonly client: Client
  readonly channel: Channel
}

/**
 * Connects, checks the server's key, and only then logs in. A server shows one of its keys only, of the kind it is asked
 * for: where a fingerprint is known and not the kind, all kinds are asked for until it comes.
 */
export async function logIn(login: Login): Promise<Opened> {
  const { keys } = login
  let families = keys.families
  let refused: HostKeyRefused | undefined
  for (;;) {
    try {
      return await attempt(login, families.flat())
    } catch (error) {
      if (!(error instanceof HostKeyRefused))
        throw refused !== undefined && hasNoSuchKey(error) ? refused.reason : error
      refused ??= error
      const shown = KEY_FAMILIES.find((family) => family.some((each) => sameKind(each, error.type)))
      families = families.filter((family) => family !== shown)
      if (!keys.anyKind || families.length === 0 || shown === undefined) throw refused.reason
    }
  }
}

class HostKeyRefused extends Error {
  readonly reason: PluginError
  readonly type: string

  constructor(reason: PluginError, type: string) {
    super(reason.message)
    this.reason = reason
    this.type = type
  }
}

/** An RSA key is called `ssh-rsa`, whichever way it signs. */
function sameKind(algorithm: ServerHostKeyAlgorithm, type: string): boolean {
  return algorithm === type
}

async function attempt(login: Login, serverHostKey: ServerHostKeyAlgorithm[]): Promise<Opened> {
  const { options, keys, credentials } = login
  const client = new ssh2.Client()
  const { socket, reuseMemory } = sshSocket(portOf(options), options.host)
  try {
    return await new Promise<Opened>((resolve, reject) => {
      client.on('error', (error) => reject(error))
      client.on('close', () => reject(new Error('the server has closed the connection')))
      client.on('ready', () => {
        client.setNoDelay(true)
        if (prepareKeys(client)) reuseMemory()
        client.sftp((error, sftp) => {
          if (error) reject(noSftp(options, error))
          else resolve({ client, channel: new Channel(client, sftp) })
        })
      })
      client.connect({
        sock: socket,
        username: credentials.username,
        authHandler: [...credentials.methods],
        readyTimeout: READY_TIMEOUT_MS,
        keepaliveInterval: KEEPALIVE_MS,
        algorithms: { serverHostKey, cipher: CIPHERS },
        // Before anything is sent that the server could use.
        hostVerifier: (key: Buffer) => {
          const reason = keys.refusal(key)
          if (reason !== undefined) reject(new HostKeyRefused(reason, typeOf(key)))
          return reason === undefined
        },
      })
    })
  } catch (error) {
    client.destroy()
    throw explained(error, login)
  }
}

function hasNoSuchKey(error: unknown): boolean {
  return error instanceof PluginError && /no matching host key format/.test(String((error.cause as Error).message))
}

function noSftp(options: SftpOptions, cause: Error): PluginError {
  const text = `${serverOf(options)} lets the user in, but offers no SFTP (${cause.message}); see "Subsystem sftp" in its sshd_config`
  return new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
}

function explained(error: unknown, { options, credentials }: Login): unknown {
  if (error instanceof HostKeyRefused || error instanceof PluginError) return error
  const { message, level = '', code = '' } = error as Error & { level?: string; code?: string }
  const server = serverOf(options)
  // Without what ssh2 hangs on its errors.
  const cause = Object.assign(new Error(message), { level, code })
  const failed = (text: string, retriable: boolean) =>
    new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable })
  if (level === 'client-authentication' || level === 'agent') {
    const why = level === 'agent' ? `: ${message}` : ''
    const text = `${server} does not let ${credentials.username} in by ${credentials.shown}${why}; check storage.sftp.username and these, and the user's authorized_keys on the server`
    return new PluginError('STORAGE_DENIED', text, { cause })
  }
  if (level === 'handshake') {
    return failed(`${server} and this program have no common ground: ${message}`, false)
  }
  if (level === 'protocol') return failed(`what listens at ${server} does not speak SSH: ${message}`, false)
  if (code === 'ECONNREFUSED') return failed(`nothing listens at ${server}; check storage.sftp.host and port`, true)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || level === 'client-dns')
    return failed(`the host of ${server} is not known; check storage.sftp.host and name resolution`, true)
  if (level === 'client-timeout' || ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code))
    return failed(`${server} does not answer; check the network, the firewall, storage.sftp.host and port`, true)
  return failed(`the connection to ${server} broke: ${message}`, true)
}
