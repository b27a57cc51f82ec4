import type { ErrorObject, ValidateFunction } from 'ajv'
import { PBM_COMPRESSIONS } from '../plugin-host/naming.js'
import { type SchemaNode, typesOf } from '../plugin-host/schema.js'
import { configValidator } from './schema.js'
import { isSecretAt } from './secrets.js'

/** One thing that is wrong in a configuration. `text` never holds the value of a secret. */
export interface ConfigFault {
  readonly path: readonly string[]
  readonly text: string
  readonly unknownKey: boolean
}

/** Compiling takes far longer than validating. */
const validators = new WeakMap<object, ValidateFunction>()

/** Everything that is wrong in `document` by `schema`; [] when it is right. `at`: where it stands in a configuration. */
export function schemaFaults(document: unknown, schema: SchemaNode, at: readonly string[] = []): ConfigFault[] {
  const validate = validators.get(schema) ?? configValidator().compile(schema)
  validators.set(schema, validate)
  if (validate(document)) return []
  const faults = new Map<string, ConfigFault>()
  for (const error of validate.errors ?? []) {
    const found = toFault(error, schema, document, at)
    const fault = { ...found, path: [...at, ...found.path] }
    faults.set(`${fault.path.join('\0')}\0${fault.text}`, fault)
  }
  return [...faults.values()]
}

/** `key` as people write it in the configuration: `storage.filesystem.path`. */
export function pathText(path: readonly string[]): string {
  return path.join('.')
}

export function unknownKey(path: readonly string[], known: readonly string[], root: SchemaNode): ConfigFault {
  const key = path.at(-1) ?? ''
  const near = nearest(key, known)
  const elsewhere = pathsOf(root, key).filter((place) => place.join('.') !== path.join('.'))
  let advice = known.length > 0 && known.length <= 12 ? `; known here: ${known.join(', ')}` : ''
  if (near !== undefined) advice = `; did you mean ${near}?`
  else if (elsewhere.length > 0 && elsewhere.length <= 3)
    advice = `; it belongs at ${elsewhere.map(pathText).join(' or ')}`
  return { path, text: `unknown key${advice}`, unknownKey: true }
}

function toFault(error: ErrorObject, root: SchemaNode, document: unknown, at: readonly string[]): ConfigFault {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const params = error.params as Record<string, unknown>
  const parent = (error.parentSchema ?? {}) as SchemaNode
  if (error.keyword === 'additionalProperties') {
    const key = String(params.additionalProperty)
    const options = path.length === 1 && path[0] === 'storage' && typeof error.data === 'object'
    const type = options ? (error.data as { type?: unknown } | null)?.type : undefined
    const fault = unknownKey([...path, key], Object.keys(parent.properties ?? {}), root)
    if (typeof type !== 'string' || /did you mean|it belongs/.test(fault.text)) return fault
    return { ...fault, text: `this block is not for storage.type ${type}; remove it, or change the type` }
  }
  if (error.keyword === 'required')
    return { path: [...path, String(params.missingProperty)], text: 'is missing', unknownKey: false }
  // What is refused there may be a key in place of where one is to be found, and only its plugin knows what those look like.
  const mayBeKey = [...at, ...path][0] === 'encryption' && typeof error.data === 'string'
  const isHidden = isSecretAt(document, path, root) || typeof error.data === 'object'
  const shown = isHidden ? '' : `, not ${shorten(JSON.stringify(error.data))}`
  const text = `${demand(error, params, parent)}${mayBeKey ? '; not shown here, since it may be a key' : shown}`
  return { path, text, unknownKey: false }
}

function demand(error: ErrorObject, params: Record<string, unknown>, parent: SchemaNode): string {
  switch (error.keyword) {
    case 'type':
      return `must be ${typesOf({ type: params.type as string | string[] })
        .map(typeWord)
        .join(' or ')}`
    case 'enum':
      return `must be ${choice((params.allowedValues as unknown[]).map(String))}`
    case 'compressionMethod':
      return `must be ${choice(PBM_COMPRESSIONS)}, or the name of a plugin's package`
    case 'commitQuorum':
      return 'must be majority, votingMembers or a number from 1 to 50'
    case 'minimum':
      return `must be at least ${params.limit}`
    case 'maximum':
      return `must be at most ${params.limit}`
    case 'maxProperties':
      return `must have only ${params.limit} of ${Object.keys(parent.properties ?? {}).join(', ')}`
    case 'minLength':
      return 'must not be empty'
    case 'pattern':
      return `must be: ${parent.description ?? params.pattern}`
    default:
      return error.message ?? error.keyword
  }
}

export function typeWord(type: string): string {
  const words: Record<string, string> = {
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    string: 'a text',
    object: 'a mapping of keys to values',
    array: 'a list',
  }
  return words[type] ?? type
}

function choice(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
}

function shorten(value: string | undefined): string {
  const shown = value ?? 'nothing'
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown
}

/** Every place at which a schema has `key`. */
function pathsOf(schema: SchemaNode, key: string, at: readonly string[] = []): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [
    ...(name === key ? [[...at, name]] : []),
    ...pathsOf(child, key, [...at, name]),
  ])
}

/** The known word that differs least from `word`, when that is little: by letter case, or by up to a third of it. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (value: string) => value.toLowerCase().replaceAll(/[-_]/g, '')
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best !== undefined && best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.candidate : undefined
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
