import type { SchemaNode } from '../plugin-host/schema.js'
import { isSecretName } from '../secrets/text.js'
import { childSchema, isRecord } from './values.js'

/** Where a value stands in a configuration. */
interface Place {
  readonly schema: SchemaNode | undefined
  /** The key of the value, or of the list that it is in. */
  readonly name: string
  readonly hidden: boolean
}

/**
 * A copy of `value` with each of its scalars through `show`, which is told whether it is a secret: by the schema
 * (`writeOnly`), and by its key where people choose the keys (maps). Of what no schema describes nothing is known, so
 * all but numbers and booleans are secret; `namesTell` says that there, too, keys tell secrets.
 */
export function mapSecrets(
  value: unknown,
  schema: SchemaNode | undefined,
  show: (value: unknown, hidden: boolean) => unknown,
  { namesTell = false }: { readonly namesTell?: boolean } = {},
): unknown {
  const walk = (current: unknown, place: Place): unknown => {
    if (Array.isArray(current)) return current.map((item) => walk(item, itemOf(place)))
    if (!isRecord(current)) {
      const isKnown = place.schema !== undefined || namesTell || ['number', 'boolean'].includes(typeof current)
      return show(current, place.hidden || !isKnown)
    }
    return Object.fromEntries(Object.entries(current).map(([key, field]) => [key, walk(field, below(place, key))]))
  }
  return walk(value, rootOf(schema))
}

/** Whether all of what stands at `path` (keys and indexes) of `document` is secret. */
export function isSecretAt(document: unknown, path: readonly string[], schema: SchemaNode): boolean {
  let place = rootOf(schema)
  let current = document
  for (const step of path) {
    place = Array.isArray(current) ? itemOf(place) : below(place, step)
    current = typeof current === 'object' && current !== null ? (current as Record<string, unknown>)[step] : undefined
  }
  return place.hidden
}

function rootOf(schema: SchemaNode | undefined): Place {
  return { schema, name: '', hidden: schema?.writeOnly === true }
}

function below({ schema: parent, hidden }: Place, name: string): Place {
  const schema = childSchema(parent, name)
  const named = schema?.type !== undefined && Object.hasOwn(parent?.properties ?? {}, name)
  // A section under a secret-like name (`credentials`) is secret as a whole only where no schema tells its parts.
  return { schema, name, hidden: hidden || schema?.writeOnly === true || (!named && isSecretName(name)) }
}

function itemOf({ schema: list, name, hidden }: Place): Place {
  const schema = list?.items
  const byName = schema?.type === undefined && isSecretName(name)
  return { schema, name, hidden: hidden || schema?.writeOnly === true || byName }
}
