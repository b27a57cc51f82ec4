import { BSON, type Document, EJSON } from 'bson'
import type { MongoClient, MongoServerError } from 'mongodb'
import { arrayElement, buildDocument, documentElement, type RawElement } from '../bson/build.js'
import { documentLength, wholeDocuments } from '../bson/documents.js'
import { BSON_BOOLEAN, BSON_DOCUMENT, findField } from '../bson/elements.js'
import { hasZeroTimestamp, nextZeroCandidate } from '../bson/zero-timestamp.js'
import { PbmError, withoutDocuments } from '../errors.js'
import type { DeadlineGuard } from '../time/deadline-guard.js'
import { documentSequence } from './document-sequence.js'
import './large-requests.js'
import { readLevelOf } from './read-level.js'
import { type WriteBatch, WriteBatches } from './write-batch.js'

export interface RawWriteOptions {
  readonly guard?: DeadlineGuard | undefined
  /** Commands under way at once. Default 2; always 1 when ordered. */
  readonly inFlight?: number | undefined
  /** Keeps the order of the source: for capped collections. Default false. */
  readonly ordered?: boolean | undefined
  /** Bytes of one command. Default 4 MiB, bounded by the server's `maxMessageSizeBytes`. */
  readonly batchBytes?: number | undefined
  /** Documents of one command. Default: as many as the server takes. */
  readonly batchDocuments?: number | undefined
  /**
   * Documents whose `_id` is there already are counted and passed over, not refused. Needs a collection without unique
   * indexes, and not `ordered`.
   */
  readonly passDuplicates?: boolean | undefined
  /**
   * As `passDuplicates`, but for collections with unique indexes and documents of their own: nothing that is there is changed.
   * Documents that break another index than that on `_id` are told to `onConflict`.
   */
  readonly keepExisting?: boolean | undefined
  readonly onConflict?: ((conflict: UniqueConflict) => void) | undefined
  /**
   * Through the router within the shard's mongod, as a mongos would, with the fields of the collection's shard key; each write
   * waits for the majority. Servers have it since 6.0.
   */
  readonly router?: { readonly shardKey: readonly string[] } | undefined
  /** Told what has been written so far. */
  readonly onProgress?: ((documents: number, bytes: number) => void) | undefined
  /** Default `{w: 1}`: follow the last command with one wait for the majority. */
  readonly writeConcern?: Document | undefined
}

/** A document that was not inserted, for its value in a unique index is taken. */
export interface UniqueConflict {
  /** Extended JSON. */
  readonly id: string
  /** Name of the index. */
  readonly index: string
}

const DEFAULT_BATCH_BYTES = 4 * 1024 * 1024
const UNAUTHORIZED = 13
const DUPLICATE_KEY = 11000

/**
 * Inserts a stream of concatenated BSON documents, chunked anyhow, without decoding them: validation of the collection
 * is bypassed, and top-level zero timestamps are kept (the server would replace them).
 *
 * Throws `WRITE_FAILED` with the namespace and the `_id` of the first document that the server refused. Nothing more is
 * sent after a failure; what is under way is waited for. `duplicates` of the `documents` were there already.
 */
export async function insertDocuments(
  client: MongoClient,
  database: string,
  collection: string,
  source: AsyncIterable<Uint8Array>,
  options: RawWriteOptions = {},
): Promise<{ documents: number; bytes: number; duplicates: number }> {
  const writer = new RawWriter(client, database, collection, options, await serverLimits(client))
  try {
    for await (const buffer of wholeDocuments(source)) await writer.add(buffer)
    await writer.flush()
  } finally {
    await writer.settle()
  }
  writer.throwIfFailed()
  return { documents: writer.documents, bytes: writer.bytes, duplicates: writer.duplicates }
}

/** Waits until everything written on this client so far is on a majority of the members, where the client asks for one. */
export async function awaitMajority(client: MongoClient, note = 'pbmkit: writes are on the majority'): Promise<void> {
  const w = readLevelOf(client) === 'majority' ? 'majority' : 1
  await client.db('admin').command({ appendOplogNote: 1, data: { msg: note }, writeConcern: { w } })
}

interface ServerLimits {
  readonly messageBytes: number
  readonly batchDocuments: number
  /** The server can be told to keep zero timestamps. */
  readonly keepsZeroTimestamps: boolean
}

const limitsOf = new WeakMap<MongoClient, Promise<ServerLimits>>()

async function serverLimits(client: MongoClient): Promise<ServerLimits> {
  const known = limitsOf.get(client)
  if (known !== undefined) return await known
  const asked = askLimits(client)
  limitsOf.set(client, asked)
  asked.catch(() => limitsOf.delete(client))
  return await asked
}

async function askLimits(client: MongoClient): Promise<ServerLimits> {
  const hello = await client.db('admin').command({ hello: 1 })
  // Only newer servers know the flag. An insert without documents is refused by all, but for that reason only where
  // the flag is known (40415 and its relatives name the unknown field).
  const refused = await client
    .db('admin')
    .command({ insert: 'pbmkit.probe', documents: [], bypassEmptyTsReplacement: true })
    .then(
      () => undefined,
      (error: MongoServerError) => error,
    )
  const known = refused !== undefined && refused.code !== UNAUTHORIZED
  return {
    messageBytes: Number(hello.maxMessageSizeBytes ?? 48_000_000),
    batchDocuments: Number(hello.maxWriteBatchSize ?? 100_000),
    keepsZeroTimestamps: known && !refused.message.includes('bypassEmptyTsReplacement'),
  }
}

class RawWriter {
  documents = 0
  bytes = 0
  duplicates = 0
  readonly #client: MongoClient
  readonly #database: string
  readonly #collection: string
  readonly #options: RawWriteOptions
  readonly #limits: ServerLimits
  readonly #batchBytes: number
  readonly #batchDocuments: number
  readonly #inFlight: number
  readonly #running = new Set<Promise<void>>()
  readonly #batches: WriteBatches
  #batch: WriteBatch
  #failure: unknown

  constructor(
    client: MongoClient,
    database: string,
    collection: string,
    options: RawWriteOptions,
    limits: ServerLimits,
  ) {
    this.#client = client
    this.#database = database
    this.#collection = collection
    this.#options = options
    this.#limits = limits
    this.#batchBytes = Math.min(options.batchBytes ?? DEFAULT_BATCH_BYTES, limits.messageBytes - 64 * 1024)
    this.#batchDocuments = Math.min(options.batchDocuments ?? limits.batchDocuments, limits.batchDocuments)
    this.#inFlight = options.ordered === true ? 1 : Math.max(1, options.inFlight ?? 2)
    this.#batches = new WriteBatches(this.#batchBytes)
    this.#batch = this.#batches.begin()
  }

  /** Cuts a buffer of whole documents into commands. All of it is copied when this resolves. */
  async add(buffer: Buffer): Promise<void> {
    let start = 0
    let candidate = this.#limits.keepsZeroTimestamps ? -1 : nextZeroCandidate(buffer, 0)
    for (let offset = 0; offset < buffer.length; ) {
      const length = documentLength(buffer, offset)
      const next = offset + length
      if (candidate >= 0 && candidate < next) {
        if (hasZeroTimestamp(buffer, offset)) {
          this.#take(buffer, start, offset)
          // Order matters only to capped collections, but there it does.
          if (this.#options.ordered === true) await this.flush()
          await this.#send(1, length, () => this.#upsertLiteral(buffer.subarray(offset, next)))
          start = next
        }
        candidate = nextZeroCandidate(buffer, next)
      }
      if (start < next) {
        const pendingBytes = this.#batch.bytes + (offset - start)
        if (pendingBytes > 0 && pendingBytes + length > this.#batchBytes) {
          this.#take(buffer, start, offset)
          await this.flush()
          start = offset
        }
        this.#batch.documents++
        if (this.#batch.documents >= this.#batchDocuments) {
          this.#take(buffer, start, next)
          await this.flush()
          start = next
        }
      }
      offset = next
    }
    this.#take(buffer, start, buffer.length)
  }

  #take(buffer: Buffer, start: number, end: number): void {
    if (end > start) this.#batches.append(this.#batch, buffer.subarray(start, end))
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.bytes === 0) return
    await this.#send(batch.documents, batch.bytes, () => this.#insert(batch))
    this.#batch = this.#batches.begin()
  }

  async #send(documents: number, bytes: number, command: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#inFlight) await Promise.race(this.#running)
    this.throwIfFailed()
    this.#options.guard?.throwIfStopped()
    const running = command()
      .then(() => {
        this.documents += documents
        this.bytes += bytes
        this.#options.onProgress?.(this.documents, this.bytes)
      })
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
    if (this.#options.ordered === true) await running
  }

  async #insert(batch: WriteBatch): Promise<void> {
    const documents = batch.memory.subarray(0, batch.bytes)
    await this.#command(
      {
        insert: this.#collection,
        documents: documentSequence('documents', documents),
        ...(this.#limits.keepsZeroTimestamps ? { bypassEmptyTsReplacement: true } : {}),
      },
      documents,
    )
    this.#batches.end(batch)
  }

  /**
   * Writes one document by an update whose pipeline is the document as a literal: the one way in which an older server
   * keeps a zero timestamp as it is.
   */
  async #upsertLiteral(document: Buffer): Promise<void> {
    // Matches nothing, so that one that is there makes the insert fail, and stays as it is.
    const never = this.#options.keepExisting === true ? [arrayElement('$nor', [buildDocument([])])] : []
    // A router has to see where it belongs.
    const paths = new Set(['_id', ...(this.#options.router?.shardKey ?? [])])
    const equal = [...paths].flatMap((path) => {
      const found = valueAt(document, path)
      return found === undefined ? [] : [documentElement(path, buildDocument([{ ...found, name: '$eq' }]))]
    })
    const update = buildDocument([
      documentElement('q', buildDocument([...equal, ...never])),
      arrayElement('u', [
        buildDocument([documentElement('$replaceWith', buildDocument([documentElement('$literal', document)]))]),
      ]),
      { name: 'upsert', type: BSON_BOOLEAN, value: Buffer.of(1) },
    ])
    await this.#command({ update: this.#collection, updates: documentSequence('updates', update) }, document)
  }

  async #command(command: Document, documents: Buffer): Promise<void> {
    const signal = this.#options.guard?.signal
    const { router } = this.#options
    // Of other shards nobody waits for the majority later.
    const concern = router !== undefined && readLevelOf(this.#client) === 'majority' ? 'majority' : 1
    const reply = await this.#client.db(this.#database).command(
      {
        ...(router === undefined ? command : ofRouter(command)),
        ordered: this.#options.ordered === true,
        bypassDocumentValidation: true,
        writeConcern: this.#options.writeConcern ?? { w: concern },
      },
      { readPreference: 'primary', ...(signal === undefined ? {} : { signal }) },
    )
    const errors = (reply.writeErrors ?? []) as WriteError[]
    const keeps = this.#options.keepExisting === true
    const passes = keeps || this.#options.passDuplicates === true
    const first = errors.find(({ code }) => !passes || code !== DUPLICATE_KEY)
    if (first !== undefined) throw this.#refused(documents, first)
    const conflicts = keeps ? errors.filter((error) => !isOfId(error)) : []
    for (const { index, errmsg } of conflicts) {
      const [, name = '?'] = /index: (\S+) dup key/.exec(errmsg) ?? []
      this.#options.onConflict?.({ id: idText(documents, index), index: name })
    }
    // An upsert that made nothing has met one.
    const met = command.update === undefined || keeps ? errors.length : Number(reply.upserted === undefined)
    this.duplicates += met - conflicts.length
    const unacknowledged = reply.writeConcernError as { code: number; errmsg: string } | undefined
    if (unacknowledged !== undefined) {
      const { errmsg, code } = unacknowledged
      throw new PbmError(
        'WRITE_FAILED',
        `Writing ${this.#database}.${this.#collection} was not acknowledged: ${withoutDocuments(errmsg)} (code ${code})`,
      )
    }
  }

  #refused(documents: Buffer, error: WriteError): PbmError {
    return new PbmError(
      'WRITE_FAILED',
      `The server refused the document with _id ${idText(documents, error.index)} of ${this.#database}.${this.#collection}: ${withoutDocuments(error.errmsg)} (code ${error.code})`,
    )
  }

  async settle(): Promise<void> {
    await Promise.all(this.#running)
  }

  throwIfFailed(): void {
    if (this.#failure === undefined) return
    this.#options.guard?.signal.throwIfAborted()
    throw this.#failure
  }
}

/** The commands that mongos has, which shards have under other names. */
function ofRouter({ insert, update, ...rest }: Document): Document {
  return { ...(insert === undefined ? { clusterUpdate: update } : { clusterInsert: insert }), ...rest }
}

/** The value at a path with dots through embedded documents. */
function valueAt(document: Buffer, path: string): RawElement | undefined {
  const [first = '', ...rest] = path.split('.')
  const found = findField(document, first)
  if (found === undefined) return undefined
  const value = document.subarray(found.value, found.end)
  if (rest.length === 0) return { name: path, type: found.type, value }
  return found.type === BSON_DOCUMENT ? valueAt(value, rest.join('.')) : undefined
}

interface WriteError {
  readonly index: number
  readonly code: number
  readonly errmsg: string
  readonly keyPattern?: Document
}

/** The server looks at the index on `_id` first. */
function isOfId({ keyPattern }: WriteError): boolean {
  const names = Object.keys(keyPattern ?? {})
  return names.length === 1 && names[0] === '_id'
}

function idText(documents: Buffer, index: number): string {
  let rest = index
  for (let offset = 0; offset < documents.length; rest--) {
    if (rest === 0) {
      const id = findField(documents, '_id', offset)
      if (id === undefined) return '(none)'
      const document = buildDocument([{ name: '_id', type: id.type, value: documents.subarray(id.value, id.end) }])
      return EJSON.stringify(BSON.deserialize(document)._id)
    }
    offset += documents.readInt32LE(offset)
  }
  return '(unknown)'
}
