import assert from 'node:assert/strict'
import blackhole from './index.js'

describe('storage-blackhole', () => {
  const warnings: string[] = []
  const open = () =>
    blackhole.open({}, { signal: new AbortController().signal, warn: (text) => void warnings.push(text) })

  it('reads a body to its end, and keeps nothing of it', async () => {
    const store = await open()
    async function* body() {
      yield Buffer.from('some')
      yield Buffer.from('thing')
    }
    assert.deepEqual(await store.save('a/b', body()), { name: 'a/b', size: 9 })
    const missing = { code: 'STORAGE_NOT_FOUND', message: /keeps nothing/ }
    await assert.rejects(store.read('a/b'), missing)
    await assert.rejects(store.stat('a/b'), missing)
    for await (const { name } of store.list()) assert.fail(name)
    assert.equal(store.capabilities.keepsNothing, true)
  })

  it('warns of it, once in a process', async () => {
    await open()
    await open()
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /no backup can be restored/)
  })
})
