import type { Notice, NoticeState } from '../control/notice-state.js'
import type { RunDocuments } from '../control/run-documents.js'
import type { Condition } from './alarms.js'

/** What is known before a look. */
export interface NoticeContext {
  readonly documents: RunDocuments
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What one source of notices has found. */
export interface Noticed {
  readonly notices?: readonly Notice[]
  /** What lasts. */
  readonly conditions?: readonly Condition[]
  /** What it has to know the next time. */
  readonly state?: Partial<Pick<NoticeState, 'endedSince' | 'told' | 'chunks' | 'agents'>>
}
