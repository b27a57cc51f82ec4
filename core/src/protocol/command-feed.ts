import type { ClientSession, Document, FindCursor, MongoClient, ObjectId, Timestamp, WithId } from 'mongodb'
import type { CommandDocument } from '../control/command-document.js'
import { readCommand, refusalOf } from '../control/commands.js'
import { hasOperation } from '../control/operations.js'
import { ensureControlCollection } from '../control/setup.js'
import { readNumber } from '../control/wire.js'
import { errorText } from '../errors.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { COMMANDS, CONTROL_DATABASE } from '../mongo/control-names.js'
import { readLevelOf } from '../mongo/read-level.js'
import { textOf } from '../secrets/printable.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { Queue } from './queue.js'

/** Seconds before its start from which an agent still takes commands: what was sent while it restarted. */
export const TAKE_UP_SECONDS = 10

/** Milliseconds between looks where the server cannot notify: an empty, missing or uncapped collection, an outage. */
const POLL_MS = 200
/** Milliseconds between looks whether the majority has what the primary has. */
const CONFIRM_MS = 10
/** How long that may take before it is told. */
const TELL_MS = 2_000
/**
 * How long the server holds a question open where nothing comes; an insert ends it at once. A lost connection is noticed
 * by the driver's monitor, too.
 */
const AWAIT_MS = 5_000

export interface CommandFeedOptions {
  signal: AbortSignal
  /** The agent's start in cluster time; the moment of the first look when left out. */
  since?: Timestamp
  /** Own replica set: a command of before the start that `pbmOpLog` shows begun there is not taken up again. */
  replset?: string
  /**
   * Told of `cancelBackup` the moment it arrives, however busy the consumer is; cancels are then not yielded, and
   * backups that wait in the queue are dropped, since they are canceled with the rest.
   */
  onCancel?: (command: CommandDocument) => void
  /** Told once when it is settled what counts as seen: every command stored from then on is yielded. */
  onReady?: () => void
  /** Told of what is looked past: documents that are no commands, and outages (once each). */
  onTrouble?: (message: string) => void
  clock?: Clock
}

/**
 * The commands of `pbmCmd`, each once, in the order they were stored; ends when the signal aborts.
 *
 * PBM's agents poll and can lose commands (PBM: control-plane.md §2). Here a tailable cursor on the capped collection
 * yields them within milliseconds. When it breaks (an election, a restart, a dropped collection), the next one starts at
 * the collection's beginning, at most 1 MiB away, and passes over what was seen by `_id`: nothing in between is lost,
 * whatever the senders' clocks say. At the start everything older than {@link TAKE_UP_SECONDS} counts as seen.
 *
 * Reading goes on while the consumer is busy.
 */
export function watchCommands(leader: MongoClient, options: CommandFeedOptions): AsyncIterable<CommandDocument> {
  return {
    [Symbol.asyncIterator]: () => consume(leader, options),
  }
}

async function* consume(leader: MongoClient, options: CommandFeedOptions): AsyncGenerator<CommandDocument, undefined> {
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const queue = new Queue<CommandDocument>()
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
  // What the server was asked last it may hold open for a while yet, whatever is done to its cursor.
  const pumping = Promise.race([pump(leader, { ...options, signal }, queue), aborted]).finally(() => queue.end())
  try {
    yield* queue
  } finally {
    stop.abort()
    await pumping
  }
  return undefined
}

async function pump(leader: MongoClient, options: CommandFeedOptions, queue: Queue<CommandDocument>): Promise<void> {
  const { signal, onTrouble, clock = systemClock } = options
  const seen = new Seen()
  let trouble = ''
  let started = false
  while (!signal.aborted) {
    try {
      if (!started) {
        await passOld(leader, options, seen)
        started = true
        options.onReady?.()
      }
      await follow(leader, options, seen, (found) => deliver(found, options, queue))
      trouble = ''
    } catch (error) {
      const text = errorText(error)
      if (!signal.aborted && text !== trouble) onTrouble?.(`the command feed is interrupted: ${text}`)
      trouble = text
    }
    await clock.sleep(POLL_MS, signal).catch(() => undefined)
  }
}

/** Marks what was there before as seen, except what was sent just before the start, has not begun and was not refused. */
async function passOld(leader: MongoClient, options: CommandFeedOptions, seen: Seen): Promise<void> {
  const since = options.since ?? (await clusterTime(leader))
  const oldest = secondsOf(since) - TAKE_UP_SECONDS
  const old = await collection(leader)
    .find({}, { projection: { ts: 1, refused: 1 } })
    .toArray()
  for (const { _id, ts, refused } of old) {
    const fresh = readNumber(ts) >= oldest && refused !== true
    const begun = fresh && options.replset !== undefined && (await hasOperation(leader, textOf(_id), options.replset))
    if (!fresh || begun) seen.add(textOf(_id))
  }
}

/** Reads on until the cursor ends: at once on an empty or missing collection. */
async function follow(
  leader: MongoClient,
  options: CommandFeedOptions,
  seen: Seen,
  deliverOne: (found: Document) => void,
): Promise<void> {
  // Causal, so that a majority read waits until the server has for good what the cursor just showed.
  await leader.withSession({ causalConsistency: true }, async (session) => {
    const { cursor, tailable } = await open(leader, session, options.signal)
    if (cursor === undefined) return
    const alive = new Set<string>()
    try {
      for await (const found of cursor) {
        const id = textOf(found._id)
        alive.add(id)
        if (!seen.add(id)) continue
        if (await isStored(leader, session, found._id, options)) deliverOne(found)
        // Rolled back; its sender may store it again under the same id.
        else seen.delete(id)
      }
      // An uncapped collection has no bound, but a pass over it ends and tells which ids still exist.
      if (!tailable) seen.keepOnly(alive)
    } finally {
      await cursor.close().catch(() => undefined)
    }
  })
}

/**
 * Whether the server has for good what the cursor showed; false once it was rolled back. Who reads locally takes what is
 * there.
 *
 * The cursor can show a document a moment before the server counts it in the time that it gives with the answer. The
 * majority read then waits for a time of before the document and doesn't find it: asked again, it does.
 */
async function isStored(
  leader: MongoClient,
  session: ClientSession,
  _id: ObjectId,
  { signal, onTrouble, clock = systemClock }: CommandFeedOptions,
): Promise<boolean> {
  const look = (level: 'majority' | 'local') =>
    collection(leader).findOne({ _id }, { session, projection: { _id: 1 }, readConcern: { level } })
  const settled = async () => {
    if ((await look(readLevelOf(leader))) !== null) return 'stored'
    return (await look('local')) === null ? 'gone' : undefined
  }
  const told = new AbortController()
  const late = clock.sleep(TELL_MS, told.signal).then(() => onTrouble?.(notOfTheMajority(_id)))
  late.catch(() => undefined)
  try {
    return (await until(settled, { clock, signal, everyMs: CONFIRM_MS })) === 'stored'
  } finally {
    told.abort()
  }
}

function notOfTheMajority(_id: unknown): string {
  return `command ${textOf(_id)} waits until a majority of the leader replica set has it: see rs.status() for members that are away`
}

/** No cursor on an empty collection. */
async function open(
  leader: MongoClient,
  session: ClientSession,
  signal: AbortSignal,
): Promise<{ cursor: FindCursor<WithId<Document>> | undefined; tailable: boolean }> {
  const [info] = await leader.db(CONTROL_DATABASE).listCollections({ name: COMMANDS }).toArray()
  // Else the next sender's insert would create it, without the cap that tailing needs.
  if (info === undefined) await ensureControlCollection(leader, COMMANDS)
  const capped = info === undefined || (info as { options?: { capped?: boolean } }).options?.capped === true
  if (!capped) return { cursor: collection(leader).find({}, { session, signal }), tailable: false }
  // A cursor opened on a collection whose first document is being stored at that very moment stays open, but never shows any:
  // the server takes the end that it met then for final. Where a document can be seen, there is one to go on from.
  const known = await collection(leader).findOne(
    {},
    { session, projection: { _id: 1 }, readConcern: { level: 'local' } },
  )
  if (known === null) return { cursor: undefined, tailable: true }
  // The server wakes the cursor at the insert. A majority read would show nothing yet then and sleep on.
  const cursor = collection(leader).find(
    {},
    {
      session,
      signal,
      readConcern: { level: 'local' },
      tailable: true,
      awaitData: true,
      maxAwaitTimeMS: AWAIT_MS,
    },
  )
  return { cursor, tailable: true }
}

function deliver(found: Document, { onCancel, onTrouble }: CommandFeedOptions, queue: Queue<CommandDocument>): void {
  const command = readCommand(found)
  if (command === undefined) {
    const shown = `${textOf(found._id)} ${textOf(found.cmd)}`
    onTrouble?.(`ignored a document of ${COMMANDS} that is no command: ${shown}: ${refusalOf(found)}`)
    return
  }
  if (command.cmd === 'cancelBackup' && onCancel !== undefined) {
    queue.drop((waiting) => waiting.cmd === 'backup')
    onCancel(command)
    return
  }
  queue.push(command)
}

function collection(leader: MongoClient) {
  return leader.db(CONTROL_DATABASE).collection(COMMANDS)
}

/** Ids met so far, the oldest forgotten beyond what the capped collection can ever hold at once. */
class Seen {
  readonly #ids = new Set<string>()

  /** False when it was there. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    if (this.#ids.size > MAX_SEEN)
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest)
        break
      }
    return true
  }

  delete(id: string): void {
    this.#ids.delete(id)
  }

  keepOnly(alive: ReadonlySet<string>): void {
    for (const id of this.#ids) if (!alive.has(id)) this.#ids.delete(id)
  }
}

/** A command takes 60 bytes at the least, so 1 MiB holds fewer. */
const MAX_SEEN = 20_000
