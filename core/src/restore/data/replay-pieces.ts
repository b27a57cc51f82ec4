import type { MongoClient } from 'mongodb'
import type { OperationLog } from '../../log.js'
import { optimeText, readEntries } from '../../oplog/entry.js'
import { Applier } from '../../oplog/replay/apply.js'
import type { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import type { ReplayOptions } from '../../oplog/replay/options.js'
import { Replay } from '../../oplog/replay/replay.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import type { OplogPiece } from './stored-objects.js'
import { readPiece } from './stored-objects.js'
import { namesByUuid } from './target.js'
import type { Kept } from './users-and-roles.js'

export interface ReplayContext {
  /** Direct connection to the primary. */
  readonly client: MongoClient
  readonly store: ObjectStore
  readonly guard: DeadlineGuard
  readonly log: OperationLog
  readonly progress: ProgressPublisher
}

export interface PiecesToReplay
  extends Pick<ReplayOptions, 'start' | 'end' | 'dropIndexes' | 'routing' | 'cut' | 'choice' | 'transactions'> {
  /** In order of their start. */
  readonly pieces: readonly OplogPiece[]
  /** Of all pieces on the storage: what progress is measured against. */
  readonly storedBytes: number
  readonly catalog: IndexCatalog
  /** `all`: no user or role is changed. */
  readonly kept: Kept | 'all'
  /** Called after the last entry: decides what becomes of transactions that other shards take part in. */
  readonly settle?: ((replay: Replay) => Promise<void> | undefined) | undefined
}

/** Streams stored pieces of oplog to the target; the catalog has the indexes of the end afterwards. */
export async function replayPieces(context: ReplayContext, work: PiecesToReplay): Promise<void> {
  const { client, store, guard, log, progress } = context
  const { signal } = guard
  const { pieces, storedBytes, catalog, kept, start, end, dropIndexes, routing, cut, choice, transactions, settle } =
    work
  progress.phase('oplog', { bytes: storedBytes, documents: 0 })
  const replay = new Replay({
    sink: new Applier(client, { guard }),
    catalog,
    end,
    routing,
    cut,
    choice,
    transactions,
    ...(start === undefined ? {} : { start }),
    ...(dropIndexes === undefined ? {} : { dropIndexes }),
    isKept: (ns, id) => kept === 'all' || (ns === 'admin.system.users' ? kept.users : kept.roles).has(id),
    listNames: (db) => namesByUuid(client, db),
    onProgress: (entries, reached) => {
      progress.replayed(reached)
      progress.add(entries, 0)
    },
  })
  try {
    for (const piece of pieces) {
      if (piece.start > end) break
      log.debug(`replaying ${piece.object}`)
      const onStored = ({ length }: Uint8Array) => progress.add(0, length)
      await replay.run(readEntries(readPiece(store, piece, { signal, onStored })))
    }
    await settle?.(replay)
    const { openTransactions } = await replay.finish()
    const dropped = openTransactions === 0 ? '' : `; ${openTransactions} transactions had not committed by then`
    log.info(`replayed the oplog up to ${optimeText(end)}: ${replay.operations} operations${dropped}`)
  } finally {
    await replay.close()
  }
}
