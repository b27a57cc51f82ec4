import type { MongoClient } from 'mongodb'
import { setRestoreReplsetFields } from '../../control/restores.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { optimeText, toTimestamp } from '../../oplog/entry.js'
import type { Replay } from '../../oplog/replay/replay.js'
import type { Clock } from '../../time/clock.js'
import { awaitParts } from './await-parts.js'

export interface TransactionSettlement {
  readonly leader: MongoClient
  /** Name of the restore. */
  readonly name: string
  readonly replset: string
  /** All that take part. */
  readonly replsets: readonly string[]
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly log: OperationLog
}

/** What PBM's agents tell, asked or not (PBM: archive-and-oplog.md §4.3). */
const TOLD_UNASKED = 100

/**
 * Decides what becomes of the transactions that are prepared here at the restored time and not yet ended: one that any
 * shard has committed by then is committed here too; the others are left out on all shards. Each shard first tells which
 * ones it has, then which of all these it knows to be committed, so that none is missed however many there were.
 */
export async function settleTransactions(
  replay: Pick<Replay, 'openTransactions' | 'commits' | 'commitOpen'> | undefined,
  settlement: TransactionSettlement,
): Promise<void> {
  const { leader, name, replset, log } = settlement
  const open = replay?.openTransactions ?? []
  const ids = open.filter(({ prepared }) => prepared).map(({ key }) => publicId(key))
  await setRestoreReplsetFields(leader, name, replset, { open_txn: ids })
  // PBM's agents do not ask; they tell.
  const asked = await awaitParts(settlement, 'open transactions', (part) => part.open_txn !== undefined || part.txn_set)
  const wanted = new Set(asked.replsets.flatMap(({ open_txn }) => open_txn ?? []))
  const commits = (replay?.commits ?? []).map(({ key, commitTimestamp }) => ({
    id: publicId(key),
    ts: commitTimestamp,
  }))
  const told = commits.filter(({ id }, index) => wanted.has(id) || index >= commits.length - TOLD_UNASKED)
  await setRestoreReplsetFields(leader, name, replset, {
    committed_txn: told.map(({ id, ts }) => ({ id, ts: toTimestamp(ts), state: 'commit' })),
    txn_set: true,
  })
  const known = await awaitParts(settlement, 'decisions on transactions', ({ txn_set }) => txn_set)
  const committed = new Set(
    known.replsets.flatMap(({ committed_txn }) =>
      (committed_txn ?? []).filter(({ state }) => state === 'commit').map(({ id }) => id),
    ),
  )
  let applied = 0
  for (const { key, prepared, started } of open) {
    if (!committed.has(publicId(key))) continue
    if (!prepared) {
      throw new PbmError(
        'TRANSACTION_CUT',
        `The transaction begun at ${optimeText(started)} is committed on another shard and not whole in the oplog of ${replset}`,
        { hint: 'Restore to a time a little later or earlier.' },
      )
    }
    await replay?.commitOpen(key)
    applied++
  }
  const left = open.length - applied
  await setRestoreReplsetFields(leader, name, replset, {
    stat: { txn: { partial: 0, shard_uncommitted: open.length, left_uncommitted: left }, d: null },
  })
  if (applied > 0) log.info(`${applied} transactions were committed by other shards before the end, and are here too`)
}

/** As PBM writes it: the session's raw document in base64 without padding, and the number. */
function publicId(key: string): string {
  const slash = key.lastIndexOf('/')
  const lsid = Buffer.from(key.slice(0, slash), 'latin1').toString('base64').replace(/=+$/, '')
  return `${lsid}-${key.slice(slash + 1)}`
}
