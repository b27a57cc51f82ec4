import { unixSeconds } from '../../control/wire.js'
import type { OperationLog } from '../../log.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { RESTORES_FOLDER } from '../../store/layout/names.js'
import type { Clock } from '../../time/clock.js'
import type { ExternalFiles } from './brought-files.js'
import type { TakeOverJournal } from './journal.js'
import { SyncFiles } from './sync-files.js'
import type { TakeOver } from './take-over.js'

/** How long the others may take to be ready, and to look at what was copied. */
const READY_MS = 900_000
/** The phases in which somebody copies files, or is to. */
const BEFORE: ReadonlySet<string> = new Set(['down', 'aside', 'waiting'])

export interface BringContext {
  readonly store: ObjectStore
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: OperationLog
  readonly ending?: AbortSignal
  readonly isResumed?: boolean
}

interface Bringing {
  readonly journal: TakeOverJournal
  readonly takeOver: TakeOver
  readonly sync: SyncFiles
  readonly external: ExternalFiles
}

/**
 * Empties the dbPath, waits until somebody has copied other files there, however long that takes, and takes these (PBM: physical.md
 * §7). False where the agent is to end meanwhile.
 */
export async function bringFiles(
  { store, signal, clock, log, ending = signal, isResumed = false }: BringContext,
  { journal, takeOver, sync, external }: Bringing,
): Promise<boolean> {
  const { party, record } = journal
  if (BEFORE.has(takeOver.phase)) {
    await takeOver.empty()
    await sync.tell('copyReady')
    if (party.isCoordinator) {
      await sync.awaitNodes(party.nodes, 'copyReady', READY_MS)
      await sync.tellReplset('copyReady')
    }
    if (sync.leads) {
      await sync.awaitReplsets(party.replsets, 'copyReady', READY_MS)
      await sync.tellCluster('copyReady')
    }
    await sync.awaitCluster('copyReady', READY_MS)
    log.info(`the dbPath is empty: copy the files there, then pbm restore-finish ${record.name} -c FILE`)
    if (external.exit && !isResumed) return false
    // Nothing is lost by a storage that is away meanwhile.
    const patient = new SyncFiles({
      store,
      restore: record.name,
      party,
      signal: ending,
      clock,
      awayMs: Number.POSITIVE_INFINITY,
    })
    try {
      await patient.awaitCluster('copyDone')
    } catch (error) {
      if (ending.aborted) return false
      throw error
    }
  }
  await takeOver.accept(external, ({ t, i }) => sync.agreeOnTime({ t, i }, READY_MS))
  return true
}

/** Somebody has copied all files, and the members are to take them (PBM: physical.md §7, step 2). */
export async function tellCopyDone(store: ObjectStore, restore: string, options: CallOptions = {}): Promise<void> {
  const text = Buffer.from(String(unixSeconds()))
  await store.save(`${RESTORES_FOLDER}/${restore}/cluster.copyDone`, bodyOf(text), options)
}
