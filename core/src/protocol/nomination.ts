import type { MongoClient } from 'mongodb'
import type { BackupStatus } from '../control/backup-document.js'
import { beatBackup, findNomination, openNomination, setNominees } from '../control/backups.js'
import { BACKUP_STATES, isTerminal } from '../control/state-machine.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { type Clock, systemClock } from '../time/clock.js'

/** How long a group is given before the next is asked: PBM's round, so that its agents, polling each 0.5 s, can answer. */
export const ROUND_MILLIS = 5_000
/** How long the one drawn from a group of equals is asked alone. */
export const DRAW_MILLIS = 2_000
/** How long PBM's agents look for their nomination after the command (PBM: control-plane.md §4). */
export const NOMINATION_MILLIS = 15_000
const POLL_MILLIS = 50
/** Those that wait ask ever less often: there may be hundreds of them, and one is chosen. */
const SLOWER = 1.25
const LAST_POLL_MILLIS = 500
/** How seldom it is looked for who declined. */
const LOOKS_PER_DECLINE = 6

export interface NominateOptions {
  leader: MongoClient
  /** Name of the backup. */
  backup: string
  rs: string
  /** By descending priority, equals together in random order: {@link nominationGroups}. */
  groups: readonly (readonly string[])[]
  signal: AbortSignal
  log: OperationLog
  clock?: Clock
  /** Nodes that said that they can't: when all that are asked have, the next are asked at once. */
  declined?: () => Promise<ReadonlySet<string>>
}

/**
 * The cluster leader's part of an election: asks group after group until a node holds the lock and says so, and returns
 * that node; undefined when none did. Of several equals the first (they come in random order) is asked alone for a
 * moment, else the nearest to the primary would always win; the nomination always names all that may still answer.
 *
 * Rejects with the signal's reason, OPERATION_GONE when the backup's record vanishes and OPERATION_ENDED when the backup
 * fails or is canceled meanwhile.
 */
export async function nominate(options: NominateOptions): Promise<string | undefined> {
  const { leader, backup, rs, log, signal, clock = systemClock } = options
  const rounds = options.groups.flatMap((group) =>
    group.length > 1
      ? [
          { nodes: group.slice(0, 1), millis: DRAW_MILLIS },
          { nodes: group.slice(), millis: ROUND_MILLIS },
        ]
      : [{ nodes: group.slice(), millis: ROUND_MILLIS }],
  )
  await openNomination(leader, backup, rs)
  const begun = clock.now()
  for (const [index, { nodes, millis }] of rounds.entries()) {
    if (await setNominees(leader, backup, rs, nodes)) log.debug(`nominated for ${rs}: ${nodes.join(', ')}`)
    await beatBackup(leader, backup)
    const isLast = index === rounds.length - 1
    const end = Math.max(clock.now() + millis, isLast ? begun + NOMINATION_MILLIS : 0)
    const { declined } = options
    const isDeclined = async () => {
      const nodesOut = await declined?.()
      return nodesOut !== undefined && nodes.every((node) => nodesOut.has(node))
    }
    const winner = await acknowledged({ leader, backup, rs, signal, clock, isDeclined }, end)
    if (winner !== undefined) {
      log.debug(`${winner} takes the backup of ${rs}`)
      return winner
    }
  }
  return undefined
}

interface Ballot {
  leader: MongoClient
  backup: string
  rs: string
  signal: AbortSignal
  clock: Clock
  isDeclined: () => Promise<boolean>
}

async function acknowledged(ballot: Ballot, end: number): Promise<string | undefined> {
  const { leader, backup, rs, signal, clock, isDeclined } = ballot
  for (let look = 1; ; look++) {
    signal.throwIfAborted()
    const found = await findNomination(leader, backup, rs)
    if (found === undefined) throw new PbmError('OPERATION_GONE', `the record of backup ${backup} is gone`)
    const ack = found.nomination?.ack ?? ''
    if (ack !== '') return ack
    refuseEnded(backup, found.status)
    if (clock.now() >= end || (look % LOOKS_PER_DECLINE === 0 && (await isDeclined()))) return undefined
    await clock.sleep(POLL_MILLIS, signal)
  }
}

function refuseEnded(backup: string, status: BackupStatus): void {
  if (!isTerminal(BACKUP_STATES, status)) return
  throw new PbmError('OPERATION_ENDED', `backup ${backup} is ${status} already`)
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
  appearMillis?: number
  /** Patience in all. */
  totalMillis?: number
}

/**
 * The part of every suitable agent: waits until its node is nominated or the matter is settled. Reacts within a twentieth of
 * a second at first, within half a second later. Rejects with the signal's reason.
 */
export async function awaitNomination(options: AwaitNominationOptions): Promise<NominationOutcome> {
  const { leader, backup, opid, rs, node, signal, clock = systemClock } = options
  const { appearMillis = NOMINATION_MILLIS, totalMillis = 60_000 } = options
  const begun = clock.now()
  let pause = POLL_MILLIS
  while (true) {
    signal.throwIfAborted()
    const found = await findNomination(leader, backup, rs)
    if (found !== undefined && found.opid !== opid) return 'other'
    const ack = found?.nomination?.ack ?? ''
    if (ack !== '') return 'lost'
    if (found !== undefined && isTerminal(BACKUP_STATES, found.status)) return 'ended'
    if (found?.nomination?.n.includes(node) === true) return 'nominated'
    const waited = clock.now() - begun
    if (waited >= (found === undefined ? appearMillis : totalMillis)) return 'timeout'
    await clock.sleep(pause, signal)
    pause = Math.min(LAST_POLL_MILLIS, pause * SLOWER)
  }
}
