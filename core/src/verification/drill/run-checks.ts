import { BSON } from 'bson'
import type { Document, MongoClient } from 'mongodb'
import type { DrillCheck } from '../../config/drill-checks.js'
import { durationOf } from '../../config/duration.js'
import { parseQuery } from '../../config/query.js'
import type { CheckResult } from '../../control/drill-document.js'
import { errorText } from '../../errors.js'

export interface CheckOptions {
  /** Unix milliseconds of what was restored: data does not get older by lying on a storage. */
  readonly at: number
  readonly signal: AbortSignal
  /** Of each check. */
  readonly timeoutMs: number
}

/**
 * Looks for what users want to see in their data, one check after the other. A check that can't be made has failed and says why;
 * the others are made. Rejects with the signal's reason alone.
 */
export async function runChecks(
  client: MongoClient,
  checks: readonly DrillCheck[],
  options: CheckOptions,
): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of checks) {
    options.signal.throwIfAborted()
    const about = { ns: check.ns, ...(check.query === undefined ? {} : { query: check.query }) }
    try {
      results.push({ ...about, ...(await look(client, check, options)) })
    } catch (error) {
      options.signal.throwIfAborted()
      results.push({ ...about, fault: `it could not be looked at: ${errorText(error)}` })
    }
  }
  return results
}

async function look(
  client: MongoClient,
  { ns, query = '{}', minCount = 1, newest }: DrillCheck,
  { at, signal, timeoutMs }: CheckOptions,
): Promise<Omit<CheckResult, 'ns' | 'query'>> {
  const dot = ns.indexOf('.')
  const collection = client.db(ns.slice(0, dot)).collection(ns.slice(dot + 1))
  const filter = BSON.deserialize(parseQuery(query), { promoteValues: false })
  const options = { signal, maxTimeMS: timeoutMs, allowDiskUse: false }
  const wanted = Math.max(1, minCount)
  const [counted] = await collection
    .aggregate([{ $match: filter }, { $limit: wanted }, { $count: 'n' }], options)
    .toArray()
  const count = Number(counted?.n ?? 0)
  if (count < minCount) return { count, fault: `${count} documents fit, and ${minCount} are asked for` }
  if (newest === undefined) return { count }
  const { field, notOlderThan } = newest
  const [found] = await collection.aggregate(newestOf(filter, field), options).toArray()
  if (!(found?.newest instanceof Date)) return { count, fault: `no document that fits has a date in ${field}` }
  const date = found.newest.getTime()
  if (at - date <= durationOf(notOlderThan)) return { count, newest: date }
  const text = found.newest.toISOString()
  return { count, newest: date, fault: `the newest ${field} is ${text}: more than ${notOlderThan} before the backup` }
}

/** Other types of values sort above dates. */
function newestOf(filter: Document, field: string): Document[] {
  const dates = { $match: { [field]: { $type: 'date' } } }
  return [{ $match: filter }, dates, { $group: { _id: null, newest: { $max: `$${field}` } } }]
}
