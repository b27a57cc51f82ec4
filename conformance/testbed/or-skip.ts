/** What a machine may lack: where it can't be had, the tests of `test` (a test or hook of mocha) are skipped and say why. */
export async function orSkip<T>(test: { skip(): never }, find: () => Promise<T>): Promise<T> {
  try {
    return await find()
  } catch (error) {
    console.error(`skipped: ${(error as Error).message.split('\n')[0]}`)
    return test.skip()
  }
}
