import { invalidConfig } from '../control/config-check.js'
import type { StorageConfig } from '../control/config-document.js'
import { schemaFaults } from '../control/config-faults.js'
import { secretsOf } from '../control/config-mask.js'
import { childSchema, isRecord, withoutNulls } from '../control/config-values.js'
import type { PluginHost } from '../plugin/host.js'
import type { PluginContext } from '../plugin/plugin.js'
import type { SchemaNode } from '../plugin/schema.js'
import type { ObjectStore, StoragePlugin } from '../plugin/storage.js'
import { scrubbed, scrubbedStore } from './scrub.js'

/**
 * Opens the storage that the configuration names. Rejects with PLUGIN_… when its plugin can't be loaded, CONFIG_INVALID
 * when the options don't fit it, and the codes of a storage when the place can't be reached. No message holds a secret.
 */
export async function openStore(
  host: PluginHost,
  storage: StorageConfig,
  context: PluginContext,
): Promise<ObjectStore> {
  const plugin = await host.storage(storage.type)
  const options = storageOptions(storage, plugin)
  const secrets = secretsOf(options, plugin.optionsSchema as SchemaNode)
  const store = await plugin.open(options, context).catch((error: unknown) => {
    throw scrubbed(error, secrets)
  })
  return secrets.length === 0 ? store : scrubbedStore(store, secrets)
}

/**
 * The options of `storage` as the plugin's schema has them. Keys that it does not know are left out: the document may be
 * PBM's, with options that only matter there. Throws CONFIG_INVALID for a wrong value.
 */
export function storageOptions(storage: StorageConfig, plugin: StoragePlugin): Record<string, unknown> {
  const schema = plugin.optionsSchema as SchemaNode
  const stored = withoutNulls(storage[plugin.name] ?? {})
  const options = knownOnly(stored, schema)
  const faults = schemaFaults(options, schema)
  if (faults.length > 0) {
    throw invalidConfig(faults.map((fault) => ({ ...fault, path: ['storage', plugin.name, ...fault.path] })))
  }
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
