import { type Document, Long, type UUID } from 'bson'
import { type ClientSession, type Db, type MongoClient, MongoServerError, type ReadPreferenceMode } from 'mongodb'
import { PbmError } from '../errors.js'
import { asBuffer } from '../plugin-kit/streams.js'
import { noteBufferMade } from '../plugin-kit/young-buffers.js'
import './large-messages.js'
import { type RawBatch, readBatch } from './raw-batch.js'
import { readLevelOf } from './read-level.js'

export interface CursorOptions {
  readonly signal?: AbortSignal | undefined
  readonly readPreference?: ReadPreferenceMode | undefined
  /** About how many bytes a batch should have; the server's own bound is 16 MiB. */
  readonly batchBytes?: number | undefined
  /** Told the documents of each batch, before it is yielded. */
  readonly onBatch?: ((documents: number, bytes: number) => void) | undefined
}

export interface RawReadOptions extends CursorOptions {
  /** Default {@link readLevelOf} the client: nothing that could be rolled back gets into a backup. */
  readonly readConcern?: 'majority' | 'local' | undefined
  readonly filter?: Document | undefined
  readonly sort?: Document | undefined
  /** Default `{$natural: 1}` where there is neither filter nor sort: never an index that may be incomplete. */
  readonly hint?: Document | string | undefined
  readonly projection?: Document | undefined
  readonly limit?: number | undefined
}

/** Fewer replies cost less CPU, larger ones more memory. A little less than the 2 MiB that codecs take as one piece. */
const DEFAULT_BATCH_BYTES = 1792 * 1024
/** The server forgets a session that is idle for 30 minutes, and its cursors with it. */
const SESSION_REFRESH_MS = 5 * 60 * 1000

/**
 * Reads a collection, named or by its UUID (which follows it through renames), as raw BSON: each buffer holds whole
 * documents, one after the other, and belongs to the consumer. The next batch is asked for before this one is consumed.
 *
 * Memory: two batches. Breaking off or aborting kills the cursor on the server and ends the session. A slow consumer
 * costs nothing: the cursor has no idle timeout, and its session is kept alive.
 *
 * Throws `COLLECTION_MISSING` (unknown UUID, or dropped while it was read; an unknown name is empty), `COLLECTION_RENAMED`
 * (while it was read), `CAPPED_OVERRUN` (a capped collection was overwritten faster than read), `CURSOR_LOST` (killed
 * by somebody, or the server restarted), or the driver's error.
 */
export async function* readDocuments(
  client: MongoClient,
  database: string,
  collection: string | UUID,
  options: RawReadOptions = {},
): AsyncGenerator<Buffer> {
  const { filter, sort, projection, limit, readConcern } = options
  const hint = options.hint ?? (filter === undefined && sort === undefined ? { $natural: 1 } : undefined)
  const command = {
    find: collection,
    filter: filter ?? {},
    ...(sort === undefined ? {} : { sort }),
    ...(hint === undefined ? {} : { hint }),
    ...(projection === undefined ? {} : { projection }),
    ...(limit === undefined ? {} : { limit }),
    noCursorTimeout: true,
    readConcern: { level: readConcern ?? readLevelOf(client) },
  }
  yield* readCursor(client, database, command, options)
}

/** As {@link readDocuments}, for any command that answers with a cursor: `listCollections`, `listIndexes`. */
export async function* readCursor(
  client: MongoClient,
  database: string,
  command: Document,
  options: CursorOptions = {},
): AsyncGenerator<Buffer> {
  const { signal } = options
  signal?.throwIfAborted()
  const session = client.startSession({ causalConsistency: false })
  const keepAlive = setInterval(() => void refresh(client, session), SESSION_REFRESH_MS)
  keepAlive.unref()
  const cursor = new RawCursor(client.db(database), session, options)
  let next: Promise<RawBatch> | undefined
  try {
    let batch = await cursor.open(command)
    for (;;) {
      if (batch.cursorId !== 0n) {
        next = cursor.more(batch)
        // Its failure is told when it is awaited; until then it must not count as unhandled.
        next.catch(() => undefined)
      } else {
        next = undefined
      }
      if (batch.count > 0) {
        options.onBatch?.(batch.count, batch.documents.length)
        yield batch.documents
      }
      if (next === undefined) return
      batch = await next
      next = undefined
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw explain(error, `${database}.${String(Object.values(command)[0])}`)
  } finally {
    clearInterval(keepAlive)
    await cursor.close(next)
    await session.endSession().catch(() => undefined)
  }
}

class RawCursor {
  readonly #db: Db
  readonly #session: ClientSession
  readonly #options: CursorOptions
  #id = 0n
  #collection = ''
  #batchDocuments: number | undefined

  constructor(db: Db, session: ClientSession, options: CursorOptions) {
    this.#db = db
    this.#session = session
    this.#options = options
  }

  async open(command: Document): Promise<RawBatch> {
    const batch = await this.#run(command)
    this.#collection = batch.namespace.slice(batch.namespace.indexOf('.') + 1)
    return batch
  }

  async more(previous: RawBatch): Promise<RawBatch> {
    // The first batch (101 documents at the most) tells their size; later ones adapt the count to it.
    if (previous.count > 0) {
      const mean = previous.documents.length / previous.count
      this.#batchDocuments = Math.max(1, Math.ceil((this.#options.batchBytes ?? DEFAULT_BATCH_BYTES) / mean))
    }
    return await this.#run({
      getMore: Long.fromBigInt(previous.cursorId),
      collection: this.#collection,
      ...(this.#batchDocuments === undefined ? {} : { batchSize: this.#batchDocuments }),
    })
  }

  async #run(command: Document): Promise<RawBatch> {
    const reply = await this.#db.command(command, {
      raw: true,
      session: this.#session,
      readPreference: this.#options.readPreference ?? 'primaryPreferred',
      ...(this.#options.signal === undefined ? {} : { signal: this.#options.signal }),
    })
    const batch = readBatch(asBuffer(reply.cursor as Uint8Array))
    noteBufferMade(batch.documents.length)
    this.#id = batch.cursorId
    return batch
  }

  /** Kills the cursor if the server still has it. A read under way is waited for: a cursor in use can't be killed cleanly. */
  async close(pending: Promise<RawBatch> | undefined): Promise<void> {
    if (pending !== undefined) await pending.catch(() => undefined)
    if (this.#id === 0n || this.#collection === '') return
    await this.#db
      .command(
        { killCursors: this.#collection, cursors: [Long.fromBigInt(this.#id)] },
        { readPreference: 'primaryPreferred' },
      )
      .catch(() => undefined)
  }
}

async function refresh(client: MongoClient, session: ClientSession): Promise<void> {
  const id = session.id
  if (id === undefined) return
  // A failure shows at the next read, if it matters at all.
  await client
    .db('admin')
    .command({ refreshSessions: [id] }, { readPreference: 'primaryPreferred' })
    .catch(() => undefined)
}

/** Server codes: NamespaceNotFound, CursorNotFound, CappedPositionLost, QueryPlanKilled, CursorKilled. */
function explain(error: unknown, namespace: string): unknown {
  if (!(error instanceof MongoServerError)) return error
  switch (error.code) {
    case 26:
      return new PbmError('COLLECTION_MISSING', `The collection ${namespace} does not exist (any more)`, {
        cause: error,
      })
    case 43:
    case 237:
      return new PbmError('CURSOR_LOST', `The cursor on ${namespace} was killed on the server`, { cause: error })
    case 136:
      return new PbmError(
        'CAPPED_OVERRUN',
        `The capped collection ${namespace} is overwritten faster than it is read`,
        {
          cause: error,
        },
      )
    case 175:
      return /renamed/.test(error.message)
        ? new PbmError('COLLECTION_RENAMED', `The collection ${namespace} was renamed while it was read`, {
            cause: error,
          })
        : new PbmError('COLLECTION_MISSING', `The collection ${namespace} was dropped while it was read`, {
            cause: error,
          })
    default:
      return error
  }
}
