import type { MongoClient, Timestamp } from 'mongodb'
import { readConfig } from '../control/config.js'
import type { Config } from '../control/config-document.js'
import { type LockDocument, listLocks, listSlicerLocks } from '../control/locks.js'
import { findPitr, type PitrDocument } from '../control/pitr.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'

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

/** How often agents look: five small documents. A change of the configuration takes effect within it. */
export const SLICING_POLL_MILLIS = 500

export async function readSlicingView(leader: MongoClient): Promise<SlicingView> {
  const [config, document, operations, slicers, now] = await Promise.all([
    readConfig(leader),
    findPitr(leader),
    listLocks(leader),
    listSlicerLocks(leader, { type: 'pitr' }),
    clusterTime(leader),
  ])
  const live = (locks: readonly LockDocument[]) => locks.filter(({ hb }) => !isStale(hb, now))
  return { config, document, operations: live(operations), slicers: live(slicers), now }
}
