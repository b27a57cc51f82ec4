import { unixSeconds } from '../../control/wire.js'
import { errorText } from '../../errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { goJson } from '../../store/layout/go-json.js'
import { bringFiles } from './bring-files.js'
import { goState, type TakeOverJournal } from './journal.js'
import { type EndState, SyncFiles, type SyncState } from './sync-files.js'
import { replayMs, TakeOver, type TakeOverContext } from './take-over.js'

export interface TakeOverOutcome {
  /** `copyReady`: the agent is to end until somebody has copied the files, and then to begin again. */
  readonly status: EndState | 'copyReady'
  readonly error?: string
}

/** How long the others may take to end their servers, and to say how they have ended. */
const DOWN_MS = 900_000
const FINAL_MS = 900_000
/** How long the storage may be away: nothing else is there to agree by, and the others may have gone on by it. */
const AWAY_MS = 900_000

export interface CarryOutContext extends TakeOverContext {
  readonly store: ObjectStore
  readonly signal: AbortSignal
  /** Called once, right before the server is ended: until then nobody else may begin anything. */
  readonly letGo?: () => Promise<void>
  /** The agent is told to end: heeded only while somebody copies files. */
  readonly ending?: AbortSignal
  /** The agent was killed in the middle, and begins again. Default false. */
  readonly isResumed?: boolean
}

/**
 * This member's part from the moment that nothing but the storage is left to agree by, or from where it was broken off. Never
 * rejects where the member serves again, on either data: what it failed by is in the outcome.
 */
export async function carryOut(journal: TakeOverJournal, context: CarryOutContext): Promise<TakeOverOutcome> {
  const { store, signal, log, clock } = context
  const { record, party } = journal
  const sync = new SyncFiles({ store, restore: record.name, party, signal, clock, awayMs: AWAY_MS })
  const stopBeat = sync.beat()
  const takeOver = new TakeOver(context, journal)
  const letGo = once(context.letGo)
  try {
    if (takeOver.isGoingBack) return await goBack(takeOver, sync)
    if (takeOver.isBeginning) {
      await takeOver.begin()
      return { status: 'partlyDone', error: 'this member begins anew' }
    }
    const { fault, wasDown, isLeft } = await forward(context, { journal, takeOver, sync, letGo })
    if (isLeft === true) return { status: 'copyReady' }
    const final = await finalState(journal, sync, { fault, wasDown })
    if (sync.leads && final !== undefined)
      await tellRecord(journal, sync, final).catch((error) => log.warning(errorText(error)))
    await letGo()
    if (fault === undefined && final?.status !== 'error') await takeOver.finish({ isDecided: final !== undefined })
    else if (fault !== undefined && (final?.status === 'partlyDone' || final?.status === 'done')) await takeOver.begin()
    else await takeOver.goBack()
    return final ?? (fault === undefined ? { status: 'done' } : { status: 'error', error: fault })
  } finally {
    await stopBeat()
  }
}

async function goBack(takeOver: TakeOver, sync: SyncFiles): Promise<TakeOverOutcome> {
  await takeOver.goBack()
  const error = await sync.clusterError().catch(() => '')
  return { status: 'error', error: error === '' ? 'the new files could not be used' : error }
}

interface Forward {
  readonly journal: TakeOverJournal
  readonly takeOver: TakeOver
  readonly sync: SyncFiles
  readonly letGo: () => Promise<void>
}

interface Forwarded {
  /** What it failed by; undefined where it serves the new files, and a majority writes. */
  readonly fault: string | undefined
  /** The others may have gone on. */
  readonly wasDown: boolean
  /** The agent ends until somebody has copied the files. */
  readonly isLeft?: boolean
}

async function forward(context: CarryOutContext, { journal, takeOver, sync, letGo }: Forward): Promise<Forwarded> {
  const { log, isResumed = false } = context
  const { party, external } = journal
  let wasDown = takeOver.phase !== 'down'
  try {
    const told = isResumed ? await resumed(takeOver, sync, goState(journal)) : undefined
    // The others can't be left without a primary before they are down themselves: it would be looked for.
    if (told === undefined && party.isCoordinator && takeOver.phase === 'down') {
      const others = party.nodes.filter((node) => node !== party.node)
      await sync.awaitNodes(others, 'down', DOWN_MS)
      // All agree by way of the config servers until they go themselves.
      if (sync.leads) await sync.awaitReplsets(without(party.replsets, party.leading), 'down', DOWN_MS)
    }
    await letGo()
    await takeOver.takeDown()
    wasDown = true
    await sync.tell('down')
    if (party.isCoordinator) await sync.tellReplset('down')
    if (external === undefined) await takeOver.place()
    else if (!(await bringFiles(context, { journal, takeOver, sync, external })))
      return { fault: undefined, wasDown, isLeft: true }
    const end = await sync.awaitAllDown(DOWN_MS + replayMs(journal))
    if (end === 'error') throw new Error(await sync.clusterError())
    await takeOver.serve()
    await sync.tell('done')
    log.info('the restored replica set writes to a majority')
    return { fault: undefined, wasDown }
  } catch (error) {
    const text = errorText(error)
    log.error(`the restore failed on this member: ${text}`)
    await sync.tell('error', text).catch((fault: unknown) => log.warning(errorText(fault)))
    return { fault: text, wasDown }
  }
}

/** How the others have ended meanwhile; undefined where they wait. */
async function resumed(takeOver: TakeOver, sync: SyncFiles, go: SyncState): Promise<EndState | undefined> {
  const end = await sync.decision()
  if (end === 'error') throw new Error(await sync.clusterError())
  // Nobody ends his server before that is said.
  if (takeOver.phase === 'down' && !(await sync.hasReached(go)))
    throw new Error('its agent was killed before the servers were ended')
  return end
}

/** The word of the leader, which it gives here; undefined where there is none. */
async function finalState(
  journal: TakeOverJournal,
  sync: SyncFiles,
  { fault, wasDown }: Forwarded,
): Promise<TakeOverOutcome | undefined> {
  const { party } = journal
  const finalMs = FINAL_MS + replayMs(journal)
  const known = await sync.decision().catch(() => undefined)
  if (known === undefined && party.isCoordinator) {
    const { nodes, rs } = party
    // The others wait until its server has ended, too.
    const isCertain = fault !== undefined && !wasDown
    const outcomes = isCertain ? undefined : await sync.outcomes(nodes, finalMs).catch(() => undefined)
    const own =
      outcomes === undefined ? unheard(fault) : allowed(judge(nodes, outcomes, { node: party.node, fault }), journal)
    await sync.tellReplset(own.status, own.error).catch(() => undefined)
    if (sync.leads) {
      const ends = isCertain ? undefined : sync.replsetOutcomes(party.replsets, finalMs)
      const others = await ends?.catch(() => undefined)
      const outcome = others === undefined ? own : allowed(judgeAll(others, { rs, own }), journal)
      await sync.tellCluster(outcome.status, outcome.error).catch(() => undefined)
      return outcome
    }
  }
  const status = known ?? (await sync.awaitDecision(finalMs).catch(() => undefined))
  if (status === undefined) return undefined
  if (status === 'done') return { status }
  const error = await sync.clusterError().catch((reason: unknown) => errorText(reason))
  return { status, error: error === '' ? (fault ?? 'not all members have the new files') : error }
}

/** The storage does not say how the others have ended; but who has not failed has seen a majority write on the new files. */
export function unheard(fault: string | undefined): TakeOverOutcome {
  if (fault !== undefined) return { status: 'error', error: fault }
  return { status: 'partlyDone', error: 'a majority writes, and how each member has ended could not be read' }
}

/** A majority that has the new files goes on; `node`, which judges, is of it only without a fault. Pure. */
export function judge(
  nodes: readonly string[],
  outcomes: ReadonlyMap<string, EndState | undefined>,
  { node: own, fault }: { readonly node: string; readonly fault: string | undefined },
): TakeOverOutcome {
  const done = nodes.filter((node) => outcomes.get(node) === 'done' && (node !== own || fault === undefined))
  if (done.length === nodes.length) return { status: 'done' }
  const others = nodes.filter((node) => !done.includes(node)).join(', ')
  const error = fault ?? `not done: ${others}`
  return done.length * 2 > nodes.length ? { status: 'partlyDone', error } : { status: 'error', error }
}

/** Where all are to have the new files or none, none has them. Pure; journals of before say nothing of it. */
export function allowed(
  outcome: TakeOverOutcome,
  { allowPartlyDone = true }: { readonly allowPartlyDone?: boolean },
): TakeOverOutcome {
  if (outcome.status !== 'partlyDone' || allowPartlyDone) return outcome
  return { status: 'error', error: `${outcome.error}; and restore.allowPartlyDone is off` }
}

/** Of a cluster every replica set has the new files, or none. Pure. */
export function judgeAll(
  outcomes: ReadonlyMap<string, EndState | undefined>,
  { rs, own }: { readonly rs: string; readonly own: TakeOverOutcome },
): TakeOverOutcome {
  const ends = [...outcomes].map(([name, end]) => ({ name, end: name === rs ? own.status : end }))
  const lost = ends.filter(({ end }) => end === undefined || end === 'error').map(({ name }) => name)
  const text = own.error === undefined || !lost.includes(rs) ? undefined : own.error
  if (lost.length > 0)
    return { status: 'error', error: text ?? `replica sets without the new files: ${lost.join(', ')}` }
  const partly = ends.filter(({ end }) => end === 'partlyDone').map(({ name }) => name)
  if (partly.length === 0) return { status: 'done' }
  return { status: 'partlyDone', error: own.error ?? `not all members of ${partly.join(', ')} have the new files` }
}

/** `<restore>.json`, as PBM keeps it (PBM: physical.md §6). */
async function tellRecord(
  { record }: TakeOverJournal,
  sync: SyncFiles,
  { status, error }: TakeOverOutcome,
): Promise<void> {
  const now = unixSeconds()
  const { name, opid, backup, bcp_chain, replsets, start_ts, pitr, l } = record
  const conditions = [
    { timestamp: start_ts, status: 'starting' },
    { timestamp: now, status, ...(error !== undefined && { error }) },
  ]
  const unset = { T: 0, I: 0 }
  await sync.saveRecord(
    goJson({
      ...{ status, ...(error !== undefined && { error }), name, opid, backup, bcp_chain, start_pitr: 0, pitr },
      replsets: replsets.map(({ name: rs, nodes = [] }) => ({
        ...{ name: rs, start_ts, status, committed_txn: null, txn_set: false, partial_txn: null, op: unset },
        ...{ last_transition_ts: now, last_write_ts: unset },
        nodes: nodes.map((node) => ({
          name: node.name,
          status,
          last_transition_ts: now,
          conditions,
          hb: { T: now, I: 0 },
        })),
        ...{ conditions, hb: { T: now, I: 0 } },
      })),
      ...{ hb: { T: now, I: 0 }, start_ts, last_transition_ts: now, conditions, type: 'physical', l },
    }),
  )
}

function without(all: readonly string[], one: string): string[] {
  return all.filter((name) => name !== one)
}

function once(work: (() => Promise<void>) | undefined): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work?.() ?? Promise.resolve()
    return done
  }
}
