import { createReadStream } from 'node:fs'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { documentsOfArray, findDocument } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { commandName, type Operation, type OplogEntry, optimeText, parseEntry, readEntries } from '../entry.js'
import { isTrue } from '../raw-fields.js'
import { refuseOpen } from './open-transactions-limit.js'

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
  /** In the file. */
  spilled: number
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

export interface TransactionBounds {
  /** Held in memory, over all transactions. */
  readonly held?: number | undefined
  /** Of all that are open, in memory or not; see `refuseOpen`. */
  readonly open?: number | undefined
}

/**
 * Open transactions, buffered until their commit. What is held in memory is bounded over all of them; the rest lies in a
 * temporary folder, which `close` removes, and is bounded too.
 */
export class TransactionBuffer {
  readonly #pending = new Map<string, Pending>()
  readonly #maxBytes: number
  readonly #mostOpen: number | undefined
  #held = 0
  #spilled = 0
  #files = 0
  #folder: string | undefined

  constructor({ held = 64 * 1024 * 1024, open }: TransactionBounds = {}) {
    this.#maxBytes = held
    this.#mostOpen = open
  }

  get open(): number {
    return this.#pending.size
  }

  get transactions(): OpenTransaction[] {
    return [...this.#pending].map(([key, { started, prepared }]) => ({ key, started, prepared }))
  }

  /** Keeps the operations of a part. Throws `OPLOG_TRANSACTION_CUT` when the range began inside it, and `OPLOG_TRANSACTIONS`. */
  async add(entry: OplogEntry): Promise<void> {
    const key = transactionKey(entry)
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      this.#refuseCut(entry)
      pending = { parts: [], bytes: 0, spilled: 0, file: undefined, started: entry.ts, prepared: false }
      this.#pending.set(key, pending)
    }
    if (transactionStep(entry) === 'prepare') pending.prepared = true
    const array = findDocument(entry.o, 'applyOps')
    if (array === undefined) return
    const bytes = Buffer.concat(documentsOfArray(array))
    pending.parts.push(bytes)
    pending.bytes += bytes.length
    this.#held += bytes.length
    refuseOpen({ count: this.#pending.size, bytes: this.#held + this.#spilled }, this.#mostOpen)
    if (this.#held > this.#maxBytes) await this.#spill()
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
    this.#forget(pending)
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
    this.#forget(pending)
    if (pending.file !== undefined) await rm(pending.file, { force: true })
  }

  async close(): Promise<void> {
    this.#pending.clear()
    this.#held = 0
    this.#spilled = 0
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  /** The first entry of a transaction has a zero `prevOpTime`; any other one needs what came before it. */
  #refuseCut(entry: OplogEntry): void {
    if (entry.previous !== 0n) throw transactionCut(entry)
  }

  #forget(pending: Pending | undefined): void {
    this.#held -= pending?.bytes ?? 0
    this.#spilled -= pending?.spilled ?? 0
  }

  /** The largest first, down to half of the bound, so that many small ones are not looked through for each of them. */
  async #spill(): Promise<void> {
    const largest = [...this.#pending.values()].sort((a, b) => b.bytes - a.bytes)
    for (const pending of largest) {
      if (this.#held <= this.#maxBytes / 2 || pending.bytes === 0) return
      this.#folder ??= await mkdtemp(join(tmpdir(), 'pbmkit-transactions-'))
      pending.file ??= join(this.#folder, `${++this.#files}.bson`)
      await appendFile(pending.file, Buffer.concat(pending.parts))
      this.#held -= pending.bytes
      this.#spilled += pending.bytes
      pending.spilled += pending.bytes
      pending.parts = []
      pending.bytes = 0
    }
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
