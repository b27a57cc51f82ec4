import type { MongoClient, Timestamp } from 'mongodb'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import type { Barrier } from '../../control/pitr-chunk-document.js'
import { readDocuments } from '../../mongo/raw-read.js'
import { type Operation, parseEntry, toTimestamp } from '../entry.js'
import { BARRIER_NAMESPACES, barrierOf } from '../replay/barriers.js'
import { innerOperations } from '../replay/transactions.js'

/** Servers nest once. */
const DEPTH = 2

/** The barriers in the oplog of a member of the config servers, both ends inclusive, in their order. */
export async function findBarriers(
  node: MongoClient,
  range: { readonly start: Timestamp; readonly end: Timestamp },
  signal: AbortSignal,
): Promise<Barrier[]> {
  const names = { $in: BARRIER_NAMESPACES }
  const source = readDocuments(node, 'local', 'oplog.rs', {
    signal,
    // The server writes them in transactions, too.
    filter: { ts: { $gte: range.start, $lte: range.end }, $or: [{ ns: names }, { 'o.applyOps.ns': names }] },
    hint: { $natural: 1 },
  })
  const found: Barrier[] = []
  for await (const documents of wholeDocuments(source)) {
    for (const document of documentsIn(documents)) found.push(...barriersIn(document))
  }
  return found
}

/** Of one raw entry. */
export function barriersIn(document: Buffer): Barrier[] {
  const entry = parseEntry(document)
  return barriersOf(entry).map((barrier) => ({ ts: toTimestamp(entry.ts), ...barrier }))
}

function barriersOf(operation: Operation, depth = 0): Omit<Barrier, 'ts'>[] {
  const own = barrierOf(operation)
  if (own !== undefined) return [own]
  if (operation.op !== 'c' || depth === DEPTH) return []
  return innerOperations(operation.o).flatMap((inner) => barriersOf(inner, depth + 1))
}
