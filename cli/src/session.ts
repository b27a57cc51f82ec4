import { readFile } from 'node:fs/promises'
import {
  type Clock,
  connectLeader,
  DEFAULT_LOCAL_ACCESS,
  ignoredUriOptionsText,
  type LocalAccess,
  PbmError,
  PluginHost,
  systemClock,
} from '@pbmkit/core'
import type { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import type { Io } from './io.js'
import { Output, parseFormat } from './output/output.js'

/** The flags every command takes, before or after its name. */
export interface GlobalOptions {
  mongodbUri?: string
  out?: string
  pluginDir?: string
  allowFiles?: string[]
  allowKeyCommand?: string[]
}

/** One call of `pbm`: where to read and write, and the connection, made when a command first asks for it. */
export class Session {
  readonly output: Output
  readonly plugins: PluginHost
  readonly clock: Clock = systemClock
  /** What the process ends with when the command has told its result. */
  exitCode = 0
  /** Set while Ctrl-C must not end the process before the command has ended by itself. */
  finishFirst = false
  readonly #options: GlobalOptions
  #connection: Promise<{ client: MongoClient; replset: string }> | undefined
  readonly #host: Session | undefined

  /** With a host, over its connection, which stays open when this one is closed. */
  constructor(
    readonly io: Io,
    options: GlobalOptions,
    host?: Session,
  ) {
    this.#options = options
    this.#host = host
    this.output = new Output(parseFormat(options.out ?? 'text'), io.stdout, io.stderr, io.env)
    const pluginDir = options.pluginDir ?? setting(io.env.PBM_PLUGIN_DIR)
    this.plugins =
      host?.plugins ??
      new PluginHost({
        resolveFrom: import.meta.url,
        pluginDir,
        localAccess: localAccess(options, io.env),
      })
  }

  get signal(): AbortSignal {
    return this.io.signal
  }

  /** The primary of the leader replica set. Fails with URI_MISSING where no URI is given, and as `connectLeader` does. */
  async leader(): Promise<MongoClient> {
    return (await this.#connect()).client
  }

  async leaderReplset(): Promise<string> {
    return (await this.#connect()).replset
  }

  /** The connection string, for a command that connects elsewhere. Fails with URI_MISSING. */
  uri(): Promise<string> {
    return mongodbUri(this.#options, this.io.env)
  }

  /** The same for another connection string, in JSON. */
  elsewhere(uri: string): Session {
    return new Session(this.io, { ...this.#options, mongodbUri: uri, out: 'json' })
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined)
    await connection?.client.close()
  }

  #connect(): Promise<{ client: MongoClient; replset: string }> {
    if (this.#host !== undefined) return this.#host.#connect()
    this.#connection ??= this.uri().then((uri) => {
      const ignored = ignoredUriOptionsText(uri)
      if (ignored !== undefined) this.output.note(ignored)
      return connectLeader(uri, { appName: 'pbm', onWaiting: (text) => this.output.note(text) })
    })
    return this.#connection
  }
}

/** Flag, then environment, then the file the environment names (container secrets). */
export async function mongodbUri(options: GlobalOptions, env: NodeJS.ProcessEnv): Promise<string> {
  const given = options.mongodbUri ?? setting(env.PBM_MONGODB_URI)
  if (given !== undefined) return given
  const file = setting(env.PBM_MONGODB_URI_FILE)
  if (file === undefined)
    throw new PbmError('URI_MISSING', 'no MongoDB connection string', {
      hint: 'Give --mongodb-uri, or set PBM_MONGODB_URI, or PBM_MONGODB_URI_FILE to a file that holds it.',
    })
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new PbmError('FILE_UNREADABLE', `PBM_MONGODB_URI_FILE: can't read ${file}`, { cause })
  }
}

/** What the configuration may make this program read and run where it opens a storage itself, as `pbm storage check` does. */
function localAccess({ allowFiles, allowKeyCommand }: GlobalOptions, env: NodeJS.ProcessEnv): LocalAccess {
  return {
    folders: allowFiles ?? setting(env.PBM_ALLOW_FILES)?.split(':') ?? DEFAULT_LOCAL_ACCESS.folders,
    commands: allowKeyCommand ?? setting(env.PBM_ALLOW_KEY_COMMAND)?.split(':') ?? DEFAULT_LOCAL_ACCESS.commands,
  }
}

function setting(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value
}

/** How a command gets its session: opened from its own and the global flags, closed when the body ends. */
export type Run = (command: Command, body: (session: Session) => Promise<void>) => Promise<void>
