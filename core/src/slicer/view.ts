import type { Document, MongoClient, Timestamp } from 'mongodb'
import type { Config } from '../config/document.js'
import { MAIN, toConfig } from '../control/config.js'
import type { LockDocument } from '../control/locks.js'
import { readPitr } from '../control/pitr.js'
import type { PitrDocument } from '../control/pitr-document.js'
import { isStale, timeOfSession } from '../mongo/cluster-time.js'
import { CONFIG, CONTROL_DATABASE, LOCKS, PITR, SLICER_LOCKS } from '../mongo/control-names.js'

/** What the control collections say of slicing at one moment. */
export interface SlicingView {
  readonly config: Config | undefined
  readonly document: PitrDocument | undefined
  /** Live locks of operations. */
  readonly operations: readonly LockDocument[]
  /** Live locks of slicers. */
  readonly slicers: readonly LockDocument[]
  readonly now: Timestamp
}

/** How often agents look while something is under way: who slices, and all while slicers are elected. */
export const SLICING_POLL_MS = 500
/** How often all others look. A change of the configuration takes effect within it. */
export const CALM_SLICING_POLL_MS = 1_000

/** All in one command: hundreds of agents look at the same few documents of one server. */
export async function readSlicingView(leader: MongoClient): Promise<SlicingView> {
  return leader.withSession(async (session) => {
    const found = await leader.db(CONTROL_DATABASE).collection(CONFIG).aggregate(PIPELINE, { session }).toArray()
    const now = await timeOfSession(leader, session)
    const of = (from: string) => found.filter((one) => one.from === from).map(({ document }) => document as Document)
    const live = (from: string) =>
      of(from).filter(({ hb }) => !isStale(hb as Timestamp, now)) as unknown as LockDocument[]
    const [config] = of(CONFIG)
    const [document] = of(PITR)
    return {
      config: config === undefined ? undefined : toConfig(config),
      document: document === undefined ? undefined : readPitr(document),
      operations: live(LOCKS),
      slicers: live(SLICER_LOCKS),
      now,
    }
  })
}

const labelled = (from: string): Document => ({ $replaceWith: { from: { $literal: from }, document: '$$ROOT' } })
const beside = (coll: string, filter: Document = {}): Document => ({
  $unionWith: { coll, pipeline: [{ $match: filter }, labelled(coll)] },
})
const PIPELINE: Document[] = [
  { $match: MAIN },
  { $limit: 1 },
  labelled(CONFIG),
  beside(PITR),
  beside(LOCKS),
  beside(SLICER_LOCKS, { type: 'pitr' }),
]
