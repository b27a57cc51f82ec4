import type { MongoClient } from 'mongodb'

/** Data that a server of the drill's own serves. */
export interface Restored {
  readonly client: MongoClient
  /** Aborts when the server has to end. */
  readonly signal: AbortSignal
  /** Milliseconds that it took until it was served. */
  readonly restoreMs: number
  /** What could not be restored, in words. */
  readonly faults: readonly string[]
  /** Unix milliseconds of the last write that it has. */
  readonly at: number
}

export type Look<T> = (restored: Restored) => Promise<T>
