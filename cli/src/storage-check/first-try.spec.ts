import assert from 'node:assert/strict'
import { answered } from './first-try.js'

describe('the first try of a storage', () => {
  it('names a place that swallows what is sent', async () => {
    const never = new Promise<never>(() => undefined)
    await assert.rejects(answered(never, 's3://b', 10), { code: 'NO_ANSWER', message: /s3:\/\/b has not answered/ })
    assert.equal(await answered(Promise.resolve(1), 's3://b'), 1)
  })
})
