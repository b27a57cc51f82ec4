import { type ClientSession, type MongoClient, MongoServerError } from 'mongodb'
import pLimit from 'p-limit'
import { findString } from '../../bson/elements.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { RawValue } from '../../mongo/raw-command.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import type { WantedIndexes } from '../../oplog/replay/index-catalog.js'
import type { Clock } from '../../time/clock.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { CommitQuorum } from './commit-quorum.js'
import { definitionText, mendDefinition } from './index-definition.js'
import { allOrFirstError } from './snapshot.js'

/** The server builds for at most three commands at once and lets the others wait (`maxNumActiveUserIndexBuilds`). */
const WIDTH = 3
const DUPLICATE_KEY = 11000
const INVALID_OPTION = 197
/** A number of members that the replica set does not have, or all that vote where one of them builds no indexes. */
const UNSATISFIABLE_COMMIT_QUORUM = 278
/** Not the index is at fault: the node, its peers, whoever stopped the build, or the room that is left. */
const NOT_OF_THE_INDEX: ReadonlySet<unknown> = new Set([
  ...[10107, 11600, 11602, 13435, 13436, 189, 91],
  ...[6, 7, 89, 9001, 11601, 24, 50, 262, 276, 355],
  ...[13, 18, 14031],
])

export interface BuildOptions {
  readonly clock?: Clock | undefined
  readonly guard: DeadlineGuard
  readonly log: OperationLog
  /** `votingMembers`, `majority` or a number as a text; by default the voting members that are there. */
  readonly commitQuorum: string | undefined
  readonly onBuilt: (indexes: number) => void
}

/**
 * Builds all indexes, those of one collection in one scan of it, several collections at once. Gives those that can't be
 * built, in words; nothing else is the worse for them. Throws `INDEX_FAILED` with the namespace where not the index is at
 * fault; an abort stops the builds on the server too.
 */
export async function buildIndexes(
  client: MongoClient,
  wanted: readonly WantedIndexes[],
  options: BuildOptions,
): Promise<string[]> {
  const { clock, log, guard } = options
  if (wanted.length === 0) return []
  const limit = pLimit(WIDTH)
  const unbuilt: string[] = []
  const quorum = new CommitQuorum(client, { clock, log, asked: options.commitQuorum })
  const builder = new IndexBuilder(client, quorum, options, (text) => {
    log.error(`an index can't be built: ${text}`)
    unbuilt.push(text)
  })
  await quorum.watch(guard.signal, () =>
    allOrFirstError(
      wanted.map(({ ns, specs }) =>
        limit(async () => {
          const mended = specs.map((spec) => mendDefinition(spec))
          for (const { spec, changes } of mended) {
            if (changes.length === 0) continue
            const name = findString(spec, 'name') ?? ''
            log.warning(`index ${name} of ${ns} is not valid as it was and is changed: ${changes.join('; ')}`)
          }
          await builder.build({ ns, specs: mended.map(({ spec }) => spec) })
          options.onBuilt(specs.length)
        }),
      ),
      () => limit.clearQueue(),
    ),
  )
  return unbuilt
}

class IndexBuilder {
  readonly #client: MongoClient
  readonly #quorum: CommitQuorum
  readonly #options: BuildOptions
  readonly #onUnbuilt: (text: string) => void

  constructor(client: MongoClient, quorum: CommitQuorum, options: BuildOptions, onUnbuilt: (text: string) => void) {
    this.#client = client
    this.#quorum = quorum
    this.#options = options
    this.#onUnbuilt = onUnbuilt
  }

  /** Where one is refused, the server builds none of the command: then the others are built without it. */
  async build({ ns, specs }: WantedIndexes): Promise<void> {
    if (specs.length === 0) return
    try {
      await this.#create({ ns, specs })
    } catch (error) {
      this.#options.guard.throwIfStopped()
      if (!(error instanceof MongoServerError) || NOT_OF_THE_INDEX.has(error.code)) {
        throw new PbmError('INDEX_FAILED', `The indexes of ${ns} can't be built: ${errorText(error)}`, { cause: error })
      }
      const [only, ...more] = specs
      if (only !== undefined && more.length === 0) {
        this.#onUnbuilt(`${ns} ${definitionText(only)}: ${errorText(error)}`)
        return
      }
      const [first, second] = divided(specs, error)
      await this.build({ ns, specs: first })
      await this.build({ ns, specs: second })
    }
  }

  async #create({ ns, specs }: WantedIndexes): Promise<void> {
    const { log, guard } = this.#options
    const [db, collection] = [databaseOf(ns), collectionOf(ns)]
    const command: Record<string, unknown> = {
      createIndexes: collection,
      indexes: RawValue.documents(specs),
      commitQuorum: this.#quorum.value,
      // The majority is waited for once, at the end.
      writeConcern: { w: 1 },
    }
    const indexNames = specs.map((spec) => findString(spec, 'name') ?? '')
    for (;;) {
      guard.throwIfStopped()
      try {
        await this.#quorum.during({ db, collection, indexNames }, () => run(this.#client, db, command, guard.signal))
        return
      } catch (error) {
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
          throw error
        }
      }
    }
  }
}

/** The one that documents violate is known by name, and was only found after a scan; for the others halves are tried. */
function divided(specs: readonly Buffer[], error: MongoServerError): [Buffer[], Buffer[]] {
  const named = error.code === DUPLICATE_KEY ? /index: (\S+)/.exec(error.message)?.[1] : undefined
  const violated = specs.filter((spec) => findString(spec, 'name') === named)
  if (violated.length === 1) return [violated, specs.filter((spec) => !violated.includes(spec))]
  const half = Math.ceil(specs.length / 2)
  return [specs.slice(0, half), specs.slice(half)]
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
