import { errorText } from '../errors.js'
import { duration, type EntryFault, listOf, section, shortText } from './nodes.js'
import { parseQuery } from './query.js'
import { isRecord } from './values.js'

/** What a user wants to see in what was restored. */
export interface DrillCheck {
  /** `db.collection`. */
  readonly ns: string
  /** A filter in Extended JSON, as `find` takes it; every document when absent. */
  readonly query?: string
  /** So many documents fit at least; 1 when absent. */
  readonly minCount?: number
  /** The newest date in a field, of those that fit. */
  readonly newest?: {
    /** With dots for a field inside another. */
    readonly field: string
    /** Before the time of the backup; such as `26h`. */
    readonly notOlderThan: string
  }
}

/** Each may read a whole collection. */
const MOST = 100

const namespace = {
  type: 'string',
  // Neither of the server's own databases is restored as it was.
  pattern: '^(?!(?:admin|config|local)\\.)[^\\s./\\\\"$*<>:|?\\u0000]{1,63}\\.[^\\u0000$*][^\\u0000$]{0,254}$',
  description: 'database.collection, of your own data',
} as const
/** It becomes part of an expression, where a `$` would make it another. */
const field = {
  type: 'string',
  pattern: '^[^\\u0000$.][^\\u0000$.]*(?:\\.[^\\u0000$.]+){0,99}$',
  maxLength: 500,
  description: 'the name of a field, with dots for one inside another, without $',
} as const
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, int64: true } as const

/** Of `drill.checks`. */
export const DRILL_CHECKS_SCHEMA = listOf(
  section(
    {
      ns: namespace,
      query: shortText,
      minCount: count,
      newest: section({ field, notOlderThan: duration }, ['field', 'notOlderThan']),
    },
    ['ns'],
  ),
  MOST,
)

/** What the schema can't say of the section `drill`, which may be anything: above all, a query that would run a script. */
export function drillFaults(drill: unknown): EntryFault[] {
  const checks = isRecord(drill) && Array.isArray(drill.checks) ? drill.checks : []
  return checks.flatMap((check: unknown, index) => {
    const query = isRecord(check) ? check.query : undefined
    if (typeof query !== 'string') return []
    try {
      parseQuery(query)
      return []
    } catch (error) {
      const path = ['drill', 'checks', String(index), 'query']
      return [{ path, text: errorText(error), unknownKey: false as const }]
    }
  })
}
