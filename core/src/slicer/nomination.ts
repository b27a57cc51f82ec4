import type { MongoClient } from 'mongodb'
import type { AgentDocument } from '../control/agents.js'
import {
  addPitrNominees,
  findPitr,
  openPitrElection,
  openPitrNomination,
  reportPitrReplset,
  setPitrStatus,
} from '../control/pitr.js'
import type { PitrReplset } from '../control/pitr-document.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { answerTime, type Ballot, nominate } from '../protocol/nomination.js'
import { nominationGroups, type PriorityRules } from '../protocol/priority.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

export interface PitrElectionOptions {
  readonly leader: MongoClient
  /** Those that need a slicer. */
  readonly replsets: readonly string[]
  /** Their agents that may be asked (`candidates`). */
  readonly fit: readonly AgentDocument[]
  readonly rules: PriorityRules
  readonly signal: AbortSignal
  readonly log: OperationLog
  readonly clock: Clock
}

export interface PitrElectionResult {
  /** Who slices each replica set now. */
  readonly winners: ReadonlyMap<string, string>
  /** What the agents of the others said why they can't. */
  readonly refusals: readonly PitrReplset[]
}

const POLL_MS = 100
/** Our agents look each half second; a little more for those that have to look at their oplog first. */
const READY_MS = 5_000
/** PBM's agents begin to look each 15 s, then each 2 s (PBM: control-plane.md §4). */
const PBM_READY_MS = 20_000

/**
 * The cluster leader's part of electing slicers, in PBM's steps so that its agents can take part: `ready`, which every
 * agent that could slice answers, `running`, nominations by priority, and the winner's word that it holds the lock (PBM:
 * control-plane.md §4, PITR nomination). Waits end when their condition holds: among our own agents it takes about a
 * second, where PBM takes a minute. To be called only while nobody slices.
 */
export async function electSlicers(options: PitrElectionOptions): Promise<PitrElectionResult> {
  const { leader, replsets, fit, rules, signal, log, clock } = options
  const asking = clock.now()
  await openPitrElection(leader)
  const answers = await gatherAnswers(options, fit, answerTime(clock.now() - asking))
  const ready = fit.filter((agent) => answers.some((answer) => isOf(answer, agent) && answer.status === 'ready'))
  const refusals = answers.filter(({ status }) => status === 'error')
  if (ready.length === 0) {
    await setPitrStatus(leader, 'error')
    for (const refusal of refusals) await reportPitrReplset(leader, refusal, 'error')
    return { winners: new Map(), refusals }
  }
  await setPitrStatus(leader, 'running')
  const winners = new Map<string, string>()
  await Promise.all(
    replsets.map(async (rs) => {
      const winner = await nominate(slicingBallot(leader, rs), {
        groups: nominationGroups(ready, rs, rules),
        signal,
        log,
        clock,
      })
      if (winner !== undefined) winners.set(rs, winner)
    }),
  )
  signal.throwIfAborted()
  return { winners, refusals }
}

/** Until every agent has answered, or had the time to. */
async function gatherAnswers(
  { leader, clock, signal, log }: PitrElectionOptions,
  fit: readonly AgentDocument[],
  leastMs: number,
): Promise<PitrReplset[]> {
  const begun = clock.now()
  const gathered = async () => {
    signal.throwIfAborted()
    const document = await findPitr(leader)
    if (document === undefined || document.status !== 'ready') throw taken()
    const silent = fit.filter((agent) => !document.replsets.some((answer) => isOf(answer, agent)))
    if (silent.length === 0) return document.replsets
    const patience = silent.some(({ plugins }) => plugins === undefined) ? PBM_READY_MS : READY_MS
    if (clock.now() - begun < Math.max(patience, leastMs)) return undefined
    log.debug(`no answer to the election of a slicer from ${silent.map(({ n }) => n).join(', ')}`)
    return document.replsets
  }
  return await until(gathered, { clock, signal, everyMs: POLL_MS })
}

function slicingBallot(leader: MongoClient, rs: string): Ballot {
  return {
    what: `slicing ${rs}`,
    everyMs: POLL_MS,
    open: () => openPitrNomination(leader, rs),
    ask: async (nodes) => {
      await addPitrNominees(leader, rs, nodes)
      return true
    },
    winner: async () => {
      const document = await findPitr(leader)
      if (document === undefined || document.status !== 'running') throw taken()
      return document.n.find((nomination) => nomination.rs === rs)?.ack ?? ''
    },
  }
}

function taken(): PbmError {
  return new PbmError('ELECTION_TAKEN', 'another cluster leader began an election of slicers, or pbmPITR was dropped')
}

function isOf(answer: PitrReplset, agent: AgentDocument): boolean {
  return answer.name === agent.rs && answer.node === agent.n
}
