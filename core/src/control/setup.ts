import type { CreateCollectionOptions, IndexDescription, MongoClient } from 'mongodb'
import {
  AGENTS,
  BACKUPS,
  COMMANDS,
  CONTROL_DATABASE,
  LOCKS,
  LOG,
  OPERATIONS,
  PITR,
  PITR_CHUNKS,
  RESTORES,
  SLICER_LOCKS,
} from '../mongo/control-names.js'

interface ControlCollection {
  name: string
  options?: CreateCollectionOptions
  indexes?: IndexDescription[]
}

const MEBIBYTE = 1024 * 1024
const UNIQUE = { unique: true, sparse: true } as const

/** As every PBM agent makes them at its start (PBM: control-plane.md §1.3). Index names are the server's own. */
const COLLECTIONS: readonly ControlCollection[] = [
  { name: COMMANDS, options: { capped: true, size: MEBIBYTE } },
  {
    name: LOG,
    options: { capped: true, size: 50 * MEBIBYTE },
    indexes: [
      { name: 'opid_ts', key: { opid: 1, ts: -1 } },
      { name: 'epoch_rs_event_severity_ts', key: { ep: 1, rs: 1, e: 1, s: 1, ts: -1 } },
      { name: 'event_severity_rs_ts', key: { e: 1, s: 1, rs: 1, ts: -1 } },
    ],
  },
  { name: LOCKS, indexes: [{ key: { replset: 1 }, ...UNIQUE }] },
  { name: SLICER_LOCKS, indexes: [{ key: { replset: 1, type: 1 }, ...UNIQUE }] },
  {
    name: OPERATIONS,
    options: { capped: true, size: 10 * MEBIBYTE },
    indexes: [{ key: { opid: 1, replset: 1 }, ...UNIQUE }],
  },
  {
    name: PITR_CHUNKS,
    indexes: [{ key: { rs: 1, start_ts: 1, end_ts: 1 }, ...UNIQUE }, { key: { start_ts: 1, end_ts: 1 } }],
  },
  { name: PITR },
  { name: BACKUPS, indexes: [{ key: { name: 1 }, ...UNIQUE }, { key: { start_ts: 1, status: 1 } }] },
  { name: RESTORES },
  { name: AGENTS },
]

/**
 * Creates what is missing of the control collections. Safe while other agents, ours or PBM's, do the same, and over what
 * they made; an existing collection or index is left as it is, even when it differs.
 */
export async function ensureControlCollections(leader: MongoClient): Promise<void> {
  await Promise.all(COLLECTIONS.map((collection) => ensure(leader, collection)))
}

/** The same for one of them, after somebody dropped it. */
export async function ensureControlCollection(leader: MongoClient, name: string): Promise<void> {
  const collection = COLLECTIONS.find((one) => one.name === name)
  if (collection !== undefined) await ensure(leader, collection)
}

async function ensure(leader: MongoClient, { name, options, indexes }: ControlCollection): Promise<void> {
  const database = leader.db(CONTROL_DATABASE)
  // What is there is not asked for again: also then the server would wait for the majority. Operators may list only what
  // they have rights on.
  const listing = { nameOnly: true, authorizedCollections: true }
  const [known] = await database.listCollections({ name }, listing).toArray()
  if (known === undefined) await database.createCollection(name, options).catch(tolerate(NAMESPACE_EXISTS))
  if (indexes === undefined) return
  const collection = database.collection(name)
  const keys = known === undefined ? [] : (await collection.indexes()).map(({ key }) => JSON.stringify(key))
  const missing = indexes.filter(({ key }) => !keys.includes(JSON.stringify(key)))
  await Promise.all(
    missing.map((index) => collection.createIndexes([index], CONTROL_INDEXES).catch(tolerate(...INDEX_EXISTS))),
  )
}

/** Not all voting members, as by default: servers refuse that where one of them is configured to build no indexes. */
export const CONTROL_INDEXES = { commitQuorum: 'majority' } as const

const NAMESPACE_EXISTS = 48
/** WriteConcernFailed: made, but not acknowledged in time; what is written into it next will tell. */
const UNACKNOWLEDGED = 64
/** IndexAlreadyExists, IndexOptionsConflict, IndexKeySpecsConflict: the index, or one like it, is there. */
const INDEX_EXISTS = [68, 85, 86]

function tolerate(...codes: number[]): (error: unknown) => void {
  return (error) => {
    const { code, message } = error as { code?: unknown; message?: string }
    if (typeof code === 'number' && [...codes, UNACKNOWLEDGED].includes(code)) return
    if (message?.includes('already exists') === true) return
    throw error
  }
}
