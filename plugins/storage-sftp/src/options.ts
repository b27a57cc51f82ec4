import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf, option } from '@pbmkit/core/plugin/kit'

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
    port: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      identity: true,
      description: 'port of the server; default 22',
    },
    username: text('user on the server; default: that of this process', { identity: true }),
    path: text('folder on the server, absolute or from where a login begins; made at first if it is missing', {
      identity: true,
      pattern: '^[^\\0]*$',
    }),
    password: secret('password of the user, for servers that ask for it either way (password, keyboard-interactive)'),
    privateKey: secret('private key, the text of its file; wins over privateKeyFile'),
    privateKeyFile: text('file of the private key (OpenSSH, PEM or PPK), on every node', { localFile: true }),
    passphrase: secret('passphrase of the private key'),
    agent: text('socket of an SSH agent; default, without other credentials: SSH_AUTH_SOCK', { localFile: true }),
    hostKeyFingerprint: text("fingerprint of the server's key, as ssh-keygen -lf prints it: SHA256:…", {
      pattern: '^SHA256:[A-Za-z0-9+/]{43}=?$',
    }),
    knownHosts: text("file in the form of OpenSSH's known_hosts, hashed or not, on every node", { localFile: true }),
    requestsInFlight: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      description: 'requests of one transfer that wait for an answer; default: what 4 MiB need, at most 64',
    },
    maxObjSizeGB: option.maxObjectGib(5018),
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
