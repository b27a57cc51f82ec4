import { type Clock, type ClusterView, errorText, type HistoryFacts, inTime } from '@pbmkit/core'

/**
 * How old what is told may be (milliseconds). Together this is a command each eight seconds at the most, however many ask
 * how often.
 */
const VIEW_MS = 15_000
const HISTORY_MS = 60_000
/** How long who asks waits for a server; what was known before is told then. */
const WAIT_MS = 1_000
/** From when on it is told no more: a cluster that nobody can see must not look well. */
const FORGOTTEN_MS = 120_000

export interface ClusterFacts {
  readonly view: ClusterView
  readonly history: HistoryFacts
  /** Milliseconds since the epoch. */
  readonly readAt: number
}

export interface ClusterReaderOptions {
  readonly view: () => Promise<ClusterView>
  readonly history: (view: ClusterView) => Promise<HistoryFacts>
  readonly clock: Clock
  readonly onFault: (text: string) => void
}

/** Reads what metrics tell of the cluster: only when somebody asks, once for all that do, and one at a time. */
export class ClusterReader {
  readonly #options: ClusterReaderOptions
  #facts: ClusterFacts | undefined
  #historyAt = 0
  #reading: Promise<void> | undefined

  constructor(options: ClusterReaderOptions) {
    this.#options = options
  }

  /** Never rejects; undefined while nothing is known, or no more. */
  async facts(): Promise<ClusterFacts | undefined> {
    const { clock } = this.#options
    if (this.#facts === undefined || clock.now() - this.#facts.readAt >= VIEW_MS) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await inTime(this.#reading, WAIT_MS, () => new Error('late')).catch(() => undefined)
    }
    const known = this.#facts
    return known === undefined || clock.now() - known.readAt > FORGOTTEN_MS ? undefined : known
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    const { view: readView, history: readHistory, clock, onFault } = this.#options
    try {
      const view = await readView()
      const readAt = clock.now()
      const known = readAt - this.#historyAt < HISTORY_MS ? this.#facts?.history : undefined
      if (known === undefined) this.#historyAt = readAt
      this.#facts = { view, history: known ?? (await readHistory(view)), readAt }
    } catch (error) {
      onFault(errorText(error))
    }
  }
}
