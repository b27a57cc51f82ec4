import type { PluginKind } from './naming.js'
import { compileSchema, type SchemaNode } from './schema.js'
import { opaqueParts, openObjects } from './schema-walk.js'

/** Why a module is not the plugin that the configuration asks for. */
export interface ShapeFault {
  readonly code: 'PLUGIN_NO_DEFAULT_EXPORT' | 'PLUGIN_WRONG_KIND' | 'PLUGIN_WRONG_API' | 'PLUGIN_INVALID'
  /** Continues a sentence that begins with the package's name. */
  readonly text: string
}

/** The version of the plugin interfaces in this package. */
export const API_VERSION = 1

const METHODS: Readonly<Record<PluginKind, readonly string[]>> = {
  storage: ['open', 'describe'],
  compression: ['compress', 'decompress'],
  encryption: ['open'],
}

/** Checks the default export of a plugin package against the interface of `kind`; [] when it is one. */
export function shapeFaults(candidate: unknown, kind: PluginKind, expectedName?: string): ShapeFault[] {
  if (candidate === undefined) {
    return [{ code: 'PLUGIN_NO_DEFAULT_EXPORT', text: 'has no default export; a plugin is its default export' }]
  }
  if (typeof candidate !== 'object' || candidate === null) {
    const text = `has a default export that is a ${candidate === null ? 'null' : typeof candidate}, not a plugin object`
    return [{ code: 'PLUGIN_INVALID', text }]
  }
  const plugin = candidate as Record<string, unknown>
  // The interface of another kind or version can't be judged by the rules of this one.
  if (plugin.kind !== kind) {
    const text = `is of kind ${JSON.stringify(plugin.kind) ?? 'undefined'}, where a ${kind} plugin is needed`
    return [{ code: 'PLUGIN_WRONG_KIND', text }]
  }
  if (plugin.apiVersion !== API_VERSION) {
    const has = JSON.stringify(plugin.apiVersion) ?? 'no version'
    return [{ code: 'PLUGIN_WRONG_API', text: `is made for plugin API ${has}, this is plugin API ${API_VERSION}` }]
  }
  const faults = METHODS[kind]
    .filter((method) => typeof plugin[method] !== 'function')
    .map((method) => `${method} is not a function`)
  if (typeof plugin.name !== 'string' || plugin.name === '') faults.push('name is not a text')
  else if (expectedName !== undefined && plugin.name !== expectedName) {
    faults.push(`calls itself ${JSON.stringify(plugin.name)} and not ${JSON.stringify(expectedName)}`)
  }
  if (kind === 'encryption') faults.push(...encryptionFaults(plugin))
  if (kind === 'compression') faults.push(...compressionFaults(plugin))
  else faults.push(...schemaFaults(plugin.optionsSchema))
  return faults.map((text) => ({ code: 'PLUGIN_INVALID', text: `is not a valid ${kind} plugin: ${text}` }))
}

function encryptionFaults(plugin: Record<string, unknown>): string[] {
  const faults: string[] = []
  // It becomes part of the names of objects.
  if (typeof plugin.name === 'string' && !/^[a-z0-9-]*$/.test(plugin.name)) {
    faults.push('name may only have lower-case letters, digits and dashes')
  }
  if (plugin.keysOf !== undefined && typeof plugin.keysOf !== 'function') faults.push('keysOf is not a function')
  return faults
}

function compressionFaults(plugin: Record<string, unknown>): string[] {
  const faults: string[] = []
  if (typeof plugin.suffix !== 'string') faults.push('suffix is not a text')
  if (plugin.levels !== undefined) {
    const levels = (plugin.levels ?? {}) as Record<string, unknown>
    const { min, max, default: standard } = levels
    const ordered =
      [min, standard, max].every(Number.isInteger) && Number(min) <= Number(standard) && Number(standard) <= Number(max)
    if (!ordered) faults.push('levels needs integers with min <= default <= max')
  }
  return faults
}

function schemaFaults(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return ['optionsSchema is missing']
  try {
    compileSchema(schema)
  } catch (error) {
    return [`optionsSchema is no JSON Schema: ${error instanceof Error ? error.message : String(error)}`]
  }
  if ((schema as SchemaNode).type !== 'object') return ["optionsSchema needs type: 'object'"]
  return [...openObjects(schema as SchemaNode, 'optionsSchema'), ...opaqueParts(schema, 'optionsSchema')]
}
