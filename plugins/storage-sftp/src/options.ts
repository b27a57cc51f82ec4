import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf } from '@pbmkit/core/plugin/kit'

/** `storage.sftp`. PBM has no such storage. */
export interface SftpOptions {
  readonly host: string
  readonly port?: number
  /** The user of this process, where it is not given. */
  readonly username?: string
  /** Folder on the server, absolute or from where a login begins; made if it is missing. */
  readonly path: string
  readonly password?: string
  /** The key itself, as in its file. */
  readonly privateKey?: string
  readonly privateKeyFile?: string
  readonly passphrase?: string
  /** Socket of an agent. Without any credentials `SSH_AUTH_SOCK` is taken. */
  readonly agent?: string
  /** `SHA256:…`, as `ssh-keygen -lf` prints it. */
  readonly hostKeyFingerprint?: string
  /** File in the form of OpenSSH's `known_hosts`. */
  readonly knownHosts?: string
  /** Requests of one transfer that wait for an answer. */
  readonly requestsInFlight?: number
  /** GiB; values under 1 are ignored. */
  readonly maxObjSizeGB?: number
}

const text = (description: string, more: object = {}) => ({ type: 'string', minLength: 1, description, ...more })
const secret = (description: string) => text(description, { writeOnly: true })

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['host', 'path'],
  properties: {
    host: text('name or address of the server', { identity: true }),
    port: { type: 'integer', minimum: 1, maximum: 65_535, identity: true, description: 'port; 22 by default' },
    username: text('user on the server; by default that of this process', { identity: true }),
    path: text('folder on the server, absolute or from where a login begins', { identity: true, pattern: '^[^\\0]*$' }),
    password: secret('password of the user'),
    privateKey: secret('private key, the text of its file'),
    privateKeyFile: text('file of the private key, on every node', { localFile: true }),
    passphrase: secret('passphrase of the private key'),
    agent: text('socket of an SSH agent; without any credentials SSH_AUTH_SOCK is taken', { localFile: true }),
    hostKeyFingerprint: text("fingerprint of the server's key, as ssh-keygen -lf prints it: SHA256:…", {
      pattern: '^SHA256:[A-Za-z0-9+/]{43}=?$',
    }),
    knownHosts: text("file of known servers in the form of OpenSSH's known_hosts, on every node", { localFile: true }),
    requestsInFlight: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      description: 'requests of one transfer that wait for an answer; by default as many as 4 MiB need, 64 at the most',
    },
    maxObjSizeGB: { type: 'number', minimum: 0, description: 'size in GiB above which objects are split' },
  },
}

const DEFAULT_PORT = 22
const DEFAULT_MAX_OBJECT_GIB = 5018

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}

export function portOf({ port }: SftpOptions): number {
  return port ?? DEFAULT_PORT
}

/** `host:port`, as messages show the server. */
export function serverOf(options: SftpOptions): string {
  return `${options.host}:${portOf(options)}`
}
