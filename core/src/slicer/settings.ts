import { type Config, DEFAULT_COMPRESSION } from '../config/document.js'
import { NO_ENCRYPTION, sealingMethod } from '../encryption/ciphers.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { AgentNeeds } from '../protocol/fitness.js'
import type { SlicerSettings } from './slicer.js'

const DEFAULT_SPAN_MINUTES = 10

/** What of the configuration a slicer takes over while it runs. Compression falls back to that of backups, as in PBM. */
export async function slicerSettings(config: Config, host: PluginHost): Promise<SlicerSettings> {
  const { pitr, backup } = config
  const name = compressionOf(config)
  const plugin = await host.compression(name)
  // A level is one of its method.
  const level = pitr?.compressionLevel ?? (pitr?.compression === undefined ? backup?.compressionLevel : undefined)
  const encryption = await sealingMethod(config.encryption, host)
  return { spanSeconds: (pitr?.oplogSpanMin || DEFAULT_SPAN_MINUTES) * 60, method: { plugin, name, level, encryption } }
}

/** The plugins that a slicer needs. */
export function slicingNeeds(config: Config): AgentNeeds {
  const encryption = config.encryption?.type ?? NO_ENCRYPTION
  return { storage: config.storage.type, compression: compressionOf(config), encryption }
}

function compressionOf({ pitr, backup }: Pick<Config, 'pitr' | 'backup'>): string {
  return pitr?.compression ?? backup?.compression ?? DEFAULT_COMPRESSION
}
