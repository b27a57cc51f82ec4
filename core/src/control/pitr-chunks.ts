import { type Document, type MongoClient, ObjectId, Timestamp } from 'mongodb'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, PITR_CHUNKS } from '../mongo/control-names.js'
import type { PitrChunkDocument } from './pitr-chunk-document.js'
import { isDuplicateKey, readNumber, toWire } from './wire.js'

/** Deleted by one command. */
const GONE_AT_ONCE = 10_000

/** Longer than a slicer looks for what its predecessor left: 10 minutes, and a chunk that takes as long to store. */
const SETTLED_SECONDS = 20 * 60

/**
 * Follows the name of a sealed object in its record, so that it is the name of none. Before a restore drops anything, PBM
 * asks the storage for each object by `fname` (PBM: control-plane.md §5.3, step 6): it refuses then, instead of failing at
 * the first sealed chunk when the data is gone. The bounds stay, so its list of ranges, what it keeps because chunks need
 * it, and where its slicer goes on are right.
 */
const FOR_US_ALONE = ' (sealed, for pbmkit alone)'

const chunks = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(PITR_CHUNKS)

/** Oldest first. */
export async function listChunks(leader: MongoClient, query: { rs?: string } = {}): Promise<PitrChunkDocument[]> {
  const found = await chunks(leader)
    .find({ ...query }, { sort: { start_ts: 1 } })
    .toArray()
  return found.flatMap((one) => fromRecord(one) ?? [])
}

/** Whether that very object is on the list. */
export async function isChunkListed(
  leader: MongoClient,
  { rs, start_ts, end_ts, fname }: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts' | 'fname'>,
): Promise<boolean> {
  const names = { $in: [fname, `${fname}${FOR_US_ALONE}`] }
  return (await chunks(leader).findOne({ rs, start_ts, end_ts, fname: names }, { projection: { _id: 1 } })) !== null
}

/** Those that end after this Unix second and began at most a day before it; oldest first. */
export async function listChunksSince(leader: MongoClient, second: number): Promise<PitrChunkDocument[]> {
  const since = { end_ts: { $gt: new Timestamp({ t: second, i: 0 }) } }
  const begun = { start_ts: { $gte: new Timestamp({ t: Math.max(0, second - 86_400), i: 0 }) } }
  const found = await chunks(leader)
    .find({ ...since, ...begun }, { sort: { start_ts: 1 } })
    .toArray()
  return found.flatMap((one) => fromRecord(one) ?? [])
}

/** Where the chunks of each replica set end. */
export async function listNewestEnds(leader: MongoClient): Promise<{ rs: string; end: Timestamp }[]> {
  const found = await chunks(leader)
    .aggregate<{ _id: string; end: Timestamp }>([{ $group: { _id: '$rs', end: { $max: '$end_ts' } } }])
    .toArray()
  return found.map(({ _id, end }) => ({ rs: _id, end }))
}

/** A chunk as far as it counts for what can be restored to, with the place of its record among all of them. */
export interface ListedChunk
  extends Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts' | 'barriers' | 'fromNothing'> {
  readonly _id: ObjectId
  readonly size: number
  readonly isSealed: boolean
}

const LISTED = { rs: 1, start_ts: 1, end_ts: 1, barriers: 1, fromNothing: 1, size: 1, 'encryption.type': 1 } as const

/** Those listed after the record `after`, or all, in no order: for who must not hold a long list in memory. */
export async function* eachChunk(leader: MongoClient, after: ObjectId): AsyncGenerator<ListedChunk> {
  const filter = { _id: { $gt: after } }
  for await (const found of chunks(leader).find(filter, { projection: LISTED })) {
    const { encryption, ...chunk } = found
    const { _id, rs, start_ts, end_ts } = chunk
    const isChunk = typeof rs === 'string' && start_ts instanceof Timestamp && end_ts instanceof Timestamp
    if (!isChunk || !(_id instanceof ObjectId)) continue
    yield { ...(chunk as unknown as ListedChunk), size: readNumber(chunk.size), isSealed: encryption !== undefined }
  }
}

/** How many there are, without looking at them: after a crash of the server, it may be a few off. */
export function countChunks(leader: MongoClient): Promise<number> {
  return chunks(leader).estimatedDocumentCount()
}

/** The chunk of a replica set that ends last. */
export async function findLastChunk(leader: MongoClient, rs: string): Promise<PitrChunkDocument | undefined> {
  const [last] = await chunks(leader)
    .find({ rs, ...OF_CHUNKS }, { sort: { end_ts: -1 }, limit: 1 })
    .toArray()
  return last === undefined ? undefined : fromRecord(last)
}

/**
 * The chunks of a replica set that begin at this very entry: more than one only where slicers overlapped. Whose object is
 * not among them gets deleted, so it is read as the primary has it: one that was just elected may not know yet that the
 * majority has the last of them.
 */
export async function listChunksFrom(leader: MongoClient, rs: string, start: Timestamp): Promise<PitrChunkDocument[]> {
  const found = await chunks(leader)
    .find({ rs, start_ts: start }, { readConcern: { level: 'local' } })
    .toArray()
  return found.flatMap((one) => fromRecord(one) ?? [])
}

/** False when that very slice is indexed already. */
export async function insertChunk(leader: MongoClient, chunk: PitrChunkDocument): Promise<boolean> {
  try {
    await chunks(leader).insertOne(toRecord(chunk))
    return true
  } catch (error) {
    if (isDuplicateKey(error)) return false
    throw error
  }
}

export async function deleteChunk(leader: MongoClient, chunk: PitrChunkDocument): Promise<boolean> {
  const { rs, start_ts, end_ts } = chunk
  return (await chunks(leader).deleteOne({ rs, start_ts, end_ts } as Document)).deletedCount === 1
}

/**
 * Makes the index what was found on the storage. All of it is there before anything goes, so that whoever is interrupted
 * between leaves too much and never a gap: a chunk whose object is missing is noticed before a restore changes anything.
 */
export async function replaceChunks(leader: MongoClient, found: readonly PitrChunkDocument[]): Promise<void> {
  const bounds = ({ rs, start_ts, end_ts }: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>) =>
    `${rs} ${start_ts} ${end_ts}`
  const before = await chunks(leader)
    .find({}, { projection: { rs: 1, start_ts: 1, end_ts: 1 } })
    .toArray()
  const upserts = found.map((chunk) => {
    const { rs, start_ts, end_ts } = chunk
    return { replaceOne: { filter: { rs, start_ts, end_ts }, replacement: toRecord(chunk), upsert: true } }
  })
  if (upserts.length > 0) await chunks(leader).bulkWrite(upserts)
  const kept = new Set(found.map(bounds))
  const gone = before.filter((chunk) => !kept.has(bounds(chunk as unknown as PitrChunkDocument)))
  // By pieces: a list of all of them could be larger than a command may be.
  for (let at = 0; at < gone.length; at += GONE_AT_ONCE) {
    const ids = gone.slice(at, at + GONE_AT_ONCE).map(({ _id }) => _id)
    await chunks(leader).deleteMany({ _id: { $in: ids } })
  }
}

/**
 * Gives sealed chunks that an earlier version listed the form that PBM finds on no storage. To be repeated, since during an
 * upgrade such agents go on listing; and only what is old, since a slicer among them deletes each object that begins where it
 * began and is not listed by its very name.
 */
export async function keepSealedFromPbm(leader: MongoClient): Promise<void> {
  const before = secondsOf(await clusterTime(leader)) - SETTLED_SECONDS
  const listedPlainly = { encryption: { $exists: true }, fname: { $not: /\)$/ } }
  // A slicer that catches up, or a resync, lists today what ended long ago.
  const settled = { end_ts: { $lt: new Timestamp({ t: before, i: 0 }) }, _id: { $lt: ObjectId.createFromTime(before) } }
  await chunks(leader).updateMany({ ...listedPlainly, ...settled } as Document, [
    { $set: { fname: { $concat: ['$fname', FOR_US_ALONE] } } },
  ])
}

function toRecord(chunk: PitrChunkDocument): Document {
  const { fname, encryption } = chunk
  return toWire(encryption === undefined ? chunk : { ...chunk, fname: `${fname}${FOR_US_ALONE}` })
}

/** Types of what each chunk has: one odd document must not keep all others from being seen. */
const OF_CHUNKS: Document = {
  fname: { $type: 'string' },
  start_ts: { $type: 'timestamp' },
  end_ts: { $type: 'timestamp' },
}

/** Takes a sealed chunk as an earlier version listed it, too. Undefined for what is no chunk. */
function fromRecord({ _id, ...raw }: Document): PitrChunkDocument | undefined {
  const { rs, fname, start_ts, end_ts } = raw
  if (typeof rs !== 'string' || typeof fname !== 'string') return undefined
  if (![start_ts, end_ts].every((time) => time instanceof Timestamp)) return undefined
  const object = fname.endsWith(FOR_US_ALONE) ? fname.slice(0, -FOR_US_ALONE.length) : fname
  return { ...(raw as PitrChunkDocument), fname: object, size: readNumber(raw.size) }
}
