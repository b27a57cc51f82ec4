import type { MongoClient } from 'mongodb'
import type { OperationLog } from '../../log.js'
import { readLevelOf } from '../../mongo/read-level.js'
import { type Clock, systemClock } from '../../time/clock.js'

const LOOK_MS = 5_000
/** For a server that does not answer. */
const ANSWER_MS = 5_000
/** Of `replSetGetStatus`: primary and secondary. */
const BUILDING_STATES: ReadonlySet<unknown> = new Set([1, 2])

interface ConfiguredMember {
  readonly host: string
  readonly arbiterOnly?: boolean
  readonly votes?: number
  readonly buildIndexes?: boolean
  readonly secondaryDelaySecs?: unknown
  readonly slaveDelay?: unknown
}

/** An index build under way. */
export interface RunningBuild {
  readonly db: string
  readonly collection: string
  readonly indexNames: readonly string[]
}

interface CommitQuorumOptions {
  readonly clock?: Clock | undefined
  readonly log: OperationLog
  /** `votingMembers`, `majority` or a number as a text, where somebody has asked for it. */
  readonly asked: string | undefined
}

/**
 * How many members must have built an index before it counts. A member that is down or delayed would keep all builds from
 * their end for as long as it is: by default it is left out, and catches up by itself. Where somebody has asked for a
 * quorum, the log says who is waited for.
 */
export class CommitQuorum {
  readonly #client: MongoClient
  readonly #options: CommitQuorumOptions
  readonly #running = new Set<RunningBuild>()
  #lowered: number | undefined
  #voters = 0
  #told = ''

  constructor(client: MongoClient, options: CommitQuorumOptions) {
    this.#client = client
    this.#options = options
  }

  get #asked(): string | undefined {
    return this.#options.asked === '' ? undefined : this.#options.asked
  }

  /** As `createIndexes` takes it. */
  get value(): string | number {
    const asked = this.#asked
    if (asked !== undefined && /^\d+$/.test(asked)) return Number(asked)
    // The same, but the server votes with itself, a tenth of a second for each build.
    if (this.#voters === 1) return 1
    // A replica set that has to go on without a majority would wait for its members that are away.
    if (asked === undefined && readLevelOf(this.#client) === 'local') return 1
    return asked ?? this.#lowered ?? 'votingMembers'
  }

  /** Looks now, and again and again while `work` goes on. */
  async watch<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { clock = systemClock } = this.#options
    await this.#look(signal)
    const ended = new AbortController()
    const either = AbortSignal.any([signal, ended.signal])
    const looking = async () => {
      while (!either.aborted) {
        await clock.sleep(LOOK_MS, either)
        await this.#look(either)
      }
    }
    looking().catch(() => undefined)
    try {
      return await work()
    } finally {
      // The last look is not waited for.
      ended.abort()
    }
  }

  /** The build's quorum is lowered while it runs, where that is needed. */
  async during(build: RunningBuild, work: () => Promise<void>): Promise<void> {
    this.#running.add(build)
    try {
      await work()
    } finally {
      this.#running.delete(build)
    }
  }

  /** What can't be read is looked at again next time. */
  async #look(signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    const asked = this.#asked
    const members = await this.#members().catch(() => undefined)
    if (members === undefined || signal.aborted) return
    const { voters, missing } = members
    this.#voters = voters.length
    const ready = voters.length - missing.length
    const isMet = this.#needed(voters.length) <= ready
    const told = isMet ? '' : missing.join(', ')
    const isNew = told !== this.#told
    this.#told = told
    if (isMet) {
      this.#lowered = undefined
      return
    }
    if (asked !== undefined) {
      const what = `indexes are not done before ${told} has built them, as the commit quorum ${asked} asks for`
      if (isNew) log.warning(`${what}: bring it back, or ask for less in restore.indexCommitQuorum`)
      return
    }
    this.#lowered = ready
    if (isNew) log.warning(`${told}: indexes do not wait for it, since it is down or delayed; it builds them later`)
    await Promise.all([...this.#running].map((build) => this.#lower(build, ready)))
  }

  #needed(voters: number): number {
    const { value } = this
    if (this.#asked !== undefined && typeof value === 'number') return value
    return value === 'majority' ? Math.floor(voters / 2) + 1 : voters
  }

  /** One that is just done is not there any more. */
  async #lower({ db, collection, indexNames }: RunningBuild, commitQuorum: number): Promise<void> {
    const command = {
      setIndexCommitQuorum: collection,
      indexNames,
      commitQuorum,
      writeConcern: { w: 1 },
      maxTimeMS: ANSWER_MS,
    }
    await this.#client
      .db(db)
      .command(command)
      .catch(() => undefined)
  }

  async #members(): Promise<{ voters: string[]; missing: string[] }> {
    const admin = this.#client.db('admin')
    const [{ config }, { members: states }] = await Promise.all([
      admin.command({ replSetGetConfig: 1, maxTimeMS: ANSWER_MS }),
      admin.command({ replSetGetStatus: 1, maxTimeMS: ANSWER_MS }),
    ])
    const up = new Set(
      (states as { name: string; health: number; state: number }[])
        .filter(({ health, state }) => health === 1 && BUILDING_STATES.has(state))
        .map(({ name }) => name),
    )
    const voters = (config.members as ConfiguredMember[]).filter(
      ({ arbiterOnly, votes, buildIndexes }) => arbiterOnly !== true && votes !== 0 && buildIndexes !== false,
    )
    const isMissing = ({ host, secondaryDelaySecs, slaveDelay }: ConfiguredMember) =>
      !up.has(host) || Number(secondaryDelaySecs ?? slaveDelay ?? 0) > 0
    return { voters: voters.map(({ host }) => host), missing: voters.filter(isMissing).map(({ host }) => host) }
  }
}
