import { createReadStream } from 'node:fs'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { documentsOfArray, findDocument } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { commandName, type Operation, type OplogEntry, optimeText, parseEntry, readEntries } from '../entry.js'
import { isTrue } from '../raw-fields.js'

/** What an entry with `lsid` and `txnNumber` and a command means (PBM: archive-and-oplog.md §4.3). */
export type TransactionStep = 'part' | 'prepare' | 'whole' | 'commit' | 'abort'

/** The step, or undefined for an entry that is no part of a transaction. */
export function transactionStep(entry: OplogEntry): TransactionStep | undefined {
  // Plain i/u/d with lsid and txnNumber are retryable writes; multiOpType 1 is a batch of them.
  if (entry.op !== 'c' || entry.lsid === undefined || entry.txnNumber === undefined) return undefined
  switch (commandName(entry.o)) {
    case 'applyOps':
      if (entry.multiOpType === 1) return undefined
      if (isTrue(entry.o, 'partialTxn')) return 'part'
      return isTrue(entry.o, 'prepare') ? 'prepare' : 'whole'
    case 'commitTransaction':
      return 'commit'
    case 'abortTransaction':
      return 'abort'
    default:
      return undefined
  }
}

/** The operations inside an applyOps entry, raw as they are. */
export function innerOperations(o: Buffer): Operation[] {
  const array = findDocument(o, 'applyOps')
  return array === undefined ? [] : documentsOfArray(array).map(parseEntry)
}

interface Pending {
  /** Raw inner operations, concatenated; copies, for the piece they came from goes away. */
  parts: Buffer[]
  bytes: number
  file: string | undefined
  started: bigint
  prepared: boolean
}

/** A transaction that has begun and neither committed nor aborted. */
export interface OpenTransaction {
  readonly key: string
  /** `ts` of its first entry. */
  readonly started: bigint
  /** It is whole: only the decision of all its shards is missing. */
  readonly prepared: boolean
}

/**
 * Open transactions, buffered until their commit. What is held in memory is bounded by `maxBytes` over all of them; the
 * rest lies in a temporary folder, which `close` removes.
 */
export class TransactionBuffer {
  readonly #pending = new Map<string, Pending>()
  readonly #maxBytes: number
  #held = 0
  #files = 0
  #folder: string | undefined

  constructor(maxBytes = 64 * 1024 * 1024) {
    this.#maxBytes = maxBytes
  }

  get open(): number {
    return this.#pending.size
  }

  get transactions(): OpenTransaction[] {
    return [...this.#pending].map(([key, { started, prepared }]) => ({ key, started, prepared }))
  }

  /** Keeps the operations of a part. Throws `OPLOG_TRANSACTION_CUT` when the range began inside the transaction. */
  async add(entry: OplogEntry): Promise<void> {
    const key = transactionKey(entry)
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      this.#refuseCut(entry)
      pending = { parts: [], bytes: 0, file: undefined, started: entry.ts, prepared: false }
      this.#pending.set(key, pending)
    }
    if (transactionStep(entry) === 'prepare') pending.prepared = true
    const array = findDocument(entry.o, 'applyOps')
    if (array === undefined) return
    const bytes = Buffer.concat(documentsOfArray(array))
    pending.parts.push(bytes)
    pending.bytes += bytes.length
    this.#held += bytes.length
    while (this.#held > this.#maxBytes) await this.#spillLargest()
  }

  /** The operations of the transaction in order, the given entry's own last; the transaction is forgotten. */
  async *take(entry: OplogEntry): AsyncGenerator<Operation> {
    const key = transactionKey(entry)
    if (!this.#pending.has(key)) this.#refuseCut(entry)
    yield* this.takeOpen(key)
    yield* innerOperations(entry.o)
  }

  /** The operations of an open transaction in order; it is forgotten. */
  async *takeOpen(key: string): AsyncGenerator<Operation> {
    const pending = this.#pending.get(key)
    this.#pending.delete(key)
    if (pending?.file !== undefined) {
      yield* readEntries(createReadStream(pending.file, { highWaterMark: 1024 * 1024 }))
      await rm(pending.file, { force: true })
    }
    for (const part of pending?.parts ?? []) {
      yield* documentsInOrder(part)
    }
    this.#held -= pending?.bytes ?? 0
  }

  /** Whether the transaction of this commit or abort was seen. */
  has(entry: OplogEntry): boolean {
    return this.#pending.has(transactionKey(entry))
  }

  async discard(entry: OplogEntry): Promise<void> {
    const key = transactionKey(entry)
    const pending = this.#pending.get(key)
    if (pending === undefined) return
    this.#pending.delete(key)
    this.#held -= pending.bytes
    if (pending.file !== undefined) await rm(pending.file, { force: true })
  }

  async close(): Promise<void> {
    this.#pending.clear()
    this.#held = 0
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  /** The first entry of a transaction has a zero `prevOpTime`; any other one needs what came before it. */
  #refuseCut(entry: OplogEntry): void {
    if (entry.previous !== 0n) throw transactionCut(entry)
  }

  async #spillLargest(): Promise<void> {
    let largest: Pending | undefined
    for (const pending of this.#pending.values()) {
      if (largest === undefined || pending.bytes > largest.bytes) largest = pending
    }
    if (largest === undefined || largest.bytes === 0) return
    this.#folder ??= await mkdtemp(join(tmpdir(), 'pbmkit-transactions-'))
    largest.file ??= join(this.#folder, `${++this.#files}.bson`)
    await appendFile(largest.file, Buffer.concat(largest.parts))
    this.#held -= largest.bytes
    largest.parts = []
    largest.bytes = 0
  }
}

export function transactionCut(entry: OplogEntry): PbmError {
  return new PbmError(
    'OPLOG_TRANSACTION_CUT',
    `The transaction that ends at ${optimeText(entry.ts)} began before the oplog that is replayed, at or before ${optimeText(entry.previous)}`,
    { hint: 'Replay from an earlier time, or restore from an earlier backup.' },
  )
}

function* documentsInOrder(bytes: Buffer): Generator<Operation> {
  for (let offset = 0; offset < bytes.length; ) {
    const length = bytes.readInt32LE(offset)
    yield parseEntry(bytes.subarray(offset, offset + length))
    offset += length
  }
}

/** What the entries of one transaction have in common. */
export function transactionKey(entry: OplogEntry): string {
  return `${entry.lsid?.toString('latin1') ?? ''}/${entry.txnNumber ?? 0n}`
}
