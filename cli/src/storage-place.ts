import { type Config, maskText, PbmError, type PluginHost } from '@pbmkit/core'

/** Where a configuration keeps its backups, for people and for PBM's `path` field; never with a secret in it. */
export async function storagePlace(host: PluginHost, storage: Config['storage']): Promise<string> {
  try {
    const plugin = await host.storage(storage.type)
    return maskText(plugin.describe((storage[plugin.name] ?? storage[storage.type] ?? {}) as object))
  } catch (error) {
    // A status must not fail because this machine lacks a plugin that only the agents need.
    if (error instanceof PbmError && error.code.startsWith('PLUGIN_')) return `(${error.message})`
    throw error
  }
}
