import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { PluginHost } from '../plugin-host/host.js'
import type { SchemaNode } from '../plugin-host/schema.js'
import { resolveSchema } from './check.js'
import type { StorageConfig } from './document.js'
import { trimSlashes } from './trim.js'
import { childSchema, isRecord } from './values.js'

/**
 * Whether both name the same place, by the options their plugin marks `identity`. Where the plugin can't be loaded, all
 * options count: then a needless resync is the mistake, and not a list of another storage's backups.
 */
export async function sameStorage(a: StorageConfig, b: StorageConfig, host: PluginHost): Promise<boolean> {
  if (a.type !== b.type) return false
  const { schema, plugin } = await resolveSchema(a.type, host)
  if (plugin === undefined) return isDeepStrictEqual(a, b)
  const options = childSchema(childSchema(schema, 'storage'), plugin.name)
  return isDeepStrictEqual(identityOf(a[plugin.name], options), identityOf(b[plugin.name], options))
}

/** Equal for two that {@link sameStorage} takes for one: a hash, since a place may have a password in it. */
export async function storageFingerprint(storage: StorageConfig, host: PluginHost): Promise<string> {
  const { schema, plugin } = await resolveSchema(storage.type, host)
  const options = plugin === undefined ? undefined : childSchema(childSchema(schema, 'storage'), plugin.name)
  const place = plugin === undefined ? storage : identityOf(storage[plugin.name], options)
  const text = JSON.stringify([storage.type, place])
  return createHash('sha256').update(text).digest('hex')
}

function identityOf(value: unknown, schema: SchemaNode | undefined): unknown {
  if (schema?.identity === true) {
    // An empty text or map is the same as none.
    if (typeof value === 'string') return trimSlashes(value) || undefined
    return isRecord(value) && Object.keys(value).length === 0 ? undefined : (value ?? undefined)
  }
  const parts = Object.entries(schema?.properties ?? {}).map(([key, child]) => [
    key,
    identityOf(isRecord(value) ? value[key] : undefined, child),
  ])
  const told = parts.filter(([, part]) => part !== undefined)
  return told.length === 0 ? undefined : Object.fromEntries(told)
}
