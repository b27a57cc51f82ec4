import {
  type Clock,
  dropUnfinished,
  type Member,
  type OperationLog,
  repairPhysicalBackup,
  repairStaging,
  repairTtlMonitor,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { LocalRepair } from './local-repair.js'
import { STATUS_MS } from './status.js'

/** How often it is looked for what a physical backup has left. */
const LOCK_MS = 500

/** How often it is looked for what a restore has left. */
const STAGING_MS = 10_000

interface LocalRepairing {
  readonly leader: MongoClient
  readonly node: MongoClient
  readonly self: Member
  readonly clock: Clock
  readonly log: OperationLog
  /** Whether a backup runs here now. */
  readonly backsUp: () => boolean
}

/** What each agent puts right at its own member, whoever left it. */
export interface LocalRepairs {
  readonly ttl: LocalRepair
  readonly lock: LocalRepair
  readonly staging: LocalRepair
}

export function localRepairs({ leader, node, self, clock, log, backsUp }: LocalRepairing): LocalRepairs {
  return {
    ttl: new LocalRepair({
      ...{ clock, log, what: 'whether a replay left the TTL monitor off', everyMs: STATUS_MS },
      isLeft: () => repairTtlMonitor({ leader, node, self, log }),
    }),
    lock: new LocalRepair({
      ...{ clock, log, what: 'whether a physical backup left this mongod locked', everyMs: LOCK_MS },
      // What a backup has locked just now is its own.
      isLeft: async () => backsUp() || (await repairPhysicalBackup({ node, log })),
    }),
    staging: new LocalRepair({
      ...{ clock, log, what: 'whether a restore left what it had put together', everyMs: STAGING_MS },
      // Whoever left it may have been another member's agent, at any time.
      isLeft: async () => {
        await repairStaging({ node, leader, log })
        await dropUnfinished({ node, leader, self, log })
        return true
      },
    }),
  }
}
