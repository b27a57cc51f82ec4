import pLimit from 'p-limit'
import { chunkMethod } from '../../encryption/sealed-store.js'
import { PbmError } from '../../errors.js'
import { earlier, type Operation, type OplogEntry, optimeText } from '../../oplog/entry.js'
import { barrierOf } from '../../oplog/replay/barriers.js'
import { classify, operationsInside } from '../../oplog/replay/classify.js'
import { Coordinators, type UnderWay } from '../../oplog/replay/coordinators.js'
import { CutTransactions } from '../../oplog/replay/cut-transactions.js'
import { isViews } from '../../oplog/replay/namespaces.js'
import { refuseOpen } from '../../oplog/replay/open-transactions-limit.js'
import { transactionCut, transactionKey, transactionStep } from '../../oplog/replay/transactions.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { parsePitrChunkName } from '../../store/layout/names.js'
import { tableTime } from '../../time/text.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { damaged, objectError } from '../data/stored-objects.js'
import { type ReadPiece, readInOrder, verifyBorder, verifyOverlap } from './pieces.js'

/** Look-ups under way at once. */
const WIDTH = 16

export interface OplogVerification extends CallOptions {
  /** What must be covered, inclusive. */
  readonly start: bigint
  readonly end: bigint
  /** Whether a piece has the very entry that its end names. Old writers may have left out no-ops. */
  readonly exactEnds: boolean
  /** The oplog may begin inside transactions which are in the dump: {@link CutTransactions}. */
  readonly mayBeCut?: boolean | undefined
  /** The routing tables follow the oplog, too: a change of the cluster that no replay repeats is refused. */
  readonly routing?: boolean | undefined
  /** Of transactions that are open at once; see `refuseOpen`. */
  readonly openTransactionBytes?: number | undefined
  /** Replica sets that came later and are restored from nothing but their oplog: that they were added is repeated. */
  readonly newcomers?: { has(rs: string): boolean } | undefined
  /** The end was asked for: it is refused if something was half done at it. */
  readonly asked?: boolean | undefined
  /** Where a part is restored: judges what would keep all from being restored to the end. */
  readonly part?: PartJudge | undefined
  readonly onBytes?: (bytes: number) => void
  /**
   * Told each command that a replay from start to end will run, and each change of views, those of transactions too, with
   * the `ts` of the entry. Where pieces overlap it is told twice.
   */
  readonly onCommand?: ((command: Operation, ts: bigint) => void) | undefined
  /** Told each change and command up to the end, those of transactions too; some that a replay passes over as well. */
  readonly onTouch?: ((operation: Operation) => void) | undefined
}

export interface PartJudge {
  /** Whether what was half done at the end may be about the part. */
  concerns(underWay: Pick<UnderWay, 'operation' | 'ns'>): boolean
  /** A collection was resharded and has this UUID since: `refusal` is due where the part has it. */
  onResharded(uuid: string, refusal: PbmError): void
}

/** What can be told without reading a piece: all are there and not empty, and they leave no gap. Gives their sizes. */
export async function checkPieces(
  store: ObjectStore,
  pieces: readonly OplogPiece[],
  options: Pick<OplogVerification, 'start' | 'end' | 'signal'>,
): Promise<number[]> {
  verifyCoverage(pieces, options)
  const limit = pLimit(WIDTH)
  return await Promise.all(
    pieces.map(({ object, read }) =>
      limit(async () => {
        if (read !== undefined) return 0
        const { size } = await store.stat(object, { signal: options.signal }).catch((error: unknown) => {
          throw objectError(error, object)
        })
        if (size === 0) throw damaged(`${object} is empty`)
        if (chunkMethod(object) !== undefined) await openFirst(store, object, options)
        return size
      }),
    ),
  )
}

/** Whether its key is at hand must be known before anything is dropped, also where nothing is verified. */
async function openFirst(store: ObjectStore, object: string, { signal }: CallOptions): Promise<void> {
  try {
    for await (const _ of await store.read(object, { signal })) return
  } catch (error) {
    throw objectError(error, object)
  }
}

/** The pieces, in order of their start, must leave no gap between `start` and `end`. Throws `BACKUP_DAMAGED`. */
export function verifyCoverage(pieces: readonly OplogPiece[], range: { start: bigint; end: bigint }): void {
  let covered = range.start
  let last = ''
  for (const { object, start, end } of pieces) {
    if (start > covered) throw gap(covered, start, [last, object])
    if (end <= covered) continue
    covered = end
    last = object
  }
  if (covered < range.end) throw gap(covered, range.end, [last])
}

/**
 * Reads every piece through: it must decode, have its checksum where that is known, be in order, lie within the bounds it is named
 * for and hold its last entry, nothing in it may be beyond a replay, and where pieces overlap they must hold the same changes. Memory does not
 * depend on their size. Throws `BACKUP_DAMAGED` or `BACKUP_OBJECT_MISSING` with the name of the piece.
 */
export async function verifyPieces(
  store: ObjectStore,
  pieces: readonly OplogPiece[],
  options: OplogVerification,
): Promise<void> {
  const transactions = new OpenTransactions(options)
  const coordinators = options.asked === true ? new Coordinators(options.end) : undefined
  let furthest: ReadPiece | undefined
  for (const piece of pieces) {
    const read = await verifyPiece(store, piece, options, { transactions, coordinators })
    if (furthest !== undefined && piece.start === furthest.piece.end) verifyBorder(furthest, read)
    else if (furthest !== undefined && piece.start < furthest.piece.end) {
      await verifyOverlap(store, furthest.piece, piece, options)
    }
    if (furthest === undefined || piece.end > furthest.piece.end) furthest = read
  }
  refuseHalfDone((coordinators?.underWay ?? []).filter((one) => options.part?.concerns(one) !== false))
}

/** The oplog of one shard can't tell what the others had done of it by then. */
function refuseHalfDone(underWay: readonly UnderWay[]): void {
  const [one] = underWay
  if (one === undefined) return
  const [from, to] = [one.from, one.to].map((ts) => (ts === undefined ? '?' : momentText(ts)))
  throw unreachable(`${one.what} was under way from ${from} to ${to}`, one.from, one.to)
}

/** They see every entry. */
interface Watchers {
  readonly transactions: OpenTransactions
  readonly coordinators: Coordinators | undefined
}

async function verifyPiece(
  store: ObjectStore,
  piece: OplogPiece,
  options: OplogVerification,
  { transactions, coordinators }: Watchers,
): Promise<ReadPiece> {
  const { exactEnds, start, end, signal, onBytes } = options
  return await readInOrder(store, piece, {
    signal,
    isBounded: exactEnds || parsePitrChunkName(piece.object) !== undefined,
    mustReach: exactEnds ? earlier(piece.end, end) : undefined,
    onEntry: ({ entry, raw }) => {
      const { ts } = entry
      onBytes?.(raw.length)
      if (ts <= end && (ts >= start || transactionStep(entry) !== undefined)) verifyEntry(entry, ts, options)
      coordinators?.take(entry)
      transactions.take(entry)
    },
  })
}

/** The dump has what is before the start, but for transactions that end after it. */
function verifyEntry(operation: Operation, ts: bigint, options: OplogVerification, depth = 0): void {
  const { start, routing, newcomers, part, onCommand, onTouch } = options
  const barrier = routing === true && ts > start ? barrierOf(operation) : undefined
  const isRepeated = barrier?.added !== undefined && newcomers?.has(barrier.added) === true
  if (barrier !== undefined && !isRepeated) {
    const refusal = unreachable(`${barrier.what} at ${momentText(ts)}`, ts)
    if (part === undefined || barrier.resharded === undefined) throw refusal
    part.onResharded(barrier.resharded, refusal)
  }
  const kind = classify(operation, ts, part !== undefined)
  const isTold = kind === 'command' || (kind === 'change' && isViews(operation.ns))
  if (isTold && ts >= start) onCommand?.(operation, ts)
  if (kind === 'change' || kind === 'command') onTouch?.(operation)
  if (kind !== 'nested') return
  for (const inner of operationsInside(operation, ts, depth)) verifyEntry(inner, ts, options, depth + 1)
}

/** Finds transactions that commit in the range and began before the first piece: part of them would be lost. */
class OpenTransactions {
  readonly #range: Pick<OplogVerification, 'start' | 'end' | 'openTransactionBytes'>
  readonly #cut: CutTransactions | undefined
  /** Bytes by key. */
  readonly #open = new Map<string, number>()
  #bytes = 0
  #last = 0n

  constructor(range: Pick<OplogVerification, 'start' | 'end' | 'mayBeCut' | 'openTransactionBytes'>) {
    this.#range = range
    this.#cut = range.mayBeCut === true ? new CutTransactions() : undefined
  }

  take(entry: OplogEntry): void {
    this.#cut?.see(entry)
    const step = entry.ts > this.#last && entry.ts <= this.#range.end ? transactionStep(entry) : undefined
    if (entry.ts > this.#last) this.#last = entry.ts
    if (step === undefined) return
    const key = transactionKey(entry)
    const begun = entry.previous === 0n || this.#open.has(key)
    if (step === 'part' || step === 'prepare') {
      if (!begun) return
      this.#open.set(key, (this.#open.get(key) ?? 0) + entry.o.length)
      this.#bytes += entry.o.length
      refuseOpen({ count: this.#open.size, bytes: this.#bytes }, this.#range.openTransactionBytes)
      return
    }
    this.#bytes -= this.#open.get(key) ?? 0
    this.#open.delete(key)
    if (begun || step === 'abort' || entry.ts < this.#range.start || this.#cut?.areInDump(entry) === true) return
    throw transactionCut(entry)
  }
}

function gap(from: bigint, to: bigint, objects: readonly string[]) {
  const near = objects.filter((object) => object !== '').join(' and ')
  return damaged(
    `The stored oplog has a gap from ${optimeText(from)} to ${optimeText(to)}: a piece of it is missing${near === '' ? '' : ` beside ${near}`}`,
  )
}

/** `before` and `after`: what is just out of reach, as far as it is known. */
function unreachable(what: string, before: bigint | undefined, after?: bigint): PbmError {
  const times = [
    ...(before === undefined ? [] : [tableTime(Number((before - 1n) >> 32n))]),
    ...(after === undefined ? [] : [tableTime(Number((after >> 32n) + 1n))]),
  ]
  const other = after === undefined ? 'To a later one leads only a backup made after it.' : ''
  const hint = `The nearest time that can be restored to: ${times.join(' or ') || 'see pbm list'}. ${other}`.trim()
  return new PbmError('OPLOG_BARRIER', `The time can't be restored to: ${what}`, { hint })
}

function momentText(ts: bigint): string {
  return `${tableTime(Number(ts >> 32n))} (${optimeText(ts)})`
}
