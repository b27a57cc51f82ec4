import { findDocument, findString } from '../../bson/elements.js'
import type { Barrier } from '../../control/pitr-chunk-document.js'
import { splitConnectionString } from '../../mongo/topology.js'
import type { Operation } from '../entry.js'
import { findUuid } from '../raw-fields.js'

/** Of a resharding under way: beside the collection that it is to replace, and gone if it is given up. */
const RESHARDING = '.system.resharding.'
/** A user's time series may be called so, but not with a UUID behind. */
const RESHARDING_BUCKETS = /\.system\.buckets\.resharding\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What {@link barrierOf} looks at: all of it is on config servers. */
export const BARRIER_NAMESPACES: readonly string[] = ['config.shards', 'config.collections']

/** Whether the collection is the unfinished copy that a resharding makes; `ns` with its database. */
export function isReshardingCopy(ns: string): boolean {
  return ns.includes(RESHARDING) || RESHARDING_BUCKETS.test(ns)
}

/**
 * What of the cluster this operation of the config servers has changed for good, so that no replay from a time before
 * leads to one after it: the shards themselves, or the collection that a name means.
 *
 * Of a shard that was added nothing is stored before its first backup, unless its oplog is stored from its very first entry
 * on. What a resharding has made is copied by the shards themselves, into collections that only a resharding may write to.
 */
export function barrierOf({ op, ns, o, o2 }: Operation): Omit<Barrier, 'ts'> | undefined {
  if (ns === 'config.shards' && op === 'd') return { what: `shard ${findString(o, '_id') ?? '?'} was removed` }
  if (ns === 'config.shards' && op === 'i') {
    const added = splitConnectionString(findString(o, 'host') ?? '').rs
    return { what: `shard ${findString(o, '_id') ?? '?'} was added`, ...(added === '' ? {} : { added }) }
  }
  if (ns !== 'config.collections' || op !== 'u') return undefined
  const diff = findDocument(o, 'diff')
  const changed = (diff && findDocument(diff, 'u')) ?? findDocument(o, '$set')
  const uuid = changed && findUuid(changed, 'uuid')
  if (uuid === undefined) return undefined
  return { what: `collection ${findString(o2 ?? o, '_id') ?? '?'} was resharded`, resharded: uuid.toString('hex') }
}
