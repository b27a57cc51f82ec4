import { type ClientSession, type Document, Long, type MongoClient, UUID } from 'mongodb'
import type { Shard } from './replica-set.js'

/** Runs one statement of a transaction on one shard. */
export type TransactionStatement = (shard: string, db: string, command: Document) => Promise<Document>

/** What a transaction does. When it rejects or calls `abort()`, the transaction is aborted on every shard. */
export type TransactionWork = (run: TransactionStatement, end: { abort(): void }) => Promise<void>

interface Participant {
  readonly id: string
  readonly client: MongoClient
  readonly session: ClientSession
}

/**
 * Does what mongos does for a transaction over several shards: one session and number everywhere, and the first shard
 * that takes part decides the commit. It leaves real `prepare` and `commitTransaction` entries in the oplogs.
 */
export async function runDistributedTransaction(shards: readonly Shard[], work: TransactionWork): Promise<void> {
  const participants: Participant[] = []
  const txnNumber = Long.ONE
  const sessionId = new UUID().toBinary()
  let aborted = false
  const run: TransactionStatement = async (id, db, command) => {
    const known = participants.find((participant) => participant.id === id)
    if (known !== undefined) {
      return known.client.db(db).command({ ...command, txnNumber, autocommit: false }, { session: known.session })
    }
    const shard = shards.find((candidate) => candidate.id === id)
    if (shard === undefined) throw new RangeError(`there is no shard ${id}`)
    const client = await shard.set.client()
    const session = client.startSession({ causalConsistency: false })
    // The driver sends an id of its own making; all shards have to see one and the same.
    session.serverSession.id = { id: sessionId }
    session.serverSession.txnNumber = txnNumber.toNumber()
    const [first] = participants
    participants.push({ id, client, session })
    const begin = {
      ...command,
      txnNumber,
      startTransaction: true,
      autocommit: false,
      readConcern: { level: 'snapshot' },
      ...(first === undefined ? { coordinator: true } : {}),
    }
    return client.db(db).command(begin, { session })
  }
  const abortAll = () =>
    Promise.all(
      participants.map(({ client, session }) =>
        client.db('admin').command({ abortTransaction: 1, txnNumber, autocommit: false }, { session }),
      ),
    )
  try {
    await work(run, {
      abort: () => {
        aborted = true
      },
    })
    const [coordinator] = participants
    if (coordinator === undefined) return
    if (aborted) await abortAll()
    else {
      const { client, session } = coordinator
      await client.db('admin').command(
        {
          coordinateCommitTransaction: 1,
          participants: participants.map(({ id }) => ({ shardId: id })),
          txnNumber,
          autocommit: false,
          writeConcern: { w: 'majority' },
        },
        { session },
      )
    }
  } catch (error) {
    await abortAll().catch(() => undefined)
    throw error
  } finally {
    // A session that was used in an odd way must not be used again by others.
    for (const { session } of participants) {
      session.serverSession.isDirty = true
      await session.endSession()
    }
  }
}
