/** `@pbmkit/core`: pipelines, protocol and formats. The agent and the CLI build on this entry; plugins on `./plugin`. */

export * from './archive/crc64.js'
export * from './bson/build.js'
export * from './bson/documents.js'
export * from './bson/elements.js'
export * from './errors.js'
export * from './mongo/raw-read.js'
export * from './mongo/raw-write.js'
export * from './plugin/host.js'
export * from './plugin/index.js'
export { compressionBySuffix, type PluginKind, withoutAlias } from './plugin/naming.js'
export { none } from './plugin/none.js'
export * from './store/backup-metadata.js'
export * from './store/mask-secrets.js'
export * from './store/names.js'
export * from './store/namespace-objects.js'
export * from './store/pbm-version.js'
export * from './time/clock.js'
export * from './mongo/cluster-time.js'
export * from './mongo/connect.js'
export * from './mongo/topology.js'
export * from './mongo/uri.js'
export * from './version.js'
export {
  type ConfigChange,
  configMissing,
  readConfig,
  readEpoch,
  requireConfig,
  resetEpoch,
  setPitrEnabled,
  writeConfig,
} from './control/config.js'
export * from './control/config-document.js'
export { type ConfigValue, getConfigKey, parseSetting, type Setting, setConfigKeys } from './control/config-keys.js'
export { MASK, maskConfig, maskStorage, sameStorage } from './control/config-mask.js'
export { parseConfig } from './control/config-parse.js'
export { openStore, storageOptions } from './store/open.js'
export * from './archive/demultiplex.js'
export * from './archive/metadata.js'
export * from './archive/reader.js'
export * from './archive/writer.js'
export * from './bson/extended-json.js'
