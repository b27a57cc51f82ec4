import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { secretsOf } from '@pbmkit/core'
import type { ObjectStore } from '@pbmkit/core/plugin'
import { body, isError, names, REFUSALS, type StorageBench, sample } from './fixture.js'

/** Larger than a part, so that a disk can fill up in the middle of it. */
const BYTES = 24 * 1024 * 1024

/** Places that can't be used, each told by its own code. */
export function refusalCases(bench: StorageBench): void {
  for (const code of REFUSALS) {
    const options = bench.failing?.[code]
    if (options === undefined) continue
    bench.it(`says ${code} where that is so, and shows no secret`, async () => {
      const given = await options()
      let store: ObjectStore | undefined
      try {
        const refused = await used(bench, given, (opened) => {
          store = opened
        })
        const error = isError(refused, code, store === undefined ? 'opening' : 'saving') as Error & {
          retriable: boolean
        }
        // What only a person can mend must not keep a backup waiting.
        if (code !== 'STORAGE_UNAVAILABLE') assert.equal(error.retriable, false, 'the error says that it is retriable')
        const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String(error.stack)
        for (const secret of secretsOf(given, bench.plugin.optionsSchema))
          assert.ok(!shown.includes(secret), 'the error shows a secret of the options')
        if (store !== undefined && code === 'STORAGE_NO_SPACE')
          assert.deepEqual(await names(store, 'folder/object'), [])
      } finally {
        await store?.close()
      }
    })
  }
}

/** What the storage says at the first use that it refuses. */
async function used(bench: StorageBench, options: object, opened: (store: ObjectStore) => void): Promise<unknown> {
  try {
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const store = await bench.plugin.open(options, context)
    opened(store)
    await store.save('folder/object', body(sample(BYTES)))
  } catch (error) {
    return error
  }
  return assert.fail('nothing is refused')
}
