import { setTimeout as delay } from 'node:timers/promises'
import type { Document, MongoClient } from 'mongodb'
import { configFaults, invalidConfig, resolveSchema } from '../config/check.js'
import type { Config } from '../config/document.js'
import type { ConfigFault } from '../config/faults.js'
import { maskConfig } from '../config/mask.js'
import { maskedFault } from '../config/masked-values.js'
import { withTrimmedNames } from '../config/trim.js'
import { unknownKey } from '../config/unknown-keys.js'
import { childSchema, isRecord, toWire, typedValue } from '../config/values.js'
import { PbmError } from '../errors.js'
import { clusterTime } from '../mongo/cluster-time.js'
import type { PluginHost } from '../plugin-host/host.js'
import { mapValues, type SchemaNode, typesOf } from '../plugin-host/schema.js'
import { isMasked } from '../secrets/text.js'
import { type ConfigChange, configCollection, configMissing, MAIN, requireConfig, toConfig } from './config.js'
import { forgetSuspension } from './pitr.js'
import { readWholeConfig } from './run-documents.js'

/** `storage.filesystem.path` and the value for it as text; an empty text unsets the key. */
export interface Setting {
  readonly key: string
  readonly value: string
}

/** A value of the configuration to show. `value` is undefined for a key that is not set; secrets are `***`. */
export interface ConfigValue {
  readonly path: readonly string[]
  readonly value: unknown
}

interface PlacedSetting {
  readonly path: readonly string[]
  readonly schema: SchemaNode
  /** undefined unsets. */
  readonly value: unknown
}

/** Other writers may come between reading and writing; each round reads what they wrote. */
const ROUNDS = 20

/** Reads `key=value` (the key ends at the first `=`). Throws USAGE for anything else. */
export function parseSetting(assignment: string): Setting {
  const at = assignment.indexOf('=')
  if (at < 1) {
    const shown = at === 0 ? 'a value without a key' : JSON.stringify(assignment)
    throw new PbmError('USAGE', `invalid setting: ${shown}`, {
      hint: 'write it as key=value, such as pitr.enabled=true',
    })
  }
  return { key: assignment.slice(0, at).trim(), value: assignment.slice(at + 1) }
}

/**
 * Changes several keys at once or none: the configuration that results is checked as a whole before it is written. Keys
 * that this version does not know, from another writer, are left alone. The epoch moves. Throws CONFIG_MISSING,
 * CONFIG_INVALID with every fault, or CONFIG_CONFLICT when others keep writing.
 */
export async function setConfigKeys(
  leader: MongoClient,
  settings: readonly Setting[],
  host: PluginHost,
): Promise<ConfigChange> {
  for (let round = 0; round < ROUNDS; round++) {
    const document = await configCollection(leader).findOne(MAIN)
    if (document === null) throw configMissing()
    const previous = toConfig(document)
    const { config, placed, schema } = await applySettings(previous, settings, host)
    const epoch = await clusterTime(leader)
    // Only the changed keys are written, and only onto the document that was checked.
    const update = updateOf(document, placed, schema, epoch)
    const unchanged = { _id: document._id, epoch: document.epoch ?? null }
    const { matchedCount } = await configCollection(leader).updateOne(unchanged, update)
    if (matchedCount === 1) {
      if (placed.some(({ path }) => path.join('.') === 'pitr.enabled')) await forgetSuspension(leader)
      return { previous, config: { ...config, epoch } }
    }
    await delay(Math.random() * 20 * (round + 1))
  }
  throw new PbmError('CONFIG_CONFLICT', 'the configuration is being changed by others', { hint: 'try again' })
}

/** The configuration with `settings` applied, checked as a whole. */
export async function applySettings(
  previous: Config,
  settings: readonly Setting[],
  host: PluginHost,
): Promise<{ config: Config; placed: readonly PlacedSetting[]; schema: SchemaNode }> {
  const { epoch, ...rest } = previous
  const type = settings.findLast(({ key }) => key === 'storage.type')?.value ?? previous.storage?.type
  const resolved = await resolveSchema(
    type,
    host,
    encryptionWith(previous.encryption, settings),
    storageBlocks(previous.storage, settings),
  )
  const faults: ConfigFault[] = []
  const placed: PlacedSetting[] = []
  let next: unknown = rest
  for (const { key, value } of settings) {
    const place = placeOf(key, resolved.schema)
    if ('text' in place) faults.push(place)
    else if (isMasked(value)) faults.push(maskedFault(place.path))
    else if (!isSettable(place.schema, value)) faults.push(notSettable(key, place))
    else {
      const typed =
        value === '' ? undefined : withTrimmedNames(typedValue(value, place.schema), place.schema, place.path.at(-1))
      placed.push({ ...place, value: typed })
      next = withValue(next, place.path, typed)
    }
  }
  // Unknown keys in what another version wrote are its own matter; those of `settings` were refused above.
  faults.push(...(await configFaults(next, resolved, host)).filter((fault) => !fault.unknownKey))
  if (faults.length > 0) throw invalidConfig(faults)
  return { config: { ...(next as Omit<Config, 'epoch'>), epoch }, placed, schema: resolved.schema }
}

/** The section with every block that the settings name, so that its schema is at hand. */
function encryptionWith(section: Config['encryption'], settings: readonly Setting[]): Record<string, unknown> {
  const named: Record<string, unknown> = { ...section }
  for (const { key, value } of settings) {
    const [head, name, ...rest] = key.split('.')
    if (head !== 'encryption' || name === undefined) continue
    if (name === 'type') named.type = value
    else if (rest.length > 0) named[name] ??= {}
  }
  return named
}

function storageBlocks(storage: Config['storage'] | undefined, settings: readonly Setting[]): string[] {
  const named = settings.flatMap(({ key }) => {
    const [head, name, ...rest] = key.split('.')
    return head === 'storage' && name !== undefined && rest.length > 0 ? [name] : []
  })
  return [...Object.keys(storage ?? {}), ...named]
}

/** The value at `key`, or a whole section. Throws CONFIG_MISSING, and CONFIG_INVALID for a key that does not exist. */
export async function getConfigKey(leader: MongoClient, key: string, host: PluginHost): Promise<ConfigValue> {
  const config = (await readWholeConfig(leader)) ?? (await requireConfig(leader))
  const { schema } = await resolveSchema(
    config.storage?.type,
    host,
    config.encryption ?? encryptionWith(undefined, [{ key, value: '' }]),
    storageBlocks(config.storage, [{ key, value: '' }]),
  )
  const place = placeOf(key, schema)
  const { epoch, ...shown } = await maskConfig(config, host)
  const stored = valueAt(shown, key.split('.'))
  if (!('text' in place)) return { path: place.path, value: valueAt(shown, place.path) }
  // A key of another version is there to be read, too.
  if (stored !== undefined) return { path: key.split('.'), value: stored }
  throw invalidConfig([place])
}

/** Where a dotted key leads. The rest of a key into a map is one name: hosts hold dots and colons. */
function placeOf(key: string, root: SchemaNode): { path: string[]; schema: SchemaNode } | ConfigFault {
  const parts = key.split('.')
  const path: string[] = []
  let schema = root
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] ?? ''
    const properties = schema.properties ?? {}
    const property = Object.hasOwn(properties, part) ? properties[part] : undefined
    const values = mapValues(schema)
    if (property === undefined && values !== undefined && part !== '') {
      if (typesOf(values).length === 0)
        return {
          path: parts,
          text: 'only --file can write it: the types of these keys are not known here',
          unknownKey: false,
        }
      return { path: [...path, parts.slice(index).join('.')], schema: values }
    }
    path.push(part)
    if (property === undefined) return unknownKey(path, Object.keys(properties), root)
    schema = property
  }
  return { path, schema }
}

/** Values can be set, and whole maps unset. */
function isSettable(schema: SchemaNode, value: string): boolean {
  if (schema.properties !== undefined || schema.items !== undefined) return false
  return mapValues(schema) === undefined || value === ''
}

function notSettable(key: string, place: { path: string[]; schema: SchemaNode }): ConfigFault {
  const { properties, items } = place.schema
  if (items !== undefined)
    return { path: place.path, text: 'is a list: change it with --file, or pbm schedule', unknownKey: false }
  const text =
    properties === undefined
      ? `holds a value for each name: set ${key}.<name>=<value>`
      : `is a section: set one of ${Object.keys(properties)
          .map((name) => `${key}.${name}`)
          .join(', ')}`
  return { path: place.path, text, unknownKey: false }
}

function withValue(target: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  const fields = isRecord(target) ? target : {}
  const below = withValue(fields[key], rest, value)
  const { [key]: _, ...others } = fields
  return below === undefined ? others : { ...others, [key]: below }
}

function valueAt(target: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    target,
  )
}

/**
 * One update with the changed keys. A name with a dot (a host in a map) can't be part of a dotted path, and a path can't
 * lead through null; in both cases the section above is written as a whole.
 */
function updateOf(document: Document, placed: readonly PlacedSetting[], schema: SchemaNode, epoch: unknown): Document {
  let next: unknown = withoutId(document)
  const roots = new Map<string, readonly string[]>()
  for (const { path, value } of placed) {
    next = withValue(next, path, value)
    let length = path.findIndex((name) => name.includes('.') || name.startsWith('$'))
    if (length === -1) length = path.length
    for (let above = 1; above < length; above++) {
      if (!isRecord(valueAt(document, path.slice(0, above)))) length = above
    }
    const root = path.slice(0, length)
    roots.set(root.join('.'), root)
  }
  const set: Document = { epoch }
  const unset: Document = {}
  const inside = (key: string) => [...roots.keys()].some((other) => other !== key && key.startsWith(`${other}.`))
  for (const [key, root] of roots) {
    if (inside(key)) continue
    const value = valueAt(next, root)
    if (value === undefined) unset[key] = ''
    else set[key] = toWire(value, schemaAt(schema, root))
  }
  return Object.keys(unset).length === 0 ? { $set: set } : { $set: set, $unset: unset }
}

function schemaAt(root: SchemaNode, path: readonly string[]): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((schema, key) => childSchema(schema, key), root)
}

function withoutId(document: Document): Document {
  const { _id, ...fields } = document
  return fields
}
