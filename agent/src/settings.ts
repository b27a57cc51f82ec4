import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { DEFAULT_LOCAL_ACCESS, errorText, type LocalAccess, PbmError, type ScratchSettings } from '@pbmkit/core'
import { LineCounter, parseDocument } from 'yaml'
import type { MetricsSettings } from './metrics/settings.js'
import { entryFault } from './notify/allowed-hosts.js'

/** Timers can't wait for longer, and who asks for more means as long as it takes. */
const LONGEST_GRACE_SECONDS = Math.floor((2 ** 31 - 1) / 1000)

const DEFAULT_CACHE_GB = 0.5
const DEFAULT_KEEP_FREE_GB = 1
/** What a mongod takes as the size of its cache. */
const LEAST_GB = 0.25
const MOST_GB = 10_000

/** How the agent was told to run (PBM: cli-and-config.md §2). */
export interface Settings {
  readonly mongodbUri: string
  /** Lowest-priority parallelism of dumps: command and configuration win. Absent: what the dump finds fit. */
  readonly dumpParallelCollections: number | undefined
  readonly logPath: string
  readonly logLevel: LogLevel
  readonly logJson: boolean
  readonly pluginDir: string | undefined
  /** What the options of plugins, which stand in `pbmConfig`, may make this agent read and run. */
  readonly localAccess: LocalAccess
  /** Where notifications of the configuration may be sent: `HOST`, `HOST:PORT`, or the beginning of an address. */
  readonly allowNotify: readonly string[]
  /** Seconds to wait at the start for a mongod that does not answer yet; 0 does not wait. */
  readonly waitForMongod: number
  /** Seconds that running work is given to end after SIGTERM before it is stopped and marked. */
  readonly stopGrace: number
  /** A command that starts the mongod, as its service manager does; undefined to start it as it was started before. */
  readonly mongodStart: string | undefined
  /** Where a restore writes down how far it is, on this machine, and puts what it opens with a mongod of its own. */
  readonly stateFolder: string
  /** Of a mongod of the agent's own. */
  readonly scratch: ScratchSettings
  /** Seconds between two looks at whether the user that the agent connects as has changed. */
  readonly checkUser: number
  /** Absent: nothing listens. */
  readonly metrics: MetricsSettings | undefined
  /** The file the settings came from, watched for changes of the log's level and form. */
  readonly file: string | undefined
}

export const LOG_LEVELS = ['D', 'I', 'W', 'E', 'F'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What commander gives: texts, or nothing where the flag is absent. */
export interface Flags {
  readonly config?: string
  readonly mongodbUri?: string
  readonly mongodbUriFile?: string
  readonly dumpParallelCollections?: string
  readonly logPath?: string
  readonly logLevel?: string
  /** Without a value: true. */
  readonly logJson?: string | boolean
  readonly pluginDir?: string
  readonly allowFiles?: readonly string[]
  readonly allowKeyCommand?: readonly string[]
  readonly allowNotify?: readonly string[]
  readonly waitForMongod?: string
  readonly stopGrace?: string
  readonly mongodStart?: string
  readonly stateFolder?: string
  readonly scratchFolder?: string
  readonly scratchCache?: string
  readonly scratchKeepFree?: string
  readonly scratchMongod?: string
  readonly checkUser?: string
  readonly metricsListen?: string
  readonly metricsTlsCert?: string
  readonly metricsTlsKey?: string
  readonly metricsUsers?: string
}

interface Source {
  /** Name for messages. */
  readonly name: string
  readonly value: unknown
}

/** One setting, wherever it can come from. `flag` is the key in {@link Flags}. */
interface Place {
  readonly flag: keyof Flags
  readonly option: string
  readonly env: string
  readonly key: string
}

const PLACES = {
  uri: place('mongodbUri', '--mongodb-uri', 'PBM_MONGODB_URI', 'mongodb-uri'),
  uriFile: place('mongodbUriFile', '--mongodb-uri-file', 'PBM_MONGODB_URI_FILE', 'mongodb-uri-file'),
  parallel: place(
    'dumpParallelCollections',
    '--dump-parallel-collections',
    'PBM_DUMP_PARALLEL_COLLECTIONS',
    'backup.dump-parallel-collections',
  ),
  logPath: place('logPath', '--log-path', 'LOG_PATH', 'log.path'),
  logLevel: place('logLevel', '--log-level', 'LOG_LEVEL', 'log.level'),
  logJson: place('logJson', '--log-json', 'LOG_JSON', 'log.json'),
  pluginDir: place('pluginDir', '--plugin-dir', 'PBM_PLUGIN_DIR', 'plugin-dir'),
  files: place('allowFiles', '--allow-files', 'PBM_ALLOW_FILES', 'allow-files'),
  commands: place('allowKeyCommand', '--allow-key-command', 'PBM_ALLOW_KEY_COMMAND', 'allow-key-command'),
  notify: place('allowNotify', '--allow-notify', 'PBM_ALLOW_NOTIFY', 'allow-notify'),
  wait: place('waitForMongod', '--wait-for-mongod', 'PBM_WAIT_FOR_MONGOD', 'wait-for-mongod'),
  start: place('mongodStart', '--mongod-start', 'PBM_MONGOD_START', 'mongod.start'),
  state: place('stateFolder', '--state-folder', 'PBM_STATE_FOLDER', 'state-folder'),
  scratch: place('scratchFolder', '--scratch-folder', 'PBM_SCRATCH_FOLDER', 'scratch.folder'),
  scratchCache: place('scratchCache', '--scratch-cache', 'PBM_SCRATCH_CACHE', 'scratch.cache'),
  scratchFree: place('scratchKeepFree', '--scratch-keep-free', 'PBM_SCRATCH_KEEP_FREE', 'scratch.keep-free'),
  scratchMongod: place('scratchMongod', '--scratch-mongod', 'PBM_SCRATCH_MONGOD', 'scratch.mongod'),
  checkUser: place('checkUser', '--check-user', 'PBM_CHECK_USER', 'check-user'),
  metrics: place('metricsListen', '--metrics-listen', 'PBM_METRICS_LISTEN', 'metrics.listen'),
  metricsCert: place('metricsTlsCert', '--metrics-tls-cert', 'PBM_METRICS_TLS_CERT', 'metrics.tls-cert'),
  metricsKey: place('metricsTlsKey', '--metrics-tls-key', 'PBM_METRICS_TLS_KEY', 'metrics.tls-key'),
  metricsUsers: place('metricsUsers', '--metrics-users', 'PBM_METRICS_USERS', 'metrics.users'),
  grace: place('stopGrace', '--stop-grace', 'PBM_STOP_GRACE', 'stop-grace'),
} as const

/**
 * Puts the settings together: flag, then environment, then file, then default. Rejects with SETTINGS_INVALID, which names
 * where the wrong value stands, and URI_MISSING.
 */
export async function loadSettings(flags: Flags, env: NodeJS.ProcessEnv): Promise<Settings> {
  const file = flags.config === undefined ? new Map<string, unknown>() : await readSettingsFile(flags.config)
  const find = ({ flag, option, env: variable, key }: Place): Source | undefined => {
    if (flags[flag] !== undefined) return { name: option, value: flags[flag] }
    if (env[variable] !== undefined && env[variable] !== '') return { name: variable, value: env[variable] }
    return file.has(key) ? { name: `${key} in ${flags.config}`, value: file.get(key) } : undefined
  }
  const stateFolder = text(find(PLACES.state)) ?? env.STATE_DIRECTORY?.split(':')[0] ?? join(homedir(), '.pbmkit')
  return {
    mongodbUri: await findUri(find),
    dumpParallelCollections: wholeNumber(find(PLACES.parallel), 1),
    logPath: text(find(PLACES.logPath)) ?? '/dev/stderr',
    logLevel: logLevel(find(PLACES.logLevel)) ?? 'D',
    logJson: truth(find(PLACES.logJson)) ?? false,
    pluginDir: text(find(PLACES.pluginDir)),
    localAccess: {
      folders: absolutePaths(find(PLACES.files)) ?? DEFAULT_LOCAL_ACCESS.folders,
      commands: absolutePaths(find(PLACES.commands)) ?? DEFAULT_LOCAL_ACCESS.commands,
    },
    allowNotify: places(find(PLACES.notify)),
    waitForMongod: wholeNumber(find(PLACES.wait), 0) ?? 60,
    stopGrace: Math.min(wholeNumber(find(PLACES.grace), 0) ?? 10, LONGEST_GRACE_SECONDS),
    mongodStart: text(find(PLACES.start)),
    stateFolder,
    scratch: scratchSettings(find, stateFolder),
    checkUser: wholeNumber(find(PLACES.checkUser), 1) ?? 60,
    metrics: metricsSettings(find),
    file: flags.config,
  }
}

function scratchSettings(find: (place: Place) => Source | undefined, stateFolder: string): ScratchSettings {
  const mongod = absolutePath(find(PLACES.scratchMongod))
  return {
    folder: absolutePath(find(PLACES.scratch)) ?? join(stateFolder, 'scratch'),
    cacheGb: String(gigabytes(find(PLACES.scratchCache)) ?? DEFAULT_CACHE_GB),
    keepFree: Math.ceil((gigabytes(find(PLACES.scratchFree)) ?? DEFAULT_KEEP_FREE_GB) * 2 ** 30),
    ...(mongod === undefined ? {} : { mongod }),
  }
}

function metricsSettings(find: (place: Place) => Source | undefined): MetricsSettings | undefined {
  const [listen, cert, key, users] = [PLACES.metrics, PLACES.metricsCert, PLACES.metricsKey, PLACES.metricsUsers].map(
    find,
  )
  const address = text(listen)
  if (listen === undefined || address === undefined) {
    const idle = [cert, key, users].find((source) => source !== undefined)
    if (idle !== undefined) throw invalid(`${idle.name}: metrics are not served`, 'Give --metrics-listen as well')
    return undefined
  }
  const [, v6, name, port = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]*)):(\d+)$/i.exec(address) ?? []
  if (port === '' || Number(port) > 65_535)
    throw invalid(`${listen.name}: ${JSON.stringify(address)} is no address with a port`, 'Such as 127.0.0.1:9216')
  const [tlsCert, tlsKey] = [text(cert), text(key)]
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw invalid(`${(cert ?? key)?.name}: certificate and key are only given together`)
  return { listen: { host: v6 ?? (name || undefined), port: Number(port) }, tlsCert, tlsKey, users: text(users) }
}

async function findUri(find: (place: Place) => Source | undefined): Promise<string> {
  const uri = text(find(PLACES.uri))
  if (uri !== undefined) return uri
  const file = text(find(PLACES.uriFile))
  if (file === undefined) {
    throw new PbmError('URI_MISSING', 'no MongoDB URI was given', {
      hint: 'Set PBM_MONGODB_URI, PBM_MONGODB_URI_FILE (a file that holds it) or --mongodb-uri',
    })
  }
  return (await readText(file, 'the file of the MongoDB URI')).trim()
}

/** The leaves of the YAML file by their dotted path. */
async function readSettingsFile(path: string): Promise<Map<string, unknown>> {
  const lineCounter = new LineCounter()
  // prettyErrors would put the source, and with it the URI's password, into the messages.
  const document = parseDocument(await readText(path, 'the configuration file of the agent'), {
    lineCounter,
    prettyErrors: false,
  })
  const [fault] = document.errors
  if (fault !== undefined) {
    const { line, col } = lineCounter.linePos(fault.pos[0])
    throw invalid(`${path}: line ${line}, column ${col}: ${fault.message}`)
  }
  const leaves = new Map<string, unknown>()
  const known = new Set<string>(Object.values(PLACES).map(({ key }) => key))
  const walk = (value: unknown, prefix: string): void => {
    for (const [key, child] of Object.entries(value ?? {})) {
      const full = prefix + key
      if (known.has(full)) {
        if (child !== null) leaves.set(full, child)
      } else if (typeof child === 'object' && [...known].some((other) => other.startsWith(`${full}.`))) {
        walk(child, `${full}.`)
      } else throw invalid(`${path}: unknown key ${full}`, `Known: ${[...known].join(', ')}`)
    }
  }
  const content = contentOf(document, path)
  if (content !== null && (typeof content !== 'object' || Array.isArray(content))) {
    throw invalid(`${path}: not a list of keys and values`)
  }
  walk(content, '')
  return leaves
}

function contentOf(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    // Aliases without an anchor, or far too many.
    throw invalid(`${path}: ${errorText(error)}`)
  }
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new PbmError('FILE_UNREADABLE', `can't read ${what}: ${errorText(error)}`)
  }
}

function text(source: Source | undefined): string | undefined {
  if (source === undefined || source.value === '') return undefined
  if (typeof source.value !== 'string') throw invalid(`${source.name}: not a text`)
  return source.value
}

function absolutePath(source: Source | undefined): string | undefined {
  const path = text(source)
  if (path === undefined || isAbsolute(path)) return path
  throw invalid(`${source?.name}: ${JSON.stringify(path)} is no absolute path`)
}

/** From a list, or a text with `:` between the paths, as in PATH. */
function absolutePaths(source: Source | undefined): readonly string[] | undefined {
  if (source === undefined) return undefined
  const { name, value } = source
  const paths: readonly unknown[] = Array.isArray(value) ? value : String(value).split(':').filter(Boolean)
  return paths.map((path) => {
    if (typeof path === 'string' && isAbsolute(path)) return path
    throw invalid(`${name}: ${JSON.stringify(path)} is no absolute path`)
  })
}

/** From a list, or a text with commas. */
function places(source: Source | undefined): readonly string[] {
  if (source === undefined) return []
  const { name, value } = source
  const entries: readonly unknown[] = Array.isArray(value) ? value : String(value).split(',').filter(Boolean)
  return entries.map((entry) => {
    const text = typeof entry === 'string' ? entry.trim() : ''
    const fault = entryFault(text)
    if (fault === undefined) return text
    throw invalid(`${name}: ${JSON.stringify(entry)} ${fault}`)
  })
}

function truth(source: Source | undefined): boolean | undefined {
  if (source === undefined) return undefined
  const value = String(source.value).toLowerCase()
  if (['true', '1', 't', 'yes'].includes(value)) return true
  if (['false', '0', 'f', 'no'].includes(value)) return false
  throw invalid(`${source.name}: ${JSON.stringify(source.value)} is neither true nor false`)
}

function wholeNumber(source: Source | undefined, least: number): number | undefined {
  if (source === undefined) return undefined
  const number = Number(source.value)
  if (source.value !== '' && Number.isSafeInteger(number) && number >= least) return number
  throw invalid(`${source.name}: ${JSON.stringify(source.value)} is not a whole number from ${least} up`)
}

function gigabytes(source: Source | undefined): number | undefined {
  if (source === undefined) return undefined
  const number = Number(source.value)
  if (source.value !== '' && number >= LEAST_GB && number <= MOST_GB) return number
  throw invalid(`${source.name}: ${JSON.stringify(source.value)} is no number of GB from ${LEAST_GB} to ${MOST_GB}`)
}

function logLevel(source: Source | undefined): LogLevel | undefined {
  if (source === undefined) return undefined
  const level = LOG_LEVELS.find((known) => known === source.value)
  if (level !== undefined) return level
  throw invalid(`${source.name}: ${JSON.stringify(source.value)} is no log level`, 'Use D, I, W, E or F')
}

function place(flag: keyof Flags, option: string, env: string, key: string): Place {
  return { flag, option, env, key }
}

function invalid(message: string, hint?: string): PbmError {
  return new PbmError('SETTINGS_INVALID', message, hint === undefined ? {} : { hint })
}
