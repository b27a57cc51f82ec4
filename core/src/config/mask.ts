import type { PluginHost } from '../plugin-host/host.js'
import { isPackageName, PBM_STORAGES } from '../plugin-host/naming.js'
import type { SchemaNode } from '../plugin-host/schema.js'
import { MASK, maskUrls, passwordsInUrls } from '../secrets/text.js'
import { resolveSchema } from './check.js'
import type { Config, StorageConfig } from './document.js'
import { mapSecrets } from './secrets.js'
import { childSchema, isRecord } from './values.js'

/**
 * A copy to show: secrets are `***`, by the plugin's schema. Where there is none, nobody knows which values are secret:
 * all are hidden but numbers and booleans, and in the blocks of PBM's own storages those with such a name.
 */
export async function maskConfig(config: Config, host: PluginHost): Promise<Config> {
  return { ...config, storage: await maskStorage(config.storage, host) }
}

/** What a backup's record has beside the options: the profile's name, and that it is one. Options may be called so, too. */
const NO_OPTIONS = ['type', 'name', 'profile']

/** As {@link maskConfig}, for a storage alone (a profile, the `store` of a backup). */
export async function maskStorage(storage: StorageConfig, host: PluginHost): Promise<StorageConfig> {
  return await mapStorage(storage, host, maskIfHidden)
}

/** The texts that {@link maskStorage} hides, to find them wherever they stand. */
export async function secretsOfStorage(storage: StorageConfig, host: PluginHost): Promise<string[]> {
  const secrets: string[] = []
  await mapStorage(storage, host, (value, hidden) => {
    secrets.push(...secretsIn(value, hidden))
    return value
  })
  return secrets
}

async function mapStorage(
  storage: StorageConfig,
  host: PluginHost,
  show: (value: unknown, hidden: boolean) => unknown,
): Promise<StorageConfig> {
  const { schema, plugin } = await resolveSchema(storage.type, host)
  const known = plugin === undefined ? undefined : childSchema(schema, 'storage')
  const fields = Object.entries(storage).map(([key, value]) => {
    if (NO_OPTIONS.includes(key) && !isRecord(value)) return [key, value]
    // A package of others may call its storage as it likes.
    const namesTell = PBM_STORAGES.includes(key) && !isPackageName(storage.type)
    const masked = mapSecrets(value, childSchema(known, key), show, { namesTell })
    return [key, masked]
  })
  return Object.fromEntries(fields)
}

function maskIfHidden(value: unknown, hidden: boolean): unknown {
  if (hidden && !isNothing(value)) return MASK
  return typeof value === 'string' ? maskUrls(value) : value
}

/** The texts of the secrets in a storage's options, for scrubbing messages. */
export function secretsOf(options: unknown, schema: SchemaNode | undefined): string[] {
  const secrets: string[] = []
  mapSecrets(options, schema, (value, hidden) => {
    secrets.push(...secretsIn(value, hidden))
  })
  return secrets
}

function secretsIn(value: unknown, hidden: boolean): string[] {
  if (hidden && !isNothing(value)) return [String(value)]
  return typeof value === 'string' ? passwordsInUrls(value) : []
}

function isNothing(value: unknown): boolean {
  return value === '' || value === null || value === undefined
}
