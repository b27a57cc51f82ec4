import type { ErrorObject, ValidateFunction } from 'ajv'
import { PBM_COMPRESSIONS } from '../plugin-host/naming.js'
import { type SchemaNode, typesOf } from '../plugin-host/schema.js'
import { configValidator } from './schema.js'
import { isSecretAt } from './secrets.js'
import { unknownKey } from './unknown-keys.js'

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
  // Where the blank behind a colon was forgotten, keys and values are one text: `secret-access-key:hunter2`.
  const isUnread = error.keyword === 'type' && [params.type].flat().includes('object')
  const isHidden = isUnread || isSecretAt(document, path, root) || typeof error.data === 'object'
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
    case 'minProperties':
    case 'minItems':
    case 'minLength':
      return 'must not be empty'
    case 'maxItems':
      return `must have at most ${params.limit} entries`
    case 'maxLength':
      return `must have at most ${params.limit} characters`
    case 'uniqueItems':
      return 'must not have an entry twice'
    case 'propertyNames':
      return `has a name that can't be used: ${shorten(JSON.stringify(params.propertyName))}`
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
