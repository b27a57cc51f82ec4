import { unixSeconds } from '../../control/wire.js'
import { errorText } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { goJson } from '../../store/layout/go-json.js'
import type { PlannedTakeOver } from './restore.js'
import { SyncFiles, type SyncState } from './sync-files.js'
import { TakeOver, type TakeOverContext } from './take-over.js'

export interface TakeOverOutcome {
  readonly status: 'done' | 'partlyDone' | 'error'
  readonly error?: string
}

/** How long the others may take to end their servers, and to say how they have ended. */
const DOWN_MS = 900_000
const FINAL_MS = 900_000

/**
 * This member's part from the moment that nothing but the storage is left to agree by. Never rejects where the member serves
 * again, on either data: what it failed by is in the outcome.
 */
export async function carryOut(
  planned: PlannedTakeOver,
  context: TakeOverContext & { readonly store: ObjectStore; readonly signal: AbortSignal },
): Promise<TakeOverOutcome> {
  const { store, signal, log, clock } = context
  const { journal, kept, self, isCoordinator } = planned
  const { record } = journal
  const sync = new SyncFiles({ store, restore: record.name, rs: self.rs, node: self.node, signal, clock })
  const stopBeat = sync.beat(isCoordinator)
  const takeOver = new TakeOver(context, journal, kept)
  try {
    const fault = await forward(planned, takeOver, sync, log)
    const final = await finalState(planned, sync, fault)
    if (isCoordinator && final !== undefined)
      await tellRecord(planned, sync, final).catch((error) => log.warning(errorText(error)))
    if (fault === undefined && final?.status !== 'error') await takeOver.finish({ isDecided: final !== undefined })
    else if (fault !== undefined && final?.status === 'partlyDone') await takeOver.begin()
    else await takeOver.goBack()
    return final ?? (fault === undefined ? { status: 'done' } : { status: 'error', error: fault })
  } finally {
    await stopBeat()
  }
}

/** What it failed by; undefined where it serves the new files, and a majority writes. */
async function forward(
  { nodes, self, isCoordinator }: PlannedTakeOver,
  takeOver: TakeOver,
  sync: SyncFiles,
  log: OperationLog,
): Promise<string | undefined> {
  try {
    // The others can't be left without a primary before they are down themselves: it would be looked for.
    const others = nodes.filter((node) => node !== self.node)
    if (isCoordinator) await sync.awaitNodes(others, 'down', DOWN_MS)
    await takeOver.takeDown()
    await sync.tell('down')
    if (isCoordinator) await sync.tellAll('down')
    await takeOver.goForward()
    await takeOver.awaitMajority()
    await sync.tell('done')
    log.info('the restored replica set writes to a majority')
    return undefined
  } catch (error) {
    const text = errorText(error)
    log.error(`the restore failed on this member: ${text}`)
    await sync.tell('error', text).catch((fault: unknown) => log.warning(errorText(fault)))
    return text
  }
}

/** The coordinator's word, which it gives here; undefined where there is none. */
async function finalState(
  { nodes, isCoordinator }: PlannedTakeOver,
  sync: SyncFiles,
  fault: string | undefined,
): Promise<TakeOverOutcome | undefined> {
  if (!isCoordinator) {
    const state = await sync.awaitCluster(['done', 'partlyDone'], FINAL_MS).catch(() => undefined)
    if (state === undefined) return undefined
    return {
      status: state as TakeOverOutcome['status'],
      ...(state === 'error' && { error: await sync.clusterError().catch((fault: unknown) => errorText(fault)) }),
    }
  }
  const outcomes = await sync.outcomes(nodes, FINAL_MS).catch(() => undefined)
  const outcome = outcomes === undefined ? unheard(fault) : judge(nodes, outcomes, fault)
  const state: SyncState = outcome.status
  await sync.tellAll(state, outcome.error).catch(() => undefined)
  return outcome
}

/** The storage does not say how the others have ended; but who has not failed has seen a majority write on the new files. */
export function unheard(fault: string | undefined): TakeOverOutcome {
  if (fault !== undefined) return { status: 'error', error: fault }
  return { status: 'partlyDone', error: 'a majority writes, and how each member has ended could not be read' }
}

/** A majority that has the new files goes on. Pure. */
export function judge(
  nodes: readonly string[],
  outcomes: ReadonlyMap<string, 'done' | 'error' | undefined>,
  fault: string | undefined,
): TakeOverOutcome {
  const done = nodes.filter((node) => outcomes.get(node) === 'done')
  if (done.length === nodes.length) return { status: 'done' }
  const others = nodes.filter((node) => !done.includes(node)).join(', ')
  const error = fault ?? `not done: ${others}`
  return done.length * 2 > nodes.length ? { status: 'partlyDone', error } : { status: 'error', error }
}

/** `<restore>.json`, as PBM keeps it (PBM: physical.md §6). */
async function tellRecord(
  { journal }: PlannedTakeOver,
  sync: SyncFiles,
  { status, error }: TakeOverOutcome,
): Promise<void> {
  const now = unixSeconds()
  const { name, opid, backup, bcp_chain, replsets, start_ts, l } = journal.record
  const conditions = [
    { timestamp: start_ts, status: 'starting' },
    { timestamp: now, status, ...(error !== undefined && { error }) },
  ]
  const unset = { T: 0, I: 0 }
  await sync.saveRecord(
    goJson({
      ...{ status, ...(error !== undefined && { error }), name, opid, backup, bcp_chain, start_pitr: 0, pitr: 0 },
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
