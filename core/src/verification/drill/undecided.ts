import type { Document, MongoClient } from 'mongodb'

/**
 * Aborts what of transactions over several shards is prepared: other shards would say how they end, and here is none. As long as
 * they are open they keep `validate` from its locks.
 *
 * @returns how many there were
 */
export async function abortUndecided(client: MongoClient): Promise<number> {
  const open = client.db('config').collection('transactions').find({ state: 'prepared' })
  let ended = 0
  for await (const { _id, txnNum } of open) {
    await abort(client, _id as unknown as Document, Number(txnNum))
    ended += 1
  }
  return ended
}

async function abort(client: MongoClient, lsid: Document, txnNumber: number): Promise<void> {
  const session = client.startSession({ causalConsistency: false })
  try {
    // Whose it is; never to be taken for another one of this client's.
    Object.assign(session.serverSession, { id: lsid, txnNumber, isDirty: true })
    await client.db('admin').command({ abortTransaction: 1 }, { session })
  } finally {
    await session.endSession()
  }
}
