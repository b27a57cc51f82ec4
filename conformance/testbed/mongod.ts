import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import type { TlsFiles } from './certificates.js'
import { findMongod } from './find-mongod.js'
import { freePort } from './free-port.js'
import { type CuttableNetwork, startNetworkTo } from './network.js'
import { hello, isListening } from './probe.js'
import { isAtLeast, versionOfBinary } from './server-version.js'
import { spawnSupervised } from './supervisor.js'
import { buildUri, type UriOptions } from './uri.js'

const START_TIMEOUT_MS = 60_000
const POLL_MS = 25

/** One running (or killed, or paused) mongod that listens on 127.0.0.1 only. */
export interface MongodProcess {
  /** `127.0.0.1:port`, as replica-set configurations name it. */
  readonly host: string
  readonly port: number
  /** In front of it, where it was started with one: all who speak to it go through it. */
  readonly network: CuttableNetwork | undefined
  /** Of the running process; of the last one when it is dead. */
  readonly pid: number
  readonly running: boolean
  /** A connection string to this server alone (`directConnection`), as the testbed's admin unless told otherwise. */
  uri(options?: UriOptions): string
  /** Sends a signal and waits for the process to be gone (SIGSTOP and SIGCONT: use `pause` and `resume`). */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again on the same port and data, after a clean shutdown if it still runs. Waits until it serves. */
  restart(): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers, as when a machine or a network hangs. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** The end of the server's log, for messages of failed tests. */
  logTail(lines?: number): string
}

export interface LaunchOptions {
  /** Path of the binary; default: the one that {@link findMongod} finds. */
  readonly mongod?: string | undefined
  /** Data, log and keys live here. */
  readonly folder: string
  readonly replSet?: string | undefined
  readonly keyFile?: string | undefined
  readonly tls?: TlsFiles | undefined
  readonly mongodArgs?: readonly string[] | undefined
  /** Added to the environment of this process. */
  readonly environment?: NodeJS.ProcessEnv | undefined
  /** Gives it an address behind which it can be cut off. */
  readonly cuttable?: boolean | undefined
  /** Passwords of known users; the first is the default user of `uri()`. */
  readonly credentials: ReadonlyMap<string, string>
}

/** Looked for once a process: each look runs the binary to see whether it works. */
let binary: Promise<string> | undefined
/** By path. */
const versions = new Map<string, Promise<string>>()

/** Starts one mongod and waits until it answers `hello`. */
export async function launchMongod(options: LaunchOptions): Promise<MongodProcess> {
  if (options.mongod === undefined) binary ??= findMongod()
  const mongod = options.mongod ?? (await binary) ?? ''
  const version = versions.get(mongod) ?? versionOfBinary(mongod)
  versions.set(mongod, version)
  const data = join(options.folder, 'data')
  const log = join(options.folder, 'mongod.log')
  await mkdir(data, { recursive: true })
  const port = await freePort()
  const own = `127.0.0.1:${port}`
  const network = options.cuttable === true ? await startNetworkTo(own) : undefined
  const host = network?.address ?? own
  const args = [
    ...['--bind_ip', '127.0.0.1', '--port', String(port), '--nounixsocket'],
    ...['--dbpath', data, '--logpath', log, '--logappend'],
    ...['--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false'],
    // A clean shutdown otherwise waits up to 15 s for clients to leave.
    ...(isAtLeast(await version, '5.0') ? ['--setParameter', 'shutdownTimeoutMillisForSignaledShutdown=100'] : []),
    ...(options.replSet === undefined ? [] : ['--replSet', options.replSet]),
    ...(options.keyFile === undefined ? [] : ['--keyFile', options.keyFile]),
    ...(options.tls === undefined ? [] : tlsArgs(options.tls)),
    ...(options.mongodArgs ?? []),
  ]
  let child: ChildProcess

  const logTail = (lines = 20): string => {
    try {
      return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    } catch {
      return ''
    }
  }

  const start = async (): Promise<void> => {
    const started = spawnSupervised(mongod, args, {
      stdio: 'ignore',
      env: { ...process.env, ...options.environment },
    })
    child = started
    const failed = once(started, 'error').then(([error]) => {
      throw error
    })
    failed.catch(() => undefined)
    await Promise.race([waitUntilServing(started), failed])
  }

  const waitUntilServing = async (started: ChildProcess): Promise<void> => {
    const uri = buildUri({ hosts: [own], direct: true, caFile: options.tls?.ca })
    const deadline = Date.now() + START_TIMEOUT_MS
    for (;;) {
      if (hasExited(started)) {
        throw new Error(`mongod on ${host} ended at once (${exitText(started)}). Its log ends:\n${logTail()}`)
      }
      if ((await isListening(port)) && isSettled(await hello(uri))) return
      if (Date.now() > deadline) {
        throw new Error(`mongod on ${host} does not serve after ${START_TIMEOUT_MS} ms:\n${logTail()}`)
      }
      await sleep(POLL_MS)
    }
  }

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (hasExited(child)) return
    const exited = once(child, 'exit')
    child.kill(signal)
    // A stopped process acts on nothing but SIGKILL until it is continued.
    child.kill('SIGCONT')
    await exited
  }

  await start()
  return {
    host,
    port,
    network,
    get pid() {
      return child.pid ?? -1
    },
    get running() {
      return !hasExited(child)
    },
    uri: ({ user, password } = {}) => {
      const [first] = options.credentials.keys()
      const name = user === false ? undefined : (user ?? first)
      return buildUri({
        hosts: [host],
        user: name,
        password: password ?? (name === undefined ? undefined : options.credentials.get(name)),
        direct: true,
        caFile: options.tls?.ca,
      })
    },
    kill,
    restart: async () => {
      await kill('SIGTERM')
      await start()
    },
    pause: () => {
      child.kill('SIGSTOP')
    },
    resume: () => {
      child.kill('SIGCONT')
    },
    logTail,
  }
}

/** A restarted member is of use once it is a member again; a new one knows no replica set yet. */
function isSettled(reply: Document | undefined): boolean {
  return (
    reply !== undefined &&
    [reply.isWritablePrimary, reply.secondary, reply.arbiterOnly, reply.isreplicaset].includes(true)
  )
}

function tlsArgs(tls: TlsFiles): string[] {
  return [
    ...['--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', tls.server, '--tlsCAFile', tls.ca],
    '--tlsAllowConnectionsWithoutCertificates',
  ]
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function exitText(child: ChildProcess): string {
  return child.signalCode ?? `exit code ${child.exitCode}`
}
