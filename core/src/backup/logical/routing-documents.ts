import type { Document } from 'bson'
import type { MongoClient } from 'mongodb'
import type { Selection } from '../../control/selection.js'
import { bucketsOf } from '../../mongo/time-series.js'

/** Matches nothing: PBM lists these collections in a selective backup, without a document. */
const NOTHING: Document = { _id: { $in: [] } }

/**
 * Which documents of the routing tables describe what is selected (PBM: selective.md §4): on config servers, what a
 * restore needs to route it. Gives the filter for one collection of `config`.
 */
export async function routingFilter(node: MongoClient, selection: Selection, collection: string): Promise<Document> {
  switch (collection) {
    case 'databases':
      return { _id: { $in: databasesOf(selection) } }
    case 'collections':
      return namespacesIn(selection, '_id')
    // Zones: beside what PBM stores.
    case 'tags':
      return namespacesIn(selection, 'ns')
    case 'chunks': {
      const sharded = await node
        .db('config')
        .collection<Document>('collections')
        .find(namespacesIn(selection, '_id'), {
          projection: { uuid: 1 },
          readConcern: { level: 'majority' },
          readPreference: 'primaryPreferred',
        })
        .toArray()
      const uuids = sharded.flatMap(({ uuid }) => (uuid === undefined ? [] : [uuid]))
      // By name before MongoDB 5.0.
      return { $or: [{ uuid: { $in: uuids } }, { ns: { $in: sharded.map(({ _id }) => _id) } }] }
    }
    default:
      return NOTHING
  }
}

function databasesOf({ databases, namespaces }: Selection): string[] {
  return [...new Set([...databases, ...[...namespaces].map((ns) => ns.slice(0, ns.indexOf('.')))])]
}

function namespacesIn({ databases, namespaces }: Selection, field: string): Document {
  const names = [...namespaces].flatMap((ns) => [ns, bucketsOf(ns)])
  // From `db.` up to, not including, what comes after all that begins so.
  const whole = [...databases].map((db) => ({ [field]: { $gte: `${db}.`, $lt: `${db}/` } }))
  return { $or: [{ [field]: { $in: names } }, ...whole] }
}
