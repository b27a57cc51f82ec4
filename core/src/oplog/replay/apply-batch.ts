import type { MongoClient } from 'mongodb'
import { buildDocument, documentElement, type RawElement, stringElement } from '../../bson/build.js'
import { BSON_BOOLEAN, type ElementPosition, readElement } from '../../bson/elements.js'
import { hasZeroTimestamp, nextZeroCandidate } from '../../bson/zero-timestamp.js'
import { errorText, PbmError } from '../../errors.js'
import { applyOps, resultsOf } from '../../mongo/apply-ops.js'
import { documentSequence } from '../../mongo/document-sequence.js'
import { RawValue } from '../../mongo/raw-command.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { collectionOf, databaseOf, type Operation } from '../entry.js'
import { binaryElement } from '../raw-fields.js'

/** The server takes this many bytes of operations in one command: documents are limited to 16 MiB, commands to a little more. */
const MAX_COMMAND_BYTES = 15 * 1024 * 1024
/** All were tried and not all could be applied; whatever ends the command earlier has a code of its own. */
const UNKNOWN_ERROR = 8

/** Servers that do not take the option: to those that know it, its absence means yes. */
const withoutUpserts = new WeakSet<MongoClient>()

interface Inserts {
  readonly documents: Buffer[]
  /** Whether they must come into the collection one after the other. */
  readonly inOrder: boolean
  readonly ui: Buffer | undefined
}

/** One operation as applyOps takes it, and what to name in an error. */
interface Applicable {
  readonly raw: Buffer
  readonly op: string
  readonly ns: string
}

/**
 * Changes that are sent together. Inserts go first, as insert commands, for the server is several times as fast at those
 * as at the same in `applyOps`: each may, that is the first change of its document here; in collections that keep all
 * of their order, each before which there is nothing but inserts. What is kept is copied: operations are views of large
 * blocks, which one slow lane would keep in memory.
 */
export class ReplayBatch {
  readonly inserts = new Map<string, Inserts>()
  readonly applicable: Applicable[] = []
  /** Hashes of the documents, and names of the collections in order, that have an operation in {@link applicable}. */
  readonly #later = new Set<number | string>()
  operations = 0
  bytes = 0

  /** `hash` is the document's; undefined where all of the collection keep their order. */
  addChange(operation: Operation, hash: number | undefined): void {
    this.operations++
    const { ns, op, o } = operation
    const key = hash ?? ns
    if (op === 'i' && !this.#later.has(key) && isInsertable(ns, o)) {
      this.#insert(operation, hash === undefined)
      // Within one command two inserts of a document would be the same key twice.
      if (hash !== undefined) this.#later.add(hash)
      return
    }
    this.#later.add(key)
    this.addCommand(operation)
  }

  addCommand(operation: Operation): void {
    const raw = applicable(operation)
    this.bytes += raw.length
    this.applicable.push({ raw, op: operation.op, ns: operation.ns })
  }

  #insert({ ns, ui, o }: Operation, inOrder: boolean): void {
    let inserts = this.inserts.get(ns)
    if (inserts === undefined) {
      inserts = { documents: [], inOrder, ui: ui && Buffer.from(ui) }
      this.inserts.set(ns, inserts)
    }
    inserts.documents.push(Buffer.from(o))
    this.bytes += o.length
  }
}

/** Rejects with REPLAY_FAILED, which names what failed. */
export async function sendBatch(client: MongoClient, batch: ReplayBatch, guard: DeadlineGuard): Promise<void> {
  const refused = await Promise.all(
    [...batch.inserts].map(([ns, inserts]) => insert(client, ns, inserts, guard.signal)),
  )
  const rest = [...refused.flat(), ...batch.applicable]
  for (let from = 0; from < rest.length; ) {
    let [to, bytes] = [from, 0]
    do bytes += rest[to++]?.raw.length ?? 0
    while (to < rest.length && bytes + (rest[to]?.raw.length ?? 0) <= MAX_COMMAND_BYTES)
    await apply(client, rest.slice(from, to), guard)
    from = to
  }
}

/** Gives what the server refused: documents that are there already, above all, which applyOps replaces. */
async function insert(
  client: MongoClient,
  ns: string,
  { documents, inOrder, ui }: Inserts,
  signal: AbortSignal,
): Promise<Applicable[]> {
  try {
    const reply = await client.db(databaseOf(ns)).command(
      {
        insert: collectionOf(ns),
        documents: documentSequence('documents', ...documents),
        ordered: inOrder,
        bypassDocumentValidation: true,
        writeConcern: { w: 1 },
      },
      { readPreference: 'primary', signal },
    )
    const errors = (reply.writeErrors ?? []) as { index: number }[]
    // In order, the server stops at the first.
    const refused = inOrder
      ? documents.slice(errors[0]?.index ?? documents.length)
      : errors.map(({ index }) => documents[index])
    return refused.flatMap((o) => {
      if (o === undefined) return []
      return [{ raw: applicable({ op: 'i', ns, ui, o, o2: undefined }), op: 'i', ns }]
    })
  } catch (error) {
    throw replayError(error, `inserts into ${ns}`)
  }
}

async function apply(client: MongoClient, operations: readonly Applicable[], guard: DeadlineGuard): Promise<void> {
  const raw = operations.map((operation) => operation.raw)
  try {
    await applyOps(client, RawValue.documents(raw), {
      guard,
      more: {
        bypassDocumentValidation: true,
        // An update must not make a fragment of a document that is not there.
        ...(withoutUpserts.has(client) ? {} : { alwaysUpsert: false }),
        // As one transaction the batch would lock out everybody else, be logged as one entry, in which a document of
        // 16 MB would not fit, and grow slow where many documents were deleted just before.
        allowAtomic: false,
      },
    })
  } catch (error) {
    if (onlyMissed(error, operations)) return
    if (!withoutUpserts.has(client) && errorText(error).includes('alwaysUpsert')) {
      withoutUpserts.add(client)
      return apply(client, operations, guard)
    }
    // The server stops at what it can't apply; updates that met nothing may stand before it.
    const failed = operations[resultsOf(error)?.lastIndexOf(false) ?? -1] ?? operations[0]
    throw replayError(error, `${failed?.op} on ${failed?.ns}`)
  }
}

/** Whether all was applied but updates of documents that are not there, for their delete is still to come. */
function onlyMissed(error: unknown, operations: readonly Applicable[]): boolean {
  const results = resultsOf(error)
  if ((error as { code?: unknown }).code !== UNKNOWN_ERROR || results?.length !== operations.length) return false
  return results.every((applied, index) => applied || operations[index]?.op === 'u')
}

/**
 * Whether the insert command does the same as the operation: it would put the server's clock in the place of zero
 * timestamps and `_id` in front, and system collections have rules of their own.
 */
function isInsertable(ns: string, o: Buffer): boolean {
  if (ns.includes('.system.') || ns.startsWith('admin.')) return false
  const first: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  if (!readElement(o, 4, o.length, first) || first.value - first.start !== 5) return false
  if (o.toString('latin1', first.start + 1, first.value - 1) !== '_id') return false
  return nextZeroCandidate(o, 0) < 0 || !hasZeroTimestamp(o, 0)
}

/** The operation as applyOps takes it. */
function applicable({ op, ns, ui, o, o2, upsert }: Operation): Buffer {
  const elements: RawElement[] = [stringElement('op', op), stringElement('ns', ns)]
  if (ui !== undefined) elements.push(binaryElement('ui', ui, 4))
  elements.push(documentElement('o', o))
  if (op === 'u' && o2 !== undefined) elements.push(documentElement('o2', o2))
  if (op === 'u' && upsert === true) elements.push({ type: BSON_BOOLEAN, name: 'b', value: Buffer.of(1) })
  return buildDocument(elements)
}

function replayError(error: unknown, what: string): PbmError {
  return new PbmError('REPLAY_FAILED', `Applying the oplog failed (${what}): ${shortened(errorText(error))}`, {
    cause: error,
  })
}

/** The server's messages hold the whole operation. */
function shortened(message: string): string {
  return message.length > 500 ? `${message.slice(0, 500)}…` : message
}
