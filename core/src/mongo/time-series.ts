/*
 * A time series is a view of the name that users know; its data is in a collection of buckets beside it. Here `ns` is a
 * namespace with its database.
 */

/** What the name of a collection of buckets begins with; that of its time series follows. */
export const BUCKETS_PREFIX = 'system.buckets.'

export function isBuckets(ns: string): boolean {
  return ns.startsWith(BUCKETS_PREFIX, ns.indexOf('.') + 1)
}

/** Where the buckets of the time series `ns` are. */
export function bucketsOf(ns: string): string {
  const dot = ns.indexOf('.')
  return `${ns.slice(0, dot)}.${BUCKETS_PREFIX}${ns.slice(dot + 1)}`
}

/** The name of the time series whose buckets `ns` are; every other namespace as it is. */
export function userName(ns: string): string {
  return isBuckets(ns) ? ns.replace(`.${BUCKETS_PREFIX}`, '.') : ns
}
