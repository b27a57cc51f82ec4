import { type Config, DEFAULT_COMPRESSION } from '../config/document.js'
import { sealingMethod } from '../encryption/ciphers.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { SlicerSettings } from './slicer.js'

const DEFAULT_SPAN_MINUTES = 10

/** What of the configuration a slicer takes over while it runs. Compression falls back to that of backups, as in PBM. */
export async function slicerSettings(
  { pitr, backup, encryption: sealing }: Config,
  host: PluginHost,
): Promise<SlicerSettings> {
  const name = pitr?.compression ?? backup?.compression ?? DEFAULT_COMPRESSION
  const plugin = await host.compression(name)
  // A level is one of its method.
  const level = pitr?.compressionLevel ?? (pitr?.compression === undefined ? backup?.compressionLevel : undefined)
  const encryption = await sealingMethod(sealing, host)
  return { spanSeconds: (pitr?.oplogSpanMin || DEFAULT_SPAN_MINUTES) * 60, method: { plugin, name, level, encryption } }
}
