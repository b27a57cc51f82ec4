/** `describe` and `it` of mocha, vitest or node:test: all that a suite asks of its runner. */
export interface TestRunner {
  readonly describe: (title: string, body: () => void) => unknown
  readonly it: (title: string, body: () => Promise<void>) => unknown
}
