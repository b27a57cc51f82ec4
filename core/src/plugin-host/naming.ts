/** The kinds of plugin; each has its own tokens in the host's container. */
export type PluginKind = 'storage' | 'compression' | 'encryption'

export const PLUGIN_KINDS: readonly PluginKind[] = ['storage', 'compression', 'encryption']

/** Names that mean another plugin. PBM's parallel gzip writes the same format as gzip. */
const ALIASES: Readonly<Record<PluginKind, Readonly<Record<string, string>>>> = {
  storage: {},
  compression: { pgzip: 'gzip' },
  encryption: {},
}

/**
 * What PBM appends to the names of compressed objects (PBM: storage-format.md §5). Chunks of the oplog are recognised by
 * it, so the table is here and not asked of plugins, which may not be installed.
 */
const SUFFIXES: readonly (readonly [suffix: string, method: string])[] = [
  ['.gz', 'gzip'],
  ['.lz4', 'lz4'],
  ['.snappy', 'snappy'],
  ['.s2', 's2'],
  ['.zst', 'zstd'],
]

/** The methods that PBM knows, as `backup.compression` names them. */
export const PBM_COMPRESSIONS: readonly string[] = ['none', 'gzip', 'pgzip', 'snappy', 'lz4', 's2', 'zstd']

/** The storages that PBM knows, with the keys of their options (PBM: cli-and-config.md §3). */
export const PBM_STORAGES: readonly string[] = ['s3', 'minio', 'gcs', 'azure', 'oss', 'oci', 'filesystem', 'blackhole']

/** The compression method of an object by its name; `none` for a suffix that PBM does not know, as PBM decides it. */
export function compressionBySuffix(objectName: string): string {
  return SUFFIXES.find(([suffix]) => objectName.endsWith(suffix))?.[1] ?? 'none'
}

export function withoutAlias(kind: PluginKind, name: string): string {
  const aliases = ALIASES[kind]
  return Object.hasOwn(aliases, name) ? (aliases[name] ?? name) : name
}

/** Whether a name in the configuration is the name of an npm package, which means itself. */
export function isPackageName(name: string): boolean {
  return name.startsWith('@') || name.includes('/') || name.startsWith('pbmkit-')
}

/** What may stand for a plugin in the configuration: a short name, or a legal npm package name (never a path or URL). */
export function isLegalPluginName(name: string): boolean {
  return name.length <= 214 && /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i.test(name)
}

/** The packages that may hold the plugin a configuration names, in the order they are tried. */
export function candidatePackages(kind: PluginKind, name: string): string[] {
  return isPackageName(name) ? [name] : [`@pbmkit/${kind}-${name}`, `pbmkit-${kind}-${name}`]
}

/** The plugins of this project; a test holds them against its folders. */
export const OWN_PLUGINS: Readonly<Record<PluginKind, readonly string[]>> = {
  storage: ['filesystem', 's3', 'minio', 'gcs', 'azure', 'oss', 'oci', 'sftp', 'blackhole'],
  compression: ['gzip', 'lz4', 's2', 'snappy', 'zstd'],
  encryption: ['aes-gcm', 'age'],
}

/** What mends that the plugin of this name is missing; `install` is the command that a package follows. */
export function missingPluginHint(kind: PluginKind, name: string, install = 'npm install'): string {
  if (isPackageName(name)) return `${install} ${name}`
  const own = OWN_PLUGINS[kind]
  if (own.includes(name)) return `${install} @pbmkit/${kind}-${name}`
  return `is the name right? There are ${own.join(', ')}; of another maker: ${install} pbmkit-${kind}-${name}`
}

/** The kind and short name of a package that follows the naming rule, `undefined` for any other package. */
export function pluginOfPackage(packageName: string): { kind: PluginKind; name: string } | undefined {
  const match = /^(?:@pbmkit\/|(?:@[^/]+\/)?pbmkit-)(storage|compression|encryption)-(.+)$/.exec(packageName)
  if (match === null) return undefined
  const [, kind, name] = match
  const scoped = packageName.startsWith('@') && !packageName.startsWith('@pbmkit/')
  return { kind: kind as PluginKind, name: scoped ? packageName : (name ?? packageName) }
}
