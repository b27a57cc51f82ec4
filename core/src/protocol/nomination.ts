import type { MongoClient } from 'mongodb'
import { beatBackup, findNomination, openNomination, setNominees } from '../control/backups.js'
import { BACKUP_STATES, isTerminal } from '../control/state-machine.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'

/** How long a group is given before the next is asked: PBM's round, so that its agents, polling each 0.5 s, can answer. */
export const ROUND_MS = 5_000
/** How long the one drawn from a group of equals is asked alone. */
export const DRAW_MS = 2_000
/** How long PBM's agents look for their nomination after the command (PBM: control-plane.md §4). */
export const NOMINATION_MS = 15_000
/** An answer may take so many times as long as the question: a node has to read it, lock, and answer, all by majority. */
const ANSWER_TO_QUESTION = 5
/** However a clock was set meanwhile. */
const LONGEST_ANSWER_MS = 120_000
const POLL_MS = 50
/** Those that wait ask ever less often: there may be hundreds of them, and one is chosen. */
const SLOWER = 1.25
const LAST_POLL_MS = 500
/** How seldom it is looked for who declined. */
const LOOKS_PER_DECLINE = 6

/** How long an answer may take, in milliseconds, to a question that took so many. */
export function answerTime(askedMs: number): number {
  return Math.min(LONGEST_ANSWER_MS, ANSWER_TO_QUESTION * askedMs)
}

/** Where one replica set's nomination is written: what differs between the operations. */
export interface Ballot {
  /** For the log: `rs0`, `slicing rs0`. */
  readonly what: string
  /** How often it is looked for an answer. */
  readonly everyMs: number
  /** The time in all that nodes are given at least. */
  readonly leastMs?: number
  open(): Promise<void>
  /** False when somebody has answered meanwhile. */
  ask(nodes: readonly string[]): Promise<boolean>
  /** The node that holds the lock and says so; '' for none yet. Rejects where there is nothing to be elected for any more. */
  winner(): Promise<string>
  /** Nodes that said that they can't: when all that are asked have, the next are asked at once. */
  declined?(): Promise<ReadonlySet<string>>
}

export interface NominateOptions {
  /** By descending priority, equals together in random order: {@link nominationGroups}. */
  readonly groups: readonly (readonly string[])[]
  readonly signal: AbortSignal
  readonly log: OperationLog
  readonly clock?: Clock
}

/**
 * The cluster leader's part of an election: asks group after group until a node holds the lock and says so, and returns
 * that node; undefined when none did. Of several equals the first (they come in random order) is asked alone for a
 * moment, else the nearest to the primary would always win; the nomination always names all that may still answer.
 *
 * Rejects with the signal's reason, and with what the ballot rejects with.
 */
export async function nominate(ballot: Ballot, options: NominateOptions): Promise<string | undefined> {
  const { log, signal, clock = systemClock } = options
  const { what, everyMs, leastMs = 0 } = ballot
  const rounds = options.groups.flatMap((group) => [
    ...(group.length > 1 ? [{ nodes: group.slice(0, 1), millis: DRAW_MS }] : []),
    { nodes: group, millis: ROUND_MS },
  ])
  await ballot.open()
  const begun = clock.now()
  for (const [index, { nodes, millis }] of rounds.entries()) {
    const asking = clock.now()
    if (await ballot.ask(nodes)) log.debug(`nominated for ${what}: ${nodes.join(', ')}`)
    const isDeclined = async () => {
      const out = await ballot.declined?.()
      return out !== undefined && nodes.every((node) => out.has(node))
    }
    const answered = async (look: number) => {
      signal.throwIfAborted()
      const winner = await ballot.winner()
      return winner !== '' || (look % LOOKS_PER_DECLINE === 0 && (await isDeclined())) ? winner : undefined
    }
    const isLast = index === rounds.length - 1
    // Where a majority is slow, nobody could answer in time.
    const answerMs = answerTime(clock.now() - asking)
    const timeoutMs = Math.max(millis, answerMs, isLast ? begun + leastMs - clock.now() : 0)
    const winner = await until(answered, { clock, signal, everyMs, timeoutMs })
    if (winner !== undefined && winner !== '') return winner
  }
  return undefined
}

/**
 * For a replica set's part of a backup. Rejects with OPERATION_GONE when the backup's record vanishes and OPERATION_ENDED
 * when the backup fails or is canceled meanwhile.
 */
export function backupBallot(leader: MongoClient, backup: string, rs: string): Ballot {
  return {
    what: rs,
    everyMs: POLL_MS,
    leastMs: NOMINATION_MS,
    open: () => openNomination(leader, backup, rs),
    ask: async (nodes) => {
      const isAsked = await setNominees(leader, backup, rs, [...nodes])
      await beatBackup(leader, backup)
      return isAsked
    },
    winner: async () => {
      const found = await findNomination(leader, backup, rs)
      if (found === undefined) throw new PbmError('OPERATION_GONE', `the record of backup ${backup} is gone`)
      const ack = found.nomination?.ack ?? ''
      if (ack === '' && isTerminal(BACKUP_STATES, found.status)) {
        throw new PbmError('OPERATION_ENDED', `backup ${backup} is ${found.status} already`)
      }
      return ack
    },
  }
}

/**
 * `nominated`: go for the lock. `lost`: another node has it. `ended`: the backup failed or was canceled. `other`: the
 * backup of that name is another command's.
 */
export type NominationOutcome = 'nominated' | 'lost' | 'ended' | 'other' | 'timeout'

export interface AwaitNominationOptions {
  leader: MongoClient
  backup: string
  /** The command's. Names are seconds: two commands of one second name the same backup, and only one of them makes it. */
  opid: string
  rs: string
  /** This agent's node. */
  node: string
  signal: AbortSignal
  clock?: Clock
  /** Patience in milliseconds until the record appears; once it is there, as long as it stays nominating. */
  appearMs?: number
  /** Patience in all. */
  totalMs?: number
}

/**
 * The part of every suitable agent: waits until its node is nominated or the matter is settled. Reacts within a twentieth of
 * a second at first, within half a second later. Rejects with the signal's reason.
 */
export async function awaitNomination(options: AwaitNominationOptions): Promise<NominationOutcome> {
  const { leader, backup, opid, rs, node, signal, clock = systemClock } = options
  const { appearMs = NOMINATION_MS, totalMs = 60_000 } = options
  const begun = clock.now()
  const settled = async (): Promise<NominationOutcome | undefined> => {
    signal.throwIfAborted()
    const found = await findNomination(leader, backup, rs)
    if (found !== undefined && found.opid !== opid) return 'other'
    if ((found?.nomination?.ack ?? '') !== '') return 'lost'
    if (found !== undefined && isTerminal(BACKUP_STATES, found.status)) return 'ended'
    if (found?.nomination?.n.includes(node) === true) return 'nominated'
    return clock.now() - begun >= (found === undefined ? appearMs : totalMs) ? 'timeout' : undefined
  }
  const everyMs = (look: number) => Math.min(LAST_POLL_MS, POLL_MS * SLOWER ** (look - 1))
  return await until(settled, { clock, signal, everyMs })
}
