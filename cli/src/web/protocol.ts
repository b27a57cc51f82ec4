/** What server and page say to each other. The page imports the types alone. */
import type { RestoreEntry } from '../commands/list.js'
import type { ErrorReport } from '../errors.js'
import type { ShownSchedule } from '../schedules.js'
import type { BackupsSection } from '../status/backups.js'
import type { ClusterSection } from '../status/cluster.js'
import type { PitrSection } from '../status/pitr.js'
import type { RunningSection } from '../status/running.js'

/** Who looks, at what. */
export interface Visit {
  /** What is typed to confirm a restore: the name of the leader replica set. */
  readonly cluster: string
  readonly version: string
  readonly readOnly: boolean
  /** Who is logged in; absent where the URL's token lets in. */
  readonly user?: string
}

/** The state, by the names of the server-sent events that bring it. Each event has the whole of its part. */
export interface LiveState {
  readonly cluster: readonly ClusterSection[]
  readonly running: RunningSection
  readonly schedules: readonly ShownSchedule[]
  readonly history: History
  /** What keeps the server from reading; '' when nothing does. */
  readonly trouble: string
}

export interface History {
  readonly pitr: PitrSection | Failed
  readonly backups: BackupsSection | Failed
  /** Oldest first. */
  readonly restores: readonly RestoreEntry[]
}

/** In the place of what could not be read. */
export interface Failed {
  readonly error: string
  readonly code: string
}

/** One line of the log. */
export interface LogLine {
  /** Unix seconds. */
  readonly ts: number
  /** 0 fatal, 1 error, 2 warning, 3 information, 4 debug. */
  readonly s: number
  readonly rs: string
  readonly node: string
  readonly e: string
  readonly eobj: string
  readonly opid?: string
  readonly msg: string
}

/** What came of a look or an action. */
export interface Outcome<Result = unknown> {
  /** The command line that does the same. */
  readonly line: string
  readonly result?: Result
  readonly error?: ErrorReport
  readonly notes: readonly string[]
}

/** The question that a restore asks, to be sent back with the answer: it is carried out only while it would ask the same. */
export interface Question {
  readonly question: string
  /** Whether an agent can be asked what exactly it would do. */
  readonly canBePlanned: boolean
}
