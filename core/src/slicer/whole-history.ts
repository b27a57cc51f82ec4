import { type Binary, BSON } from 'bson'
import type { Document, MongoClient } from 'mongodb'
import { parseEntry } from '../oplog/entry.js'
import { isInitiation } from '../oplog/reading/initiation.js'
import { isExcluded } from '../oplog/replay/namespaces.js'
import { listTarget } from '../restore/data/target.js'

/** An agent that answers an election has little more. A shard that was just added has next to no oplog. */
const LOOK_MS = 8_000
const UUID_BYTES = 16

/**
 * Why a replay of this member's oplog onto an empty server would not give all that it has; undefined where it would. The
 * oplog has to begin with the initiation of the replica set, and every collection that there is, or was, must have been
 * made in it: servers that had data become replica sets, too.
 */
export async function lackOfHistory(node: MongoClient): Promise<string | undefined> {
  const oplog = node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' })
  const oldest = await oplog.findOne({}, { sort: { $natural: 1 }, projection: { _id: 0, ts: 1, op: 1, ns: 1, o: 1 } })
  if (oldest === null || !isInitiation(parseEntry(Buffer.from(BSON.serialize(oldest))))) {
    return 'its oplog does not reach back to when the replica set was initiated'
  }
  // Before the oplog: what is made meanwhile is in it.
  const present = await listTarget(node)
  const made = new Set<string>()
  const gone: { uuid: string; ns: string }[] = []
  const commands = oplog.find(
    { op: 'c', $or: COMMANDS.map((command) => ({ [command]: { $exists: true } })) },
    {
      projection: Object.fromEntries(['ns', 'ui', 'o.applyOps.ui', ...COMMANDS].map((field) => [field, 1])),
      hint: { $natural: 1 },
      maxTimeMS: LOOK_MS,
    },
  )
  for await (const { ns, ui, o } of commands) {
    for (const inner of [{ ui, o }, ...innerOf(o)]) if (inner.o?.create !== undefined) made.add(hex(inner.ui))
    if (o.drop !== undefined) gone.push({ uuid: hex(ui), ns: `${String(ns).replace(/\.\$cmd$/, '')}.${o.drop}` })
    if (o.dropTarget !== undefined) gone.push({ uuid: hex(o.dropTarget), ns: String(ns) })
  }
  const older = [...present.map(({ uuid, db, name }) => ({ uuid, ns: `${db}.${name}` })), ...gone].find(
    ({ uuid, ns }) => uuid !== undefined && uuid !== '' && !isExcluded(ns) && !made.has(uuid),
  )
  return older === undefined ? undefined : `its oplog does not have how ${older.ns} was made`
}

const COMMANDS = ['o.create', 'o.drop', 'o.dropTarget', 'o.applyOps.o.create']

function innerOf(o: Document): { ui?: unknown; o?: Document }[] {
  return Array.isArray(o.applyOps) ? o.applyOps : []
}

/** Empty for what is no UUID: `dropTarget` may be a boolean. */
function hex(uuid: unknown): string {
  const { buffer } = (uuid ?? {}) as Partial<Binary>
  return buffer?.length === UUID_BYTES ? Buffer.from(buffer).toString('hex') : ''
}
