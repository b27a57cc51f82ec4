import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { PluginError, type PluginErrorCode } from '../plugin/errors.js'
import { all, bytes, collect, hanging, never, refused, setUp } from './define-store.support.js'
import { bodyOf } from './streams.js'

describe('defineStore ends', () => {
  type End = [code: PluginErrorCode, end: (set: ReturnType<typeof setUp>, call: AbortController) => void]
  const ends: Readonly<Record<string, End>> = {
    'its signal': ['STORAGE_ABORTED', (_, call) => call.abort()],
    'the process': ['STORAGE_ABORTED', ({ process }) => process.abort()],
    close: ['STORAGE_CLOSED', ({ store }) => void store.close()],
  }
  for (const [what, [code, end]] of Object.entries(ends)) {
    it(`calls that hang, with ${what}`, async () => {
      const list = () => ({ [Symbol.asyncIterator]: () => ({ next: () => never }) })
      const set = setUp({ stat: () => never, read: () => never, list, isThere: () => never })
      const { store } = set
      const call = new AbortController()
      const { signal } = call
      const { body } = hanging()
      const works = [
        ...[store.stat('a', { signal }), store.read('a', { signal }), all(store.list({ signal }))],
        ...[store.save('a', body, { signal }), store.save('b', body, { signal, ifAbsent: true })],
      ].map((work) => refused(work, code))
      await turn()
      end(set, call)
      await Promise.all(works)
    })

    it(`a save whose body hangs, with ${what}, when what it wrote is removed`, async () => {
      const removal = Promise.withResolvers<void>()
      const set = setUp({
        save: async (_name, body) => {
          try {
            await collect(body)
            return { size: 0 }
          } finally {
            await removal.promise
            set.calls.push('removed')
          }
        },
      })
      const { body, reached, told } = hanging()
      const call = new AbortController()
      const saving = refused(set.store.save('a', body, { signal: call.signal }), code)
      await reached
      end(set, call)
      await turn()
      assert.ok(told.stop, 'the body is told to stop')
      assert.deepEqual(set.calls, [])
      removal.resolve()
      await saving
      await set.store.close()
      assert.deepEqual(set.calls, ['removed', 'close'])
    })

    it(`a read whose reader rests, with ${what}, and frees it once`, async () => {
      const set = setUp()
      const call = new AbortController()
      const reading = (await set.store.read('a', { signal: call.signal }))[Symbol.asyncIterator]()
      const unread = await set.store.read('a', { signal: call.signal })
      await reading.next()
      end(set, call)
      await turn()
      assert.equal(set.calls.filter((each) => each === 'free').length, 2)
      await refused(reading.next() as Promise<unknown>, code)
      await refused(collect(unread), code)
      await set.store.close()
      assert.equal(set.calls.filter((each) => each === 'free').length, 2)
    })
  }

  it('the body of a save that fails, where nobody asks it any more', async () => {
    const { store } = setUp({
      save: async (_name, body) => {
        await body[Symbol.asyncIterator]().next()
        throw new PluginError('STORAGE_NO_SPACE', 'the disk is full')
      },
    })
    const { body, told } = hanging()
    await refused(store.save('a', body), 'STORAGE_NO_SPACE')
    assert.ok(told.stop)
  })

  it('a call whose signal or process had ended before', async () => {
    const { store, calls, process } = setUp()
    const { signal } = new AbortController()
    const ended = AbortSignal.abort()
    await refused(store.stat('a', { signal: ended }), 'STORAGE_ABORTED')
    await refused(store.read('a', { signal: ended }), 'STORAGE_ABORTED')
    await refused(all(store.list({ signal: ended })), 'STORAGE_ABORTED')
    process.abort()
    await refused(store.stat('a', { signal }), 'STORAGE_ABORTED')
    assert.deepEqual(calls, [])
  })

  it('a read, and frees what is opened only after its end', async () => {
    const opening = Promise.withResolvers<void>()
    let freed = 0
    const { store } = setUp({
      read: async () => {
        await opening.promise
        return { bytes: bodyOf(bytes), free: () => void freed++ }
      },
    })
    const call = new AbortController()
    const reading = refused(store.read('a', { signal: call.signal }), 'STORAGE_ABORTED')
    await turn()
    call.abort()
    await reading
    assert.equal(freed, 0)
    opening.resolve()
    await turn()
    assert.equal(freed, 1)
  })

  it('a call once: what fails after its end is heard by nobody', async () => {
    const late = Promise.withResolvers<never>()
    const unheard: unknown[] = []
    const note = (reason: unknown) => void unheard.push(reason)
    process.on('unhandledRejection', note)
    try {
      const list = () => ({ [Symbol.asyncIterator]: () => ({ next: () => late.promise }) })
      const { store } = setUp({ stat: () => late.promise, read: () => late.promise, list })
      const call = new AbortController()
      const { signal } = call
      const works = [store.stat('a', { signal }), store.read('a', { signal }), all(store.list({ signal }))]
      const ended = works.map((work) => refused(work, 'STORAGE_ABORTED'))
      await turn()
      call.abort()
      await Promise.all(ended)
      late.reject(new Error('too late'))
      await turn()
      await turn()
      assert.deepEqual(unheard, [])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  it('a read that is broken off or read to its end, and frees it before the reader goes on', async () => {
    const { store, calls } = setUp({
      read: async () => ({
        bytes: bodyOf(bytes),
        free: async () => {
          await turn()
          calls.push('freed')
        },
      }),
    })
    for await (const _ of await store.read('a')) break
    assert.deepEqual(calls, ['freed'])
    await collect(await store.read('a'))
    assert.deepEqual(calls, ['freed', 'freed'])
  })

  it('itself once, and refuses every call from then on before it looks at it', async () => {
    const { store, calls } = setUp()
    await Promise.all([store.close(), store.close()])
    await store.close()
    assert.deepEqual(calls, ['close'])
    const { body } = hanging()
    const code = 'STORAGE_CLOSED'
    for (const work of [store.save('', body), store.read(''), store.stat(''), store.delete(''), store.copy('', '')])
      await refused(work, code)
    await refused(all(store.list()), code)
  })
})
