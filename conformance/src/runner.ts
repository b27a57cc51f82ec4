/** `describe` and `it` of mocha, vitest or node:test: all that a suite asks of its runner. */
export interface TestRunner {
  readonly describe: (title: string, body: () => void) => unknown
  readonly it: (title: string, body: () => Promise<void>) => unknown
}

/** What a suite may be told about time. */
export interface CaseLimit {
  /** How long one case may take (milliseconds); 110 s when absent. */
  readonly caseMs?: number | undefined
}

/** Under the two minutes that a runner often allows: whoever is first should be the one that says which case it was. */
const CASE_MS = 110_000

/** `it` with a limit for each case: not every runner has one, and a case that hangs has to end and be named. */
export function limited(it: TestRunner['it'], { caseMs = CASE_MS }: CaseLimit = {}): TestRunner['it'] {
  return (title, body) =>
    it(title, async () => {
      const late = Promise.withResolvers<never>()
      const text = `the case "${title}" did not end within ${caseMs / 1000} s`
      const timer = setTimeout(() => late.reject(new Error(text)), caseMs)
      try {
        await Promise.race([body(), late.promise])
      } finally {
        clearTimeout(timer)
      }
    })
}
