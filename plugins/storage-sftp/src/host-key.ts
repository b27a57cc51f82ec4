import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { PluginError } from '@pbmkit/core/plugin'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { portOf, type SftpOptions, serverOf } from './options.js'

/** Ways to sign that go with one kind of key, the best first. */
export const KEY_FAMILIES: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
]

/** What is known of the server's key. */
export interface HostKeys {
  /** The kinds of key to ask the server for. */
  readonly families: readonly (readonly ServerHostKeyAlgorithm[])[]
  /** Whether any other of its keys may be the known one. */
  readonly anyKind: boolean
  /** Why `key` is not to be trusted; `undefined`: it is the server's. */
  refusal(key: Buffer): PluginError | undefined
}

/** Reads what is configured. Where nothing is, every key is refused, by an error that tells its fingerprint. */
export async function hostKeys(options: SftpOptions): Promise<HostKeys> {
  const server = serverOf(options)
  const { hostKeyFingerprint, knownHosts } = options
  if (hostKeyFingerprint !== undefined) {
    const wanted = hostKeyFingerprint.replace(/=$/, '')
    return {
      families: KEY_FAMILIES,
      anyKind: true,
      refusal: (key) => {
        if (fingerprintOf(key) === wanted) return undefined
        const text = `${server} shows the key ${described(key)}, and storage.sftp.hostKeyFingerprint is ${wanted}: somebody may be posing as the server. Nothing was sent to it. Only if its key was changed on purpose, set the option to the new fingerprint`
        return denied(text)
      },
    }
  }
  if (knownHosts === undefined)
    return { families: KEY_FAMILIES, anyKind: false, refusal: (key) => unknown(server, key) }
  const keys = knownKeys(await readKnownHosts(knownHosts), options.host, portOf(options))
  const families = KEY_FAMILIES.filter((family) => keys.some(({ type }) => family.some((each) => each === type)))
  return {
    families: families.length > 0 ? families : KEY_FAMILIES,
    anyKind: false,
    refusal: (key) => {
      const same = keys.filter((known) => known.key.length === key.length && timingSafeEqual(known.key, key))
      if (same.some(({ revoked }) => revoked))
        return denied(
          `the key ${described(key)} of ${server} is marked @revoked in ${knownHosts}; nothing was sent to it`,
        )
      if (same.length > 0) return undefined
      if (keys.every(({ revoked }) => revoked)) return unknown(server, key, knownHosts)
      const text = `${server} shows the key ${described(key)}, which differs from what ${knownHosts} holds for it: somebody may be posing as the server. Nothing was sent to it. Only if its key was changed on purpose, replace the line (ssh-keygen -R, then ssh-keyscan)`
      return denied(text)
    },
  }
}

/** As OpenSSH prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** The kind of a key, which stands at its beginning: `ssh-ed25519`. */
export function typeOf(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0
  return key.toString('latin1', 4, 4 + Math.min(length, 64))
}

interface KnownKey {
  readonly type: string
  readonly key: Buffer
  readonly revoked: boolean
}

/** The keys that a `known_hosts` file holds for a server (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function knownKeys(file: string, host: string, port: number): KnownKey[] {
  const name = (port === 22 ? host : `[${host}]:${port}`).toLowerCase()
  const found: KnownKey[] = []
  for (const line of file.split('\n')) {
    const fields = line.trim().split(/\s+/)
    const marker = fields[0]?.startsWith('@') === true ? fields.shift() : undefined
    const [hosts, type, key] = fields
    // Authorities sign certificates of hosts, which ssh2 has not.
    if (hosts === undefined || key === undefined || type === undefined || hosts.startsWith('#')) continue
    if (marker !== undefined && marker !== '@revoked') continue
    if (matches(hosts, name)) found.push({ type, key: Buffer.from(key, 'base64'), revoked: marker !== undefined })
  }
  return found
}

function matches(patterns: string, name: string): boolean {
  const [, version, salt, hash] = patterns.startsWith('|') ? patterns.split('|') : []
  if (version !== undefined) {
    if (version !== '1' || salt === undefined || hash === undefined) return false
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
  }
  const listed = patterns.split(',').map((pattern) => pattern.toLowerCase())
  if (listed.some((pattern) => pattern.startsWith('!') && glob(pattern.slice(1)).test(name))) return false
  return listed.some((pattern) => !pattern.startsWith('!') && glob(pattern).test(name))
}

function glob(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}

async function readKnownHosts(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const text = `storage.sftp.knownHosts ${path} can't be read: ${(cause as Error).message}`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
  }
}

function unknown(server: string, key: Buffer, file?: string): PluginError {
  const where = file === undefined ? 'nothing is configured to know it by' : `${file} has no line for it`
  const text = `${server} shows the key ${described(key)}, and ${where}; nothing was sent to it. Compare it with the key on the server (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then set storage.sftp.hostKeyFingerprint: ${fingerprintOf(key)}, or name a known_hosts file in storage.sftp.knownHosts`
  return denied(text)
}

function described(key: Buffer): string {
  return `${fingerprintOf(key)} (${typeOf(key)})`
}

function denied(text: string): PluginError {
  return new PluginError('STORAGE_DENIED', text)
}
