import type { Clock } from '../time/clock.js'
import type { Progress } from './backup-document.js'

/** Counts what a backup has done, for the control collection and its readers' progress bars. */
export class ProgressCounter {
  readonly #clock: Clock
  readonly #startedAt: number
  #phase = 'collections'
  #bytes = 0
  #documents = 0
  #totalBytes = 0
  #totalDocuments = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedAt = clock.now()
  }

  /** Begins a phase; totals are estimates, 0 where unknown. */
  phase(name: string, totals: { bytes: number; documents: number } = { bytes: 0, documents: 0 }): void {
    this.#phase = name
    this.#bytes = 0
    this.#documents = 0
    this.#totalBytes = totals.bytes
    this.#totalDocuments = totals.documents
  }

  add(documents: number, bytes: number): void {
    this.#documents += documents
    this.#bytes += bytes
  }

  snapshot(): Progress {
    return {
      phase: this.#phase,
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      documents: this.#documents,
      totalDocuments: this.#totalDocuments,
      startedAt: this.#startedAt,
      updatedAt: this.#clock.now(),
    }
  }
}
