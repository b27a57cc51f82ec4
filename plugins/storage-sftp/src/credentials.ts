import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { PluginError } from '@pbmkit/core/plugin'
import ssh2, { type AnyAuthMethod, type KeyboardInteractiveAuthMethod, type ParsedKey } from 'ssh2'
import type { SftpOptions } from './options.js'

export interface Credentials {
  readonly username: string
  /** In the order they are tried. */
  readonly methods: readonly AnyAuthMethod[]
  /** What is tried, in words that hold no secret. */
  readonly shown: string
}

/** What to log in with; keys are read and opened here, so that their faults are told before any connection is made. */
export async function credentials(options: SftpOptions, env: NodeJS.ProcessEnv = process.env): Promise<Credentials> {
  const username = options.username ?? userInfo().username
  const methods: AnyAuthMethod[] = []
  const shown: string[] = []
  const key = await privateKey(options)
  if (key !== undefined) {
    methods.push({ type: 'publickey', username, ...key })
    shown.push(options.privateKey === undefined ? `the key of ${options.privateKeyFile}` : 'storage.sftp.privateKey')
  }
  const given = options.password !== undefined || key !== undefined
  const agent = options.agent ?? (given ? undefined : env.SSH_AUTH_SOCK || undefined)
  if (agent !== undefined) {
    methods.push({ type: 'agent', username, agent })
    shown.push(`the agent at ${agent}`)
  }
  const { password } = options
  if (password !== undefined) {
    methods.push({ type: 'password', username, password })
    // Many servers ask for the password in a dialogue only. To a second question, of a token say, there is no answer.
    const prompt: KeyboardInteractiveAuthMethod['prompt'] = (_name, _instructions, _lang, prompts, finish) =>
      finish(prompts.map(({ echo }) => (echo === true ? '' : password)))
    methods.push({ type: 'keyboard-interactive', username, prompt })
    shown.push('storage.sftp.password')
  }
  if (methods.length === 0) {
    const text =
      'there is nothing to log in with: set storage.sftp.privateKeyFile, privateKey, password or agent, or start this process with SSH_AUTH_SOCK'
    throw new PluginError('STORAGE_DENIED', text)
  }
  return { username, methods, shown: shown.join(', ') }
}

async function privateKey(options: SftpOptions): Promise<{ key: ParsedKey } | undefined> {
  const { privateKeyFile } = options
  if (options.privateKey === undefined && privateKeyFile === undefined) return undefined
  const where =
    options.privateKey === undefined ? `storage.sftp.privateKeyFile ${privateKeyFile}` : 'storage.sftp.privateKey'
  const refused = (text: string) => new PluginError('STORAGE_DENIED', `${where} ${text}`)
  const text = options.privateKey ?? (await readKey(privateKeyFile ?? '', refused))
  const parsed = ssh2.utils.parseKey(text, options.passphrase)
  // A file may hold several keys; ssh2 gives a list then.
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  if (first instanceof Error || first === undefined) {
    if (/no passphrase given/.test(String(first))) throw refused('is encrypted; set storage.sftp.passphrase')
    if (options.passphrase !== undefined) {
      throw refused(
        "can't be opened with storage.sftp.passphrase: it is not the passphrase of this key, or this is no private key",
      )
    }
    throw refused('is no private key in a form that is known (OpenSSH, PEM, PPK)')
  }
  const key = first as ParsedKey
  if (!key.isPrivateKey()) throw refused('is a public key; the private one is needed')
  return { key }
}

async function readKey(path: string, refused: (text: string) => PluginError): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw refused(`can't be read: ${(error as Error).message}`)
  }
}
