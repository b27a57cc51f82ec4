import type { MongoClient } from 'mongodb'
import { lostAgents } from './agents.js'
import { newGaps } from './gaps.js'
import { lateBackups } from './late.js'
import type { NoticeContext, Noticed } from './noticed.js'
import { endedOperations } from './operations.js'

/** What notices are made from: each reads the control collections, and nothing else. What is new joins with one row. */
export const NOTICE_SOURCES: readonly ((leader: MongoClient, context: NoticeContext) => Promise<Noticed>)[] = [
  endedOperations,
  lateBackups,
  newGaps,
  lostAgents,
]
