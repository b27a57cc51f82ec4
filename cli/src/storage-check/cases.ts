import { setTimeout as sleep } from 'node:timers/promises'

/** One case of the suite. */
export interface Case {
  /** `save`, `read`, …: what the suite puts it under. */
  readonly group: string
  readonly title: string
  readonly body: () => Promise<void>
}

export interface CaseResult {
  readonly group: string
  readonly title: string
  /** Why it failed; absent for one that passed. */
  readonly error?: string
}

/** Collects cases from a suite that is written for a test runner. */
export class Collector {
  readonly cases: Case[] = []
  readonly #groups: string[] = []

  readonly describe = (title: string, body: () => void): void => {
    this.#groups.push(title)
    body()
    this.#groups.pop()
  }

  readonly it = (title: string, body: () => Promise<void>): void => {
    // The outermost group only names the plugin.
    this.cases.push({ group: this.#groups.slice(1).join(': '), title, body })
  }
}

export interface RunCasesOptions {
  readonly signal: AbortSignal
  /** How long a case may take to come to its end once the signal has aborted. */
  readonly graceMs: number
  readonly onEnd: (result: CaseResult) => void
}

/** Runs one after the other until all are done or the signal aborts. The suite itself ends a case that hangs. */
export async function runCases(cases: readonly Case[], options: RunCasesOptions): Promise<CaseResult[]> {
  const { signal, graceMs, onEnd } = options
  const results: CaseResult[] = []
  for (const { group, title, body } of cases) {
    if (signal.aborted) break
    const stray: unknown[] = []
    const onStray = (reason: unknown): void => void stray.push(reason)
    // What a plugin leaves unhandled is a fault of the case, and must not end the program before it has cleaned up.
    process.on('unhandledRejection', onStray)
    const over = new AbortController()
    try {
      await Promise.race([body(), brokenOff(signal, graceMs, over.signal)])
      if (stray.length > 0) throw stray[0]
      if (signal.aborted) break
      results.push({ group, title })
    } catch (error) {
      if (signal.aborted) break
      results.push({ group, title, error: error instanceof Error ? error.message : String(error) })
    } finally {
      over.abort()
      process.off('unhandledRejection', onStray)
    }
    const last = results.at(-1)
    if (last !== undefined) onEnd(last)
  }
  return results
}

/** Resolves a moment after `signal` has aborted. */
async function brokenOff(signal: AbortSignal, graceMs: number, over: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true, signal: over })
  })
  await sleep(graceMs, undefined, { signal: over }).catch(() => undefined)
}
