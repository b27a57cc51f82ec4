import { type BackupDocument, type BackupFacts, type Clock, History, listBackups, readClusterView } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { StoredHistory } from '../status/history.js'

export interface Past extends StoredHistory {
  /** Changes when backups, restores or chunks come, go or reach another state, and when slicing begins or ends. */
  readonly sign: string
}

/** Backups and chunks for who looks each second: of thousands of records, only what is new is read again. */
export class PastReader {
  readonly #leader: MongoClient
  readonly #history: History
  #known: { readonly facts: readonly BackupFacts[]; readonly documents: Promise<BackupDocument[]> } | undefined
  #readings = 0

  constructor(leader: MongoClient, clock: Clock) {
    this.#leader = leader
    this.#history = new History(leader, clock)
  }

  async look(): Promise<Past> {
    const view = await readClusterView(this.#leader)
    const { backups: facts, bounds, chunks } = await this.#history.look(view)
    // It is the very same list as long as nothing has changed.
    if (this.#known?.facts !== facts) {
      this.#known = undefined
      this.#readings += 1
    }
    const stored = [...chunks.values()]
    const slicers = view.locks.map(({ type, opid, replset, node }) => [type, opid, replset, node])
    const restores = view.restores.map(({ name, status }) => [name, status])
    const ends = [...chunks].map(([rs, { end, bytes }]) => [rs, end.toString(), bytes])
    return {
      sign: JSON.stringify([this.#readings, ends, restores, slicers, view.pitr]),
      backups: () => this.#documents(facts),
      oplog: async () => ({
        bounds,
        bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0),
        unsealed: stored.reduce((sum, { unsealed }) => sum + unsealed, 0),
      }),
    }
  }

  #documents(facts: readonly BackupFacts[]): Promise<BackupDocument[]> {
    if (this.#known?.facts !== facts) {
      const documents = listBackups(this.#leader)
      this.#known = { facts, documents }
      // What could not be read is read again.
      documents.catch(() => {
        if (this.#known?.documents === documents) this.#known = undefined
      })
    }
    return this.#known.documents
  }
}
