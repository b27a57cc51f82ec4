import type { ClientSession, MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { RawValue } from '../../mongo/raw-command.js'
import { readLevelOf } from '../../mongo/read-level.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import type { WantedIndexes } from '../../oplog/replay/index-catalog.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { allOrFirstError } from './snapshot.js'

/** The server builds for at most three commands at once and lets the others wait (`maxNumActiveUserIndexBuilds`). */
const WIDTH = 3
const DUPLICATE_KEY = 11000
const INVALID_OPTION = 197
/** A number of members that the replica set does not have, or all that vote where one of them builds no indexes. */
const UNSATISFIABLE_COMMIT_QUORUM = 278

export interface BuildOptions {
  readonly guard: DeadlineGuard
  readonly log: OperationLog
  /** `votingMembers`, `majority` or a number as a text. */
  readonly commitQuorum: string | undefined
  readonly onBuilt: (indexes: number) => void
}

/**
 * Builds all indexes, those of one collection in one scan of it, several collections at once. Throws
 * `INDEX_UNIQUE_VIOLATION` or `INDEX_FAILED` with the namespace; an abort stops the builds on the server too.
 */
export async function buildIndexes(
  client: MongoClient,
  wanted: readonly WantedIndexes[],
  options: BuildOptions,
): Promise<void> {
  const limit = pLimit(WIDTH)
  await allOrFirstError(
    wanted.map((collection) =>
      limit(async () => {
        await build(client, collection, options)
        options.onBuilt(collection.specs.length)
      }),
    ),
    () => limit.clearQueue(),
  )
}

async function build(client: MongoClient, { ns, specs }: WantedIndexes, options: BuildOptions): Promise<void> {
  const { log, commitQuorum } = options
  const command: Record<string, unknown> = {
    createIndexes: collectionOf(ns),
    indexes: RawValue.documents(specs),
    commitQuorum: quorumOf(client, commitQuorum),
  }
  for (;;) {
    options.guard.throwIfStopped()
    try {
      await run(client, databaseOf(ns), command, options.guard.signal)
      return
    } catch (error) {
      options.guard.signal.throwIfAborted()
      const code = (error as { code?: unknown }).code
      if (code === UNSATISFIABLE_COMMIT_QUORUM && command.commitQuorum !== 'majority') {
        const next = typeof command.commitQuorum === 'number' ? 'votingMembers' : 'majority'
        log.warning(`${ns}: commit quorum ${command.commitQuorum} can't be met here; ${next} is used`)
        command.commitQuorum = next
      } else if (code === INVALID_OPTION && command.ignoreUnknownIndexOptions === undefined) {
        log.warning(
          `${ns}: the server does not know all options of its indexes; those are left out: ${errorText(error)}`,
        )
        command.ignoreUnknownIndexOptions = true
      } else {
        throw indexError(error, ns)
      }
    }
  }
}

/** An index build goes on without its client, so an abort kills the session it runs in. */
async function run(
  client: MongoClient,
  db: string,
  command: Record<string, unknown>,
  signal: AbortSignal,
): Promise<void> {
  const session = client.startSession()
  const kill = () => void killSession(client, session)
  signal.addEventListener('abort', kill, { once: true })
  try {
    await client.db(db).command({ ...command }, { session })
  } finally {
    signal.removeEventListener('abort', kill)
    await session.endSession()
  }
}

async function killSession(client: MongoClient, session: ClientSession): Promise<void> {
  await client
    .db('admin')
    .command({ killSessions: [session.id] })
    .catch(() => undefined)
}

function quorumOf(client: MongoClient, text: string | undefined): string | number {
  // A replica set that has to go on without a majority would wait for its members that are away.
  if (text === undefined || text === '') return readLevelOf(client) === 'local' ? 1 : 'votingMembers'
  return /^\d+$/.test(text) ? Number(text) : text
}

function indexError(error: unknown, ns: string): PbmError {
  const text = errorText(error)
  if ((error as { code?: unknown }).code !== DUPLICATE_KEY) {
    return new PbmError('INDEX_FAILED', `The indexes of ${ns} can't be built: ${text}`, { cause: error })
  }
  const index = /index: (\S+)/.exec(text)?.[1] ?? ''
  return new PbmError(
    'INDEX_UNIQUE_VIOLATION',
    `The unique index ${index} of ${ns} can't be built, because documents have the same key: ${text}`,
    { hint: 'The documents are restored; remove the duplicates and create the index.', cause: error },
  )
}
