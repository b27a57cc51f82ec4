import type { SchemaNode } from '../plugin-host/schema.js'
import { childSchema, isRecord } from './values.js'

/** What PBM trims: slashes around these break the requests to a store, or hide backups (PBM: cli-and-config.md §3.1). */
const TRIMMED = new Set(['bucket', 'container', 'prefix'])

export function trimSlashes(value: string): string {
  return value.replaceAll(/^\/+|\/+$/g, '')
}

/** A copy in which the names that tell one storage from another carry no outer slashes. */
export function withTrimmedNames(value: unknown, schema: SchemaNode | undefined, key = ''): unknown {
  if (typeof value === 'string') return schema?.identity === true && TRIMMED.has(key) ? trimSlashes(value) : value
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, withTrimmedNames(field, childSchema(schema, name), name)]),
  )
}
