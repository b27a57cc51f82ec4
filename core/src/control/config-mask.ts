import { isDeepStrictEqual } from 'node:util'
import { isSecretName, MASK } from '../mask.js'
import type { PluginHost } from '../plugin/host.js'
import type { SchemaNode } from '../plugin/schema.js'
import { resolveSchema } from './config-check.js'
import type { Config, StorageConfig } from './config-document.js'
import { trimSlashes } from './config-trim.js'
import { childSchema, isRecord } from './config-values.js'

/** A copy to show: secrets are `***`, by the plugin's schema, and by their names where there is none. */
export async function maskConfig(config: Config, host: PluginHost): Promise<Config> {
  return { ...config, storage: await maskStorage(config.storage, host) }
}

/** As {@link maskConfig}, for a storage alone (a profile, the `store` of a backup). */
export async function maskStorage(storage: StorageConfig, host: PluginHost): Promise<StorageConfig> {
  const { schema } = await resolveSchema(storage.type, host)
  const known = childSchema(schema, 'storage')
  const fields = Object.entries(storage).map(([key, value]) => [
    key,
    key === 'type' ? value : mask(value, childSchema(known, key), ''),
  ])
  return Object.fromEntries(fields)
}

function mask(value: unknown, schema: SchemaNode | undefined, key: string, secret = false): unknown {
  const described = schema?.type !== undefined
  const hidden = secret || (described ? schema.writeOnly === true : isSecretName(key))
  if (Array.isArray(value)) return value.map((item) => mask(item, schema?.items, key, hidden))
  if (isRecord(value)) {
    return Object.fromEntries(
      // A section under a secret-like name (`credentials`) is secret as a whole only where no schema tells its parts.
      Object.entries(value).map(([name, field]) => [name, mask(field, childSchema(schema, name), name, hidden)]),
    )
  }
  return hidden && value !== '' && value !== null && value !== undefined ? MASK : value
}

/** The texts of the secrets in a storage's options, for scrubbing messages. */
export function secretsOf(options: unknown, schema: SchemaNode | undefined): string[] {
  if (schema?.writeOnly === true && typeof options === 'string' && options !== '') return [options]
  if (!isRecord(options)) return []
  return Object.entries(options).flatMap(([key, value]) => {
    const below = childSchema(schema, key)
    return secretsOf(value, schema?.writeOnly === true && below !== undefined ? { ...below, writeOnly: true } : below)
  })
}

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
