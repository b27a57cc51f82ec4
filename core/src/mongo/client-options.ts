import type { MongoClientOptions } from 'mongodb'
import type { ConnectionString } from 'mongodb-connection-string-url'
import { STALE_SECONDS } from './cluster-time.js'
import { takeOption } from './uri.js'

/** Milliseconds; the URI overrides each. Chosen so that a lost or stepped-down primary is noticed within seconds. */
export const TIMING = {
  connectTimeoutMS: 5_000,
  heartbeatFrequencyMS: 2_000,
  // Longer than an election, which takes up to 12 s with the servers' own settings.
  serverSelectionTimeoutMS: 20_000,
  // Proxies forget connections that are idle without telling; what is sent over one then waits until TCP gives up.
  maxIdleTimeMS: 45_000,
} as const

/**
 * How long the majority may take to acknowledge a control document, in milliseconds: after that, a heartbeat would be
 * stale anyway. `wtimeoutMS` in the URI overrides it; for an agent it can only lengthen it.
 */
export const ACKNOWLEDGE_MS = STALE_SECONDS * 1000

/** The feed keeps one connection for itself, and what beats must not queue behind what takes long. 0 has no bound. */
const LEAST_POOL_SIZE = 20

/** Options that would break off what takes its time, or make what is read depend on who answers. */
const NOT_OF_THE_URI = [
  ...['w', 'readConcernLevel', 'wtimeout', 'wtimeoutMS', 'journal', 'j', 'fsync'],
  ...['readPreference', 'readPreferenceTags', 'maxStalenessSeconds', 'retryReads', 'retryWrites'],
  ...['socketTimeoutMS', 'timeoutMS', 'waitQueueTimeoutMS', 'maxPoolSize'],
]

/**
 * What the driver is told beside the URI, from which what it must not decide is removed.
 *
 * Locks and states are written and read by majority whatever the URI says: PBM's `w=2` is acknowledged by members that a
 * majority read does not ask (PBM: control-plane.md §1.1). Only `w=1&readConcernLevel=local` together, for replica sets
 * that have to go on without a majority, is taken as it is.
 *
 * @param acknowledge how long writes wait for it: `bounded` as the URI says; `lasting` for who has locks and heartbeats to
 * keep up; `patient` without end.
 */
export function clientOptions(
  target: ConnectionString,
  acknowledge: 'bounded' | 'lasting' | 'patient',
): MongoClientOptions {
  const given = new Map(NOT_OF_THE_URI.map((name) => [name, takeOption(target, name)]))
  const inUri = new Set([...target.searchParams.keys()].map((key) => key.toLowerCase()))
  const defaults = Object.fromEntries(Object.entries(TIMING).filter(([name]) => !inUri.has(name.toLowerCase())))
  const pool = Number(given.get('maxPoolSize') ?? Number.NaN)
  const poolSize = pool > 0 ? { maxPoolSize: Math.max(pool, LEAST_POOL_SIZE) } : pool === 0 ? { maxPoolSize: 0 } : {}
  const isLocal = given.get('w') === '1' && given.get('readConcernLevel') === 'local'
  if (isLocal) return { ...defaults, ...poolSize, readConcernLevel: 'local', w: 1 }
  const asked = Number(given.get('wtimeoutMS') ?? given.get('wtimeout') ?? 0) || ACKNOWLEDGE_MS
  return {
    ...defaults,
    ...poolSize,
    readConcernLevel: 'majority',
    w: 'majority',
    ...(acknowledge !== 'patient' && {
      wtimeoutMS: acknowledge === 'bounded' ? asked : Math.max(asked, ACKNOWLEDGE_MS),
    }),
  }
}
