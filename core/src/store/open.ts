import { invalidConfig } from '../config/check.js'
import type { StorageConfig } from '../config/document.js'
import { schemaFaults } from '../config/faults.js'
import { secretsOf } from '../config/mask.js'
import { childSchema, isRecord, withoutNulls } from '../config/values.js'
import { PluginError } from '../plugin/errors.js'
import type { PluginContext } from '../plugin/plugin.js'
import type { ObjectStore, StoragePlugin } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { SchemaNode } from '../plugin-host/schema.js'
import { redacted, withoutSecrets } from '../secrets/errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import type { OpenStore } from './open-store.js'
import { Meter, meteredStore } from './wrappers/meter.js'
import { redactedStore } from './wrappers/redact.js'
import { type Retry, retriedStore } from './wrappers/retry.js'
import { splitStore } from './wrappers/split.js'
import { type ThrottleConfig, throttledStore } from './wrappers/throttle.js'

export interface OpenOptions {
  /** `backup.throttle` of the configuration. */
  readonly throttle?: ThrottleConfig | undefined
  /** How long a call that fails is tried again (milliseconds); 0 for who wants to know at once. 30 s when absent. */
  readonly retryMs?: number
  /** A place that is missing is not made, for it was used before. */
  readonly mustExist?: boolean
  /** How long the plugin may take to open it (milliseconds); 60 s when absent. */
  readonly openMs?: number
  /** How long its close may take (milliseconds), which is only warned of then; 30 s when absent. */
  readonly closeMs?: number
  readonly clock?: Clock
}

/** A server that swallows requests would keep its client's retries, and an operation with its lock, for many minutes. */
const OPEN_MS = 60_000
/** A storage may wait at its close for calls that never end. */
const CLOSE_MS = 30_000

/**
 * Opens the storage that the configuration names, in core's wrappers. Rejects with PLUGIN_… when its plugin can't be
 * loaded, CONFIG_INVALID when the options don't fit it, and the codes of a storage when the place can't be reached. No
 * message holds a secret.
 */
export async function openStore(
  host: PluginHost,
  storage: StorageConfig,
  context: PluginContext,
  wrapping: OpenOptions = {},
): Promise<OpenStore> {
  const plugin = await host.storage(storage.type)
  const options = storageOptions(storage, plugin)
  await host.checkLocalAccess(plugin, options)
  const secrets = secretsOf(options, plugin.optionsSchema as SchemaNode)
  const redactedContext = {
    ...context,
    mustExist: wrapping.mustExist,
    warn: (text: string) => context.warn(withoutSecrets(text, secrets)),
    debug: (text: string) => context.debug?.(withoutSecrets(text, secrets)),
  }
  const millis = wrapping.openMs ?? OPEN_MS
  const store = await openInTime(plugin, options, redactedContext, millis).catch((error: unknown) => {
    throw redacted(error, secrets)
  })
  return wrappedStore(store, redactedContext, secrets, wrapping)
}

/** Openings that were given up and still go on, by the text of their options. */
const givenUp = new WeakMap<StoragePlugin, Map<string, Promise<unknown>>>()

/**
 * Nothing in a plugin has to heed its signal, and the calls of a dead mount can't: each holds a thread of the few that
 * the process has. So where one was given up, none is begun for the same options until it has ended.
 */
async function openInTime(
  plugin: StoragePlugin,
  options: object,
  context: PluginContext,
  millis: number,
): Promise<ObjectStore> {
  // Not when the time is over: what is thrown in a timer ends the process.
  const place = plugin.describe(options)
  const key = JSON.stringify(options)
  const others = givenUp.get(plugin) ?? new Map<string, Promise<unknown>>()
  givenUp.set(plugin, others)
  if (others.has(key)) {
    const text = `${place} has not answered, and an earlier try to open it still waits; is its server or mount well?`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { retriable: true })
  }
  const over = new AbortController()
  const opening = plugin.open(options, { ...context, signal: AbortSignal.any([context.signal, over.signal]) })
  return await inTime(opening, millis, () => {
    const ended = opening
      .then((late) => late.close())
      .catch(() => undefined)
      .finally(() => {
        // Of several that were begun together, the last one counts.
        if (others.get(key) === ended) others.delete(key)
      })
    others.set(key, ended)
    const text = `${place} has not answered within ${millis / 1000} s; is its server or mount well, and does no firewall or proxy swallow what is sent?`
    const error = new PluginError('STORAGE_UNAVAILABLE', text, { retriable: true })
    over.abort(error)
    return error
  })
}

/**
 * A plugin's store with all that is written once for all of them. From the inside: throttling sees every byte that moves,
 * also when it is sent again; retries are those of single objects, so that splitting and counting see what came of them;
 * and nothing gets out with a secret in it.
 */
export function wrappedStore(
  store: ObjectStore,
  context: PluginContext,
  secrets: readonly string[] = [],
  { throttle = {}, retryMs, closeMs = CLOSE_MS, clock = systemClock }: OpenOptions = {},
): OpenStore {
  const meter = new Meter(clock)
  const onRetry = (retry: Retry) => {
    meter.countRetry()
    if (retry.failures === 1) context.warn(`${messageOf(retry.error)}; trying again`)
  }
  const retried = retriedStore(throttledStore(store, throttle), {
    ...{ clock, signal: context.signal, onRetry },
    ...(retryMs === undefined ? {} : { deadlineMs: retryMs }),
  })
  const { maxObjectBytes } = store.capabilities
  const split =
    maxObjectBytes === undefined ? retried : splitStore(retried, maxObjectBytes, (text) => context.warn(text))
  const whole = redactedStore(meteredStore(split, meter), secrets)
  const close = async () => {
    const late = new Error(`closing the storage: it has not ended within ${closeMs / 1000} s`)
    await inTime(whole.close(), closeMs, () => late).catch((error: unknown) => {
      if (error !== late) throw error
      context.warn(late.message)
    })
  }
  return { ...whole, close }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * The options of `storage` as the plugin's schema has them. Keys that it does not know are left out: the document may be
 * PBM's, with options that only matter there. Throws CONFIG_INVALID for a wrong value.
 */
export function storageOptions(storage: StorageConfig, plugin: StoragePlugin): Record<string, unknown> {
  const schema = plugin.optionsSchema as SchemaNode
  const stored = withoutNulls(storage[plugin.name] ?? {})
  const options = knownOnly(stored, schema)
  const faults = schemaFaults(options, schema, ['storage', plugin.name])
  if (faults.length > 0) throw invalidConfig(faults)
  return options as Record<string, unknown>
}

function knownOnly(value: unknown, schema: SchemaNode): unknown {
  if (!isRecord(value)) return value
  const fields = Object.entries(value).flatMap(([key, field]) => {
    const below = childSchema(schema, key)
    return below === undefined ? [] : [[key, knownOnly(field, below)]]
  })
  return Object.fromEntries(fields)
}
