import { errorText, PbmError } from '../errors.js'
import type { StoragePlugin } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { isPackageName, PBM_STORAGES } from '../plugin-host/naming.js'
import type { SchemaNode } from '../plugin-host/schema.js'
import { DEFAULT_COMPRESSION } from './document.js'
import { drillFaults } from './drill-checks.js'
import { type ConfigFault, schemaFaults } from './faults.js'
import { notificationFaults } from './notifications.js'
import { scheduleFaults } from './schedules.js'
import { configSchema, type KnownPlugin } from './schema.js'
import { isRecord } from './values.js'

/** The schema of a configuration whose storage type is `type`, and what is wrong with that type's plugin. */
export interface ResolvedSchema {
  readonly schema: SchemaNode
  readonly plugin: StoragePlugin | undefined
  readonly faults: readonly ConfigFault[]
}

/**
 * `encryption` is that section as it was written, where the schema of a whole configuration is needed. `blocks`: the names of
 * all blocks of `storage`.
 */
export async function resolveSchema(
  type: unknown,
  host: PluginHost,
  encryption?: unknown,
  blocks: readonly string[] = [],
): Promise<ResolvedSchema> {
  const { methods, faults } = await resolveEncryption(encryption, host)
  if (typeof type !== 'string' || type === '') {
    return { schema: configSchema(undefined, methods), plugin: undefined, faults }
  }
  try {
    const plugin = await host.storage(type)
    const others = await storagesBeside(blocks, plugin.name, host)
    return { schema: configSchema(plugin, methods, others), plugin, faults }
  } catch (error) {
    const fault = { path: ['storage', 'type'], text: errorText(error), unknownKey: false }
    return { schema: configSchema(undefined, methods), plugin: undefined, faults: [fault, ...faults] }
  }
}

/**
 * Storages that are configured and not in use: PBM keeps such blocks, and tools write several. Where nobody here has the
 * plugin of one of PBM's, its keys can't be judged; one that nobody knows stays a fault.
 */
async function storagesBeside(blocks: readonly string[], used: string, host: PluginHost): Promise<KnownPlugin[]> {
  const found = [...new Set(blocks)].sort().map(async (name): Promise<KnownPlugin[]> => {
    if (name === 'type' || name === used || isPackageName(name)) return []
    const plugin = await host.storage(name).catch(() => undefined)
    if (plugin !== undefined) return [{ name, optionsSchema: plugin.optionsSchema }]
    return PBM_STORAGES.includes(name) ? [{ name, optionsSchema: ANYTHING }] : []
  })
  return (await Promise.all(found)).flat()
}

/** Each block stands under the name of its method; the type may be a package whose method has a shorter name. */
async function resolveEncryption(
  section: unknown,
  host: PluginHost,
): Promise<{ methods: KnownPlugin[]; faults: ConfigFault[] }> {
  const methods = new Map<string, KnownPlugin>()
  const faults: ConfigFault[] = []
  const load = async (name: string, path: string[]) => {
    try {
      const plugin = await host.encryption(name)
      methods.set(plugin.name, plugin)
    } catch (error) {
      faults.push({ path, text: errorText(error), unknownKey: false })
      methods.set(name, { name, optionsSchema: ANYTHING })
    }
  }
  const { type, ...blocks } = isRecord(section) ? section : {}
  if (typeof type === 'string' && type !== '' && type !== 'none') await load(type, ['encryption', 'type'])
  for (const name of Object.keys(blocks)) if (!methods.has(name)) await load(name, ['encryption', name])
  return { methods: [...methods.values()], faults }
}

/** For a block that nobody here can judge. */
const ANYTHING = { type: 'object', additionalProperties: {} }

/** Everything that is wrong with `document`, by the schema and by what the plugins say. */
export async function configFaults(
  document: unknown,
  resolved: ResolvedSchema,
  host: PluginHost,
): Promise<ConfigFault[]> {
  const faults = [...resolved.faults, ...schemaFaults(document, resolved.schema)]
  const { backup, pitr, encryption, schedules, notifications, drill } = isRecord(document) ? document : {}
  faults.push(...scheduleFaults(schedules), ...notificationFaults(notifications), ...drillFaults(drill))
  if (isRecord(backup) && backup.layout === 'archive' && isRecord(encryption) && encryption.type !== 'none') {
    const text = 'archive can not be encrypted; leave it out, or set encryption.type to none'
    faults.push({ path: ['backup', 'layout'], text, unknownKey: false })
  }
  faults.push(...(await missingBlock(encryption, host)))
  const sections = { backup: isRecord(backup) ? backup : {}, pitr: isRecord(pitr) ? pitr : {} }
  for (const name of ['backup', 'pitr'] as const) {
    const { compression, compressionLevel } = sections[name]
    const method = compression ?? sections.backup.compression ?? DEFAULT_COMPRESSION
    const judged = faults.some(({ path }) => path[1] === 'compression' && (path[0] === name || path[0] === 'backup'))
    if (judged || typeof method !== 'string' || (compression === undefined && compressionLevel === undefined)) continue
    faults.push(...(await compressionFaults(name, method, compressionLevel, host)))
  }
  return faults
}

/** Without its block no method can begin, though all its options may be optional. */
async function missingBlock(section: unknown, host: PluginHost): Promise<ConfigFault[]> {
  const { type, ...blocks } = isRecord(section) ? section : {}
  if (typeof type !== 'string' || type === '' || type === 'none') return []
  // One that can't be loaded is a fault already.
  const plugin = await host.encryption(type).catch(() => undefined)
  if (plugin === undefined || (blocks[plugin.name] ?? null) !== null) return []
  return [{ path: ['encryption', plugin.name], text: 'is missing; it says where the keys are', unknownKey: false }]
}

async function compressionFaults(
  section: string,
  method: string,
  level: unknown,
  host: PluginHost,
): Promise<ConfigFault[]> {
  try {
    const { levels } = await host.compression(method)
    if (typeof level !== 'number') return []
    const path = [section, 'compressionLevel']
    if (levels === undefined) return [{ path, text: `${method} has no levels`, unknownKey: false }]
    if (level >= levels.min && level <= levels.max) return []
    return [{ path, text: `${method} takes ${levels.min} to ${levels.max}, not ${level}`, unknownKey: false }]
  } catch (error) {
    return [{ path: [section, 'compression'], text: errorText(error), unknownKey: false }]
  }
}

/** One error that tells all faults, each on its line; `lineOf` gives the line of a path where there is a text. */
export function invalidConfig(
  faults: readonly ConfigFault[],
  lineOf?: (path: readonly string[]) => number | undefined,
): PbmError {
  const told = faults
    .map((fault) => ({ fault, line: lineOf?.(fault.path) }))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
    .map(({ fault, line }) => {
      const place = line === undefined ? '' : `line ${line}: `
      return `${place}${fault.path.length === 0 ? '' : `${fault.path.join('.')}: `}${fault.text}`
    })
  const message = told.length === 1 ? `invalid configuration: ${told[0]}` : `invalid configuration:\n${told.join('\n')}`
  return new PbmError('CONFIG_INVALID', message)
}
