import type { MongoClient } from 'mongodb'
import type { NoticeEvent } from '../config/notifications.js'
import { lostAgents } from './agents.js'
import { newGaps } from './gaps.js'
import { lateBackups } from './late.js'
import type { NoticeContext, Noticed } from './noticed.js'
import { endedOperations } from './operations.js'

export interface NoticeSource {
  readonly what: string
  /** The event of its conditions. */
  readonly lasting?: NoticeEvent
  look(leader: MongoClient, context: NoticeContext): Promise<Noticed>
}

/** What notices are made from: each reads the control collections, and nothing else. What is new joins with one row. */
export const NOTICE_SOURCES: readonly NoticeSource[] = [
  { what: 'operations that ended', look: endedOperations },
  { what: 'late backups', lasting: 'late', look: lateBackups },
  { what: 'gaps', lasting: 'gap', look: newGaps },
  { what: 'lost agents', lasting: 'agentLost', look: lostAgents },
]
