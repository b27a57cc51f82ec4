import { Long, Timestamp } from 'mongodb'
import { MOST_CHARACTERS } from '../config/query.js'
import { isPrintable } from '../secrets/printable.js'
import type { Command } from './command-document.js'
import { isDocument } from './wire.js'

/** Of any list or map. */
const MOST_ELEMENTS = 10_000

interface Kind {
  /** For messages. */
  readonly what: string
  readonly fits: (value: unknown) => boolean
}

const isText = (value: unknown) => typeof value === 'string' && value.length <= MOST_CHARACTERS
const isFew = (values: readonly unknown[]) => values.length <= MOST_ELEMENTS

const isNewName = (value: unknown) =>
  typeof value === 'string' && isText(value) && isPrintable(value) && !/^$|^\.\.?$|[/\\]/.test(value)

const TEXT: Kind = { what: 'a text', fits: isText }
const FLAG: Kind = { what: 'true or false', fits: (value) => typeof value === 'boolean' }
const NUMBER: Kind = {
  what: 'a number',
  fits: (value) => Number.isFinite(value) || Long.isLong(value),
}
const TIME: Kind = { what: 'a timestamp', fits: (value) => value instanceof Timestamp }
const TEXTS: Kind = {
  what: 'a list of texts',
  fits: (value) => Array.isArray(value) && isFew(value) && value.every(isText),
}
const PAIRS: Kind = {
  what: 'a list of pairs, from and to',
  fits: (value) => Array.isArray(value) && isFew(value) && value.every(isPair),
}
const DOCUMENT: Kind = { what: 'a document', fits: (value) => isDocument(value) && !Array.isArray(value) }
const MAP: Kind = {
  what: 'a map of texts',
  fits: (value) => DOCUMENT.fits(value) && entriesFit(Object.entries(value as object)),
}
const BESIDE: Kind = { what: 'verify or drill', fits: (value) => value === 'verify' || value === 'drill' }
/** Of an operation that is being made. */
const NEW_NAME: Kind = { what: 'a name without control characters and slashes', fits: isNewName }

/** Null and absent are one, as PBM writes them, but for these. */
const must = (kind: Kind) => ({ ...kind, required: true })

type Fields = Readonly<Record<string, Kind & { readonly required?: boolean }>>

interface Payload {
  readonly key: string
  readonly required: boolean
  readonly fields: Fields
}

const RESTORE: Fields = {
  name: must(NEW_NAME),
  backupName: must(TEXT),
  nss: TEXTS,
  nsFrom: TEXT,
  nsTo: TEXT,
  usersAndRoles: FLAG,
  rsMap: MAP,
  fallbackEnabled: FLAG,
  allowPartlyDone: FLAG,
  numParallelColls: NUMBER,
  numParallelFiles: NUMBER,
  numInsertionWorkers: NUMBER,
  indexCommitQuorum: TEXT,
  oplogTS: TIME,
  external: FLAG,
  extConf: DOCUMENT,
  extTS: TIME,
  exit: FLAG,
  sender: TEXT,
  allowUnsealed: FLAG,
  withoutUsersAndRoles: FLAG,
  pairs: PAIRS,
  keepExisting: FLAG,
  query: TEXT,
}

/** Fields that are not listed are nobody's and not looked at. */
const PAYLOADS: Readonly<Record<Command['cmd'], Payload | undefined>> = {
  backup: payload('backup', {
    type: TEXT,
    base: FLAG,
    // A name that is text but can't be one leaves a record that says so.
    name: must(TEXT),
    nss: TEXTS,
    compression: must(TEXT),
    level: NUMBER,
    numParallelColls: NUMBER,
    numParallelFiles: NUMBER,
    filelist: FLAG,
    profile: TEXT,
    usersAndRoles: FLAG,
  }),
  restore: payload('restore', RESTORE),
  restorePart: payload('restore', RESTORE),
  planRestore: payload('restore', RESTORE),
  replay: payload('replay', {
    name: must(NEW_NAME),
    start: must(TIME),
    end: must(TIME),
    rsMap: MAP,
    sender: TEXT,
    allowUnsealed: FLAG,
  }),
  cancelBackup: undefined,
  resync: {
    ...payload('resync', { name: TEXT, all: FLAG, clear: FLAG, includeRestores: FLAG }),
    required: false,
  },
  delete: payload('delete', { backup: TEXT, olderthan: NUMBER, type: TEXT, profile: TEXT }),
  deletePitr: payload('deletePitr', { olderthan: NUMBER }),
  cleanup: payload('cleanup', { olderThan: must(TIME), profile: TEXT, lifecycleAt: TIME }),
  addConfigProfile: payload('profile', {
    name: must(TEXT),
    profile: FLAG,
    storage: must(DOCUMENT),
    lifecycle: DOCUMENT,
  }),
  removeConfigProfile: payload('profile', { name: must(TEXT) }),
  rotateKeys: payload('rotateKeys', { dryRun: FLAG }),
  drill: payload('drill', { backup: must(TEXT), time: TIME }),
  cancelBeside: payload('cancelBeside', { kind: must(BESIDE) }),
  verify: payload('verify', {
    ...{ backup: TEXT, all: FLAG, pitr: FLAG, time: TIME, since: NUMBER, readData: NUMBER, profile: TEXT },
  }),
}

/** What keeps a document from being a command of PBM's or ours, in words; undefined where nothing does. */
export function commandFault(found: Readonly<Record<string, unknown>>): string | undefined {
  const kind = found.cmd
  if (typeof kind !== 'string' || !Object.hasOwn(PAYLOADS, kind)) return 'its cmd is not known'
  const asked = PAYLOADS[kind as Command['cmd']]
  if (asked === undefined) return undefined
  const { key, required, fields } = asked
  const given = found[key]
  if (given === undefined || given === null) return required ? `${key} is missing` : undefined
  if (!DOCUMENT.fits(given)) return `${key} is not ${DOCUMENT.what}`
  for (const [name, field] of Object.entries(fields)) {
    const value = (given as Record<string, unknown>)[name]
    const isAbsent = value === undefined || value === null
    if (isAbsent ? field.required === true : !field.fits(value)) return `${key}.${name} is not ${field.what}`
  }
  if (kind === 'restorePart' && !namesPart(given as Record<string, unknown>))
    return `${key} names no part: it has neither nss nor nsFrom nor pairs`
  return undefined
}

/** All that the backup has is asked for by another command. */
function namesPart({ nss, nsFrom, pairs }: Record<string, unknown>): boolean {
  const isNamed = (value: unknown) => (typeof value === 'string' || Array.isArray(value)) && value.length > 0
  return [nss, nsFrom, pairs].some(isNamed)
}

function payload(key: string, fields: Fields): Payload {
  return { key, required: true, fields }
}

function isPair(value: unknown): boolean {
  return DOCUMENT.fits(value) && ['from', 'to'].every((key) => isText((value as Record<string, unknown>)[key]))
}

function entriesFit(entries: readonly [string, unknown][]): boolean {
  return isFew(entries) && entries.every(([key, value]) => isText(key) && isText(value))
}
