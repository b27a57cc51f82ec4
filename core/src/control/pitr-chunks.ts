import type { Document, MongoClient, Timestamp } from 'mongodb'
import { CONTROL_DATABASE, PITR_CHUNKS } from './names.js'
import type { PitrChunkDocument } from './pitr-chunk-document.js'
import { isDuplicateKey, readNumber, toWire } from './wire.js'

const chunks = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(PITR_CHUNKS)

/** Oldest first. */
export async function listChunks(leader: MongoClient, query: { rs?: string } = {}): Promise<PitrChunkDocument[]> {
  const found = await chunks(leader)
    .find({ ...query }, { sort: { start_ts: 1 } })
    .toArray()
  return found.map(({ _id, ...raw }) => ({ ...(raw as PitrChunkDocument), size: readNumber(raw.size) }))
}

/** The chunk of a replica set that ends last. */
export async function findLastChunk(leader: MongoClient, rs: string): Promise<PitrChunkDocument | undefined> {
  const found = await chunks(leader).findOne({ rs }, { sort: { end_ts: -1 } })
  if (found === null) return undefined
  const { _id, ...raw } = found
  return { ...(raw as PitrChunkDocument), size: readNumber(raw.size) }
}

/** The chunks of a replica set that begin at this very entry: more than one only where slicers overlapped. */
export async function listChunksFrom(leader: MongoClient, rs: string, start: Timestamp): Promise<PitrChunkDocument[]> {
  const found = await chunks(leader).find({ rs, start_ts: start }).toArray()
  return found.map(({ _id, ...raw }) => ({ ...(raw as PitrChunkDocument), size: readNumber(raw.size) }))
}

/** False when that very slice is indexed already. */
export async function insertChunk(leader: MongoClient, chunk: PitrChunkDocument): Promise<boolean> {
  try {
    await chunks(leader).insertOne(toWire(chunk))
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

/** Replaces the whole index by what was found on the storage. */
export async function replaceChunks(leader: MongoClient, found: readonly PitrChunkDocument[]): Promise<void> {
  await chunks(leader).deleteMany({})
  for (const chunk of found) await insertChunk(leader, chunk)
}
