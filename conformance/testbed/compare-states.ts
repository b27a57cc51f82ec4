import type { CanonicalJson, CollectionState, DatabaseState } from './state.js'

export interface CompareOptions {
  /** Users (`_id`, such as `admin.pbmuser`) that may be on one side only. */
  readonly ignoreUsers?: readonly string[]
}

type Fields = Readonly<Record<string, CanonicalJson>>

/** What differs, one line each, for people; empty when the states are equal. */
export function compareStates(expected: DatabaseState, actual: DatabaseState, options: CompareOptions = {}): string[] {
  const differences: string[] = []
  for (const [db, sides] of pairs(expected.dbs, actual.dbs)) {
    if (sides.expected === undefined || sides.actual === undefined) {
      differences.push(`${db}: ${onlyOn(sides)} database`)
      continue
    }
    for (const [name, collection] of pairs(sides.expected, sides.actual)) {
      differences.push(...compareCollections(`${db}.${name}`, collection.expected, collection.actual))
    }
  }
  const known = (list: readonly Fields[]) =>
    list.filter(({ _id }) => options.ignoreUsers?.includes(String(_id)) !== true)
  differences.push(...compareLists('user', '_id', known(expected.users), known(actual.users)))
  differences.push(...compareLists('role', '_id', expected.roles, actual.roles))
  return differences
}

function compareCollections(
  namespace: string,
  expected: CollectionState | undefined,
  actual: CollectionState | undefined,
): string[] {
  if (expected === undefined || actual === undefined)
    return [`${namespace}: ${onlyOn({ expected, actual })} collection`]
  const differences: string[] = []
  const compare = (what: string, before: CanonicalJson | undefined, after: CanonicalJson | undefined) => {
    if (!same(before, after)) differences.push(`${namespace}: ${what} ${show(before)} became ${show(after)}`)
  }
  compare('type', expected.type, actual.type)
  for (const [option, sides] of pairs(expected.options, actual.options)) {
    compare(`option ${option}`, sides.expected, sides.actual)
  }
  // Backups made by PBM do not hold the id of the buckets of a time series.
  if (!/\.system\.buckets\./.test(namespace)) compare('uuid', expected.uuid, actual.uuid)
  differences.push(...compareLists(`${namespace}: index`, 'name', expected.indexes ?? [], actual.indexes ?? []))
  compare('count', expected.count, actual.count)
  // Documents that are fewer or more differ in any case; say so once.
  if (same(expected.count, actual.count)) compare('documents', expected.sha256, actual.sha256)
  return differences
}

export function compareLists(
  what: string,
  key: string,
  expected: readonly Fields[],
  actual: readonly Fields[],
): string[] {
  const byKey = (list: readonly Fields[]) => Object.fromEntries(list.map((entry) => [String(entry[key]), entry]))
  const differences: string[] = []
  for (const [name, sides] of pairs(byKey(expected), byKey(actual))) {
    if (sides.expected === undefined || sides.actual === undefined) {
      differences.push(`${what} ${name}: ${onlyOn(sides)}`)
      continue
    }
    for (const [field, values] of pairs(sides.expected, sides.actual)) {
      // Snapshots made elsewhere, such as the fixtures, have no digest of the credentials.
      if (field === 'sha256' && (values.expected === undefined || values.actual === undefined)) continue
      if (!same(values.expected, values.actual)) {
        differences.push(`${what} ${name}: ${field} ${show(values.expected)} became ${show(values.actual)}`)
      }
    }
  }
  return differences
}

function* pairs<T>(
  expected: Readonly<Record<string, T>>,
  actual: Readonly<Record<string, T>>,
): Generator<[string, { expected: T | undefined; actual: T | undefined }]> {
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    yield [key, { expected: expected[key], actual: actual[key] }]
  }
}

/** Key order counts: `{a: 1, b: 1}` and `{b: 1, a: 1}` are different indexes. */
function same(a: CanonicalJson | undefined, b: CanonicalJson | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function onlyOn(sides: { expected: unknown; actual: unknown }): string {
  return sides.actual === undefined ? 'missing' : sides.expected === undefined ? 'unexpected' : 'both'
}

function show(value: CanonicalJson | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
