import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { MongoClient } from 'mongodb'
import { documentsIn, MAX_DOCUMENT_BYTES, wholeDocuments } from '../../bson/documents.js'
import { BSON_TIMESTAMP, type ElementPosition, readElement } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { documentSequence } from '../../mongo/document-sequence.js'
import { optimeText, parseEntry } from '../../oplog/entry.js'
import { withoutControlEntries } from '../../oplog/reading/control-entries.js'

/** What the server takes into a collection: the entry of a document of 16 MiB is larger. */
const LARGEST_ENTRY = 16 * 1024 * 1024
const BATCH_BYTES = 8 * 1024 * 1024
const BATCH_ENTRIES = 5_000
const FIELD = Buffer.from([BSON_TIMESTAMP, ...Buffer.from('_id\0')])

/** A file of oplog entries in their order, as the server takes them into its oplog: {@link insertEntries}. */
export class EntriesFile {
  readonly #file: FileHandle
  #last: bigint
  #entries = 0
  #bytes = 0

  /** @param last the last entry that must not be in it any more */
  static async create(path: string, last: bigint): Promise<EntriesFile> {
    return new EntriesFile(await open(path, 'w', 0o600), last)
  }

  private constructor(file: FileHandle, last: bigint) {
    this.#file = file
    this.#last = last
  }

  /** Of the last entry; what it began with where there is none. */
  get last(): bigint {
    return this.#last
  }

  get entries(): number {
    return this.#entries
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Takes of whole documents what is later than all before, up to `end`. Control collections are of no use to whoever reads it.
   * Throws ENTRY_TOO_LARGE.
   *
   * @param see told each, also those that are not taken
   */
  async add(documents: Buffer, end: bigint, see?: (ts: bigint) => void): Promise<void> {
    const kept: Buffer[] = []
    for (const raw of documentsIn(withoutControlEntries(documents))) {
      const { ts } = parseEntry(raw)
      see?.(ts)
      if (ts <= this.#last || ts > end) continue
      kept.push(withId(raw, ts))
      this.#last = ts
      this.#entries++
    }
    const block = Buffer.concat(kept)
    this.#bytes += block.length
    // All of it: a single write may take less.
    await this.#file.appendFile(block)
  }

  async close(): Promise<void> {
    await this.#file.sync().finally(() => this.#file.close())
  }
}

/** The server would give each entry another `_id` on each member. */
function withId(raw: Buffer, ts: bigint): Buffer {
  const first: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  const hasOne =
    readElement(raw, 4, raw.length, first) && raw.toString('latin1', first.start + 1, first.value - 1) === '_id'
  const entry = hasOne ? raw : Buffer.concat([Buffer.alloc(4), FIELD, Buffer.alloc(8), raw.subarray(4)])
  if (entry.length > LARGEST_ENTRY) {
    throw new PbmError(
      'ENTRY_TOO_LARGE',
      `the entry of the oplog at ${optimeText(ts)} has ${entry.length} bytes: more than the server takes on its files`,
      { hint: 'Restore to a time before it, or from a logical backup (--base-snapshot)' },
    )
  }
  if (!hasOne) {
    entry.writeInt32LE(entry.length, 0)
    entry.writeBigUInt64LE(ts, 4 + FIELD.length)
  }
  return entry
}

/**
 * Puts entries into the oplog of a server that is no member of a replica set, behind what it has: once it is one, it applies
 * them by itself (measured: docs/reference/physical-community.md §5). Reading the oplog forwards would hang afterwards.
 */
export async function insertEntries(client: MongoClient, path: string, top: bigint): Promise<void> {
  let batch: Buffer[] = []
  let bytes = 0
  const send = async () => {
    if (batch.length === 0) return
    const documents = documentSequence('documents', ...batch)
    const reply = await client.db('local').command({ insert: 'oplog.rs', documents, ordered: true })
    const [error] = (reply.writeErrors ?? []) as { errmsg?: string }[]
    if (error !== undefined) throw new PbmError('OPLOG_REFUSED', `the server refuses the oplog: ${error.errmsg}`)
    batch = []
    bytes = 0
  }
  for await (const documents of wholeDocuments(createReadStream(path, { highWaterMark: MAX_DOCUMENT_BYTES / 16 }))) {
    for (const raw of documentsIn(documents)) {
      // Some of it was put there before this process was killed.
      if (parseEntry(raw).ts <= top) continue
      if (batch.length >= BATCH_ENTRIES || bytes + raw.length > BATCH_BYTES) await send()
      batch.push(raw)
      bytes += raw.length
    }
  }
  await send()
}
