import type { MongoClient, Timestamp } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { PbmError } from '../../errors.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { BUCKETS_PREFIX } from '../../mongo/time-series.js'
import { isTrue } from '../../oplog/raw-fields.js'
import type { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { MOVED_ASIDE } from './foreign.js'
import { listTarget, type TargetCollection } from './target.js'

const NAMESPACE_EXISTS = 48
/** How many a message names. */
const NAMED = 5
/** For looking up what a collection was called before the server moved it; the message does without. */
const LOOK_UP_MS = 5_000
const COUNTS_AT_ONCE = 4

type Named = Pick<TargetCollection, 'db' | 'name'>

interface Watched {
  /** Of the backup. */
  readonly namespaces: readonly Pick<NamespaceMetadata, 'uuid'>[]
  readonly guard: DeadlineGuard
}

/**
 * Finds out that somebody else writes to the collections that are restored, which no server can be told to refuse: what
 * they create is moved aside by the server, what they insert makes a collection larger than it must be.
 */
export class OtherWriters {
  readonly #client: MongoClient
  readonly #guard: DeadlineGuard
  readonly #before: ReadonlySet<string>
  readonly #since: Timestamp
  /** Whether the restore brought it: a replay, too, lets the server move some aside for a while. */
  #isOwn: (uuid: string) => boolean

  private constructor(client: MongoClient, watched: Watched, before: ReadonlySet<string>, since: Timestamp) {
    const own = new Set(watched.namespaces.map(({ uuid }) => uuid))
    this.#client = client
    this.#guard = watched.guard
    this.#before = before
    this.#since = since
    this.#isOwn = (uuid) => own.has(uuid)
  }

  /** Runs `work`; what it makes the server move aside is gone afterwards. Throws TARGET_WRITTEN where that is why it failed. */
  static async watch<T>(client: MongoClient, watched: Watched, work: (others: OtherWriters) => Promise<T>): Promise<T> {
    const before = (await listTarget(client)).map(nameOf)
    const others = new OtherWriters(client, watched, new Set(before), await clusterTime(client))
    try {
      const result = await work(others)
      await others.refuse()
      return result
    } catch (error) {
      // Where it failed by the server, that may not answer either.
      const written = await others.refuse().catch((fault: unknown) => fault)
      if (written instanceof PbmError && written.code === 'TARGET_WRITTEN') throw written
      throw isExisting(error) ? targetWritten('something that is to be created is there already', error) : error
    }
  }

  /** From now on the oplog says what belongs to the restore. */
  follow(catalog: IndexCatalog): void {
    this.#isOwn = (uuid) => catalog.find(Buffer.from(uuid, 'hex'), '') !== undefined
  }

  /** Throws TARGET_WRITTEN where the server had to move a collection aside, and drops that. */
  async refuse(): Promise<void> {
    const found = await listTarget(this.#client)
    const aside = found.filter((one) => MOVED_ASIDE.test(one.name) && !this.#before.has(nameOf(one)))
    const foreign = aside.filter(({ uuid }) => uuid === undefined || !this.#isOwn(uuid))
    if (foreign.length === 0) return
    const told = await Promise.all(foreign.slice(0, NAMED).map((one) => this.#describe(one)))
    for (const { db, name } of foreign) {
      this.#guard.throwIfStopped()
      await this.#client.db(db).dropCollection(name, { writeConcern: { w: 1 } })
    }
    const more = foreign.length > NAMED ? ` and ${foreign.length - NAMED} more` : ''
    throw targetWritten(`it created anew ${told.join(', ')}${more}, which is dropped again`)
  }

  /** Each collection must have the documents that were inserted into it (by namespace), and no others. */
  async refuseOtherCounts(
    namespaces: readonly NamespaceMetadata[],
    inserted: ReadonlyMap<string, number>,
  ): Promise<void> {
    const limit = pLimit(COUNTS_AT_ONCE)
    const wrong = await Promise.all(
      namespaces.map((namespace) =>
        limit(async () => {
          const { db, collection, type, options } = namespace
          // A capped collection may have dropped its oldest ones.
          if (type === 'view' || (options !== undefined && isTrue(options, 'capped'))) return []
          const ns = `${db}.${collection}`
          const expected = inserted.get(ns) ?? 0
          const count = type === 'timeseries' ? `${BUCKETS_PREFIX}${collection}` : collection
          const { n } = await this.#client.db(db).command({ count })
          return n === expected ? [] : [`${ns} has ${n} documents instead of ${expected}`]
        }),
      ),
    )
    const told = wrong.flat()
    if (told.length === 0) return
    const more = told.length > NAMED ? ` and ${told.length - NAMED} more` : ''
    throw targetWritten(`${told.slice(0, NAMED).join(', ')}${more}`)
  }

  async #describe(one: Named): Promise<string> {
    const { db, name } = one
    const [before, documents] = await Promise.all([
      this.#nameBefore(one).catch(() => undefined),
      this.#client.db(db).collection(name).estimatedDocumentCount(),
    ])
    return `${before ?? `a collection of ${db}`} (${documents} documents)`
  }

  /** The server logs that it renamed it. */
  async #nameBefore(one: Named): Promise<string | undefined> {
    const entry = await this.#client
      .db('local')
      .collection<{ o: { renameCollection?: string } }>('oplog.rs')
      .findOne({ ts: { $gte: this.#since }, op: 'c', 'o.to': nameOf(one) }, { maxTimeMS: LOOK_UP_MS })
    return entry?.o.renameCollection
  }
}

function nameOf({ db, name }: Named): string {
  return `${db}.${name}`
}

function isExisting(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ((current as { code?: unknown }).code === NAMESPACE_EXISTS) return true
  }
  return false
}

function targetWritten(what: string, cause?: unknown): PbmError {
  return new PbmError('TARGET_WRITTEN', `Somebody else writes to what is being restored: ${what}`, {
    hint: 'Stop the applications and jobs that write, or keep them from the server, until the restore is done.',
    cause,
  })
}
