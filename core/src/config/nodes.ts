import type { SchemaNode } from '../plugin-host/schema.js'
import { DURATION_PATTERN } from './duration.js'

/** What is wrong with an entry of a list, beyond its schema; `path` begins with the section. */
export interface EntryFault {
  readonly path: readonly string[]
  readonly text: string
  readonly unknownKey: false
}

/** Parts of the schema of the configuration. */
export const boolean = { type: 'boolean' } as const
export const shortText = { type: 'string', maxLength: 2_000 } as const
export const compression = { type: 'string', compressionMethod: true } as const
/** Of an entry in a list: a part of an update's path in the database, and of a command line. */
export const entryName = {
  type: 'string',
  pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
  description: 'up to 64 letters, digits, - and _, a letter or digit first',
} as const
export const duration = {
  type: 'string',
  pattern: DURATION_PATTERN,
  description: 'a number with s, m, h or d: 45m, 26h, 30d',
} as const

export function section(properties: Record<string, object>, required: readonly string[] = []): SchemaNode {
  return { type: 'object', additionalProperties: false, properties, ...(required.length > 0 && { required }) }
}

export function choiceOf(words: readonly string[]) {
  return { type: 'string', enum: words } as const
}

/** A schema has more than what this project walks. */
export function listOf(items: object, maxItems: number, minItems = 0): SchemaNode {
  const list = { type: 'array', items, minItems, maxItems } as const
  return list
}
