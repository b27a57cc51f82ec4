import assert from 'node:assert/strict'
import { PluginError } from '../plugin/errors.js'
import { all, bytes, collect, hanging, refused, setUp } from './define-store.support.js'
import type { FailedCall } from './store-methods.js'
import { bodyOf } from './streams.js'

describe('defineStore checks', () => {
  for (const name of ['', '../a', 'a//b', 'x'.repeat(21), 'a.part', '\ud800']) {
    it(`the name ${JSON.stringify(name)} before a method hears of it`, async () => {
      const { store, calls } = setUp()
      const { body } = hanging()
      const code = 'STORAGE_INVALID_NAME'
      for (const work of [store.save(name, body), store.read(name), store.stat(name), store.delete(name)])
        await refused(work, code)
      await refused(store.copy(name, 'a'), code)
      await refused(store.copy('a', name), code)
      assert.deepEqual(calls, [])
    })
  }

  it('names by the rule of the store, too', async () => {
    const checkName = (name: string) => {
      if (name === 'c') throw new PluginError('STORAGE_INVALID_NAME', 'not here')
    }
    await refused(setUp({ checkName }).store.stat('c'), 'STORAGE_INVALID_NAME', /not here/)
  })

  it('ranges, but only of an object that is there and has bytes', async () => {
    const { store, calls } = setUp()
    for (const range of [{ offset: -1 }, { offset: 0.5 }, { length: 0 }, { length: 1.5 }, { offset: Number.NaN }])
      await refused(store.read('a', range), 'STORAGE_INVALID_RANGE', /has 10 bytes/)
    assert.deepEqual(new Set(calls), new Set(['stat']))
    await refused(store.read('a', { offset: 10 }), 'STORAGE_INVALID_RANGE', /all bytes from byte 10/)
    await refused(store.read('missing', { offset: -1 }), 'STORAGE_NOT_FOUND')
    const { store: empty } = setUp({ read: async () => undefined, stat: async () => ({ size: 0 }) })
    await refused(empty.read('a', { offset: -1 }), 'STORAGE_EMPTY')
    await refused(empty.read('a'), 'STORAGE_EMPTY')
    await refused(empty.stat('a'), 'STORAGE_EMPTY')
  })

  it('nothing else of a range', async () => {
    const { store, calls } = setUp()
    assert.equal(await collect(await store.read('a')), '0123456789')
    assert.equal(await collect(await store.read('a', { offset: 8, length: 100 })), '89')
    assert.equal(await collect(await store.read('a', { length: Number.POSITIVE_INFINITY })), '0123456789')
    assert.deepEqual(
      calls.filter((call) => call.startsWith('read')),
      ['read 0 Infinity', 'read 8 100', 'read 0 Infinity'],
    )
  })

  it('whether "only if absent" is supported, and asks no body in vain', async () => {
    const capabilities = { ifAbsent: false, serverSideCopy: true, modifiedAt: false }
    const { body } = hanging()
    const { store, calls } = setUp({ capabilities, whyNotIfAbsent: 'the server is too old' })
    const message = /place\/a: the server is too old/
    await refused(store.save('a', body, { ifAbsent: true }), 'STORAGE_NOT_SUPPORTED', message)
    const { store: asking } = setUp({ isThere: async (name) => name === 'a' })
    await refused(asking.save('a', body, { ifAbsent: true }), 'STORAGE_EXISTS', /place\/a/)
    assert.deepEqual(calls, [])
    assert.equal((await asking.save('b', bodyOf(bytes), { ifAbsent: true })).size, 10)
  })

  it('that a list gives nothing but what begins with the prefix', async () => {
    const { store } = setUp()
    assert.deepEqual(
      (await all(store.list({ prefix: 'a' }))).map(({ name }) => name),
      ['a', 'ab'],
    )
  })
})

describe('defineStore tells', () => {
  it('names and sizes, and nothing else that a method knows', async () => {
    const found = { size: 10, etag: '"x"' }
    const { store } = setUp({ stat: async () => found, copy: async () => found })
    assert.deepEqual(await store.stat('a'), { name: 'a', size: 10 })
    assert.deepEqual(await store.copy('a', 'b'), { name: 'b', size: 10 })
  })

  it('the progress of reads, and the end of every transfer once', async () => {
    const told: number[] = []
    const onProgress = (soFar: number) => void told.push(soFar)
    const { store } = setUp({
      save: async (_name, _body, options) => {
        options.onProgress?.(4)
        options.onProgress?.(10)
        return { size: 10 }
      },
    })
    await store.save('a', bodyOf(bytes), { onProgress })
    await store.copy('a', 'b', { onProgress })
    await collect(await store.read('a', { onProgress, offset: 7 }))
    assert.deepEqual(told, [4, 10, 10, 3])
  })

  it('errors of a client in the words of the store, with what was being done', async () => {
    const failure = new Error('socket hang up')
    const failed: FailedCall[] = []
    const fail = () => Promise.reject(failure)
    const { store } = setUp({
      ...{ save: fail, stat: fail, delete: fail, copy: fail },
      read: async () => ({ bytes: { [Symbol.asyncIterator]: () => ({ next: fail }) }, free: () => undefined }),
      list: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
      translate: async (cause, call) => {
        failed.push(call)
        return new PluginError('STORAGE_UNAVAILABLE', call.doing, { cause })
      },
    })
    const works = [
      store.save('a', bodyOf(bytes)),
      store.read('a').then(collect),
      ...[store.stat('a'), store.delete('a'), store.copy('a', 'b'), all(store.list({ prefix: 'x' }))],
    ]
    for (const work of works) await refused(work, 'STORAGE_UNAVAILABLE')
    assert.deepEqual(failed.map(({ doing }) => doing).sort(), [
      'copying place/a',
      'deleting place/a',
      'listing place/x',
      'looking at place/a',
      'reading place/a',
      'writing place/a',
    ])
    assert.equal(failed.find(({ doing }) => doing.startsWith('listing'))?.name, undefined)
  })

  it('errors of a storage as they are', async () => {
    const { store } = setUp({ translate: () => assert.fail('asked to translate an error of a storage') })
    await refused(store.stat('missing'), 'STORAGE_NOT_FOUND')
  })

  it('an error of a body as it is, whatever the method makes of it', async () => {
    const failure = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes
      throw failure
    }
    const { store } = setUp({
      save: async (_name, body) => {
        for await (const _ of body);
        return { size: 0 }
      },
      translate: () => assert.fail('asked to translate an error of a body'),
    })
    await assert.rejects(store.save('a', failing()), (error) => error === failure)
    const { store: hiding } = setUp({
      save: async (_name, body, _options, { signal }) => {
        await collect(body).catch(() => undefined)
        assert.ok(signal.aborted)
        throw new Error('the upload was cut')
      },
    })
    await assert.rejects(hiding.save('a', failing()), (error) => error === failure)
  })
})
