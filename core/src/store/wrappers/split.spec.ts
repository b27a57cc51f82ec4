import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PluginError } from '../../plugin/errors.js'
import type { OpenStore } from '../open-store.js'
import { chunked, FaultyStore, failing, failure, gathered, LeapingClock, namesIn } from './faulty-store.support.js'
import { Meter, meteredStore } from './meter.js'
import { redactedStore } from './redact.js'
import { retriedStore } from './retry.js'
import { splitStore } from './split.js'

const MIB = 1024 * 1024
const TEXT = 'abcdefghijklmnopqrstuvwxyz'

async function strays(store: OpenStore): Promise<string[]> {
  const found: string[] = []
  for await (const name of store.strayParts?.() ?? []) found.push(name)
  return found.sort()
}

describe('splitStore', () => {
  const setUp = (maxBytes = 10) => {
    const store = new FaultyStore({ maxObjectBytes: maxBytes })
    const warnings: string[] = []
    return { store, warnings, split: splitStore(store, maxBytes, (text) => void warnings.push(text)) }
  }

  it('names and cuts parts as PBM does', async () => {
    const { store, split } = setUp()
    assert.equal((await split.save('a', chunked(TEXT, 4))).size, 26)
    const stored = [...store.objects.keys()].map((name) => [name, store.text(name)])
    // The base last: without it, nobody sees the others.
    assert.deepEqual(stored, [
      ['a.pbmpart.1', 'klmnopqrst'],
      ['a.pbmpart.2', 'uvwxyz'],
      ['a', 'abcdefghij'],
    ])
    assert.equal(split.capabilities.maxObjectBytes, undefined)
  })

  it('cuts at whole bytes where the limit is none', async () => {
    const { store, split } = setUp(10.5)
    await split.save('a', chunked(TEXT, 4))
    assert.deepEqual([...store.objects.values()].map(({ bytes }) => bytes.length).sort(), [10, 10, 6])
    assert.equal(await gathered(split.read('a')), TEXT)
  })

  it('gives back any object in any part size, in whole and in ranges', async () => {
    const cases = fc.record({
      bytes: fc.uint8Array({ maxLength: 60 }),
      maxBytes: fc.integer({ min: 1, max: 20 }),
      chunk: fc.integer({ min: 1, max: 25 }),
      offset: fc.nat(65),
      length: fc.integer({ min: 1, max: 65 }),
    })
    await fc.assert(
      fc.asyncProperty(cases, async ({ bytes, maxBytes, chunk, offset, length }) => {
        const { store, split } = setUp(maxBytes)
        const text = Buffer.from(bytes.map((byte) => byte & 0x7f)).toString()
        const progress: number[] = []
        await split.save('x/a', chunked(text, chunk), { onProgress: (moved) => progress.push(moved) })
        assert.equal(progress.at(-1), text.length)
        assert.deepEqual(
          progress,
          [...progress].sort((a, b) => a - b),
        )
        for (const { bytes: stored } of store.objects.values()) assert.ok(stored.length <= maxBytes)
        assert.deepEqual(await namesIn(split.list()), ['x/a'])
        if (text.length === 0) return assert.rejects(split.stat('x/a'), { code: 'STORAGE_EMPTY' })
        assert.equal((await split.stat('x/a')).size, text.length)
        assert.equal(await gathered(split.read('x/a')), text)
        if (offset >= text.length)
          await assert.rejects(split.read('x/a', { offset }), { code: 'STORAGE_INVALID_RANGE' })
        else assert.equal(await gathered(split.read('x/a', { offset, length })), text.slice(offset, offset + length))
        const { size } = await split.copy('x/a', 'b')
        assert.equal(size, text.length)
        await split.delete('x/a')
        assert.equal(await gathered(split.read('b')), text)
        assert.deepEqual(await namesIn(split.list()), ['b'])
        await split.delete('b')
        assert.equal(store.objects.size, 0)
      }),
      { numRuns: 300 },
    )
  })

  it('replaces any object by any other and leaves no part of the old one', async () => {
    const lengths = fc.record({
      maxBytes: fc.integer({ min: 1, max: 8 }),
      from: fc.nat(30),
      to: fc.nat(30),
      copy: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(lengths, async ({ maxBytes, from, to, copy }) => {
        const { store, split } = setUp(maxBytes)
        await split.save('a', chunked('x'.repeat(from), 3))
        if (copy) await split.save('b', chunked('y'.repeat(to), 3))
        if (copy) await split.copy('b', 'a')
        else await split.save('a', chunked('y'.repeat(to), 3))
        if (to > 0) assert.equal(await gathered(split.read('a')), 'y'.repeat(to))
        if (to >= maxBytes) assert.ok(![...store.objects.values()].some(({ bytes }) => bytes.includes('x')))
        assert.equal((await namesIn(split.list())).length, copy ? 2 : 1)
      }),
    )
  })

  it('leaves nothing of an object, wherever writing it fails', async () => {
    for (const call of ['save', 'stat', 'list'] as const) {
      for (let at = 0; at < 40; at++) {
        const { store, split } = setUp()
        let seen = 0
        let failed = false
        store.fault = (which) => {
          if (failed || which !== call || seen++ !== at) return undefined
          failed = true
          return failure()
        }
        await split.save('a', chunked(TEXT, 4)).catch(() => undefined)
        store.fault = () => undefined
        if (failed && call === 'save') assert.deepEqual([...store.objects.keys()], [], `fault ${at} in ${call}`)
        else if (store.objects.has('a')) assert.equal(await gathered(split.read('a')), TEXT)
        else assert.equal(store.objects.size, 0)
      }
    }
  })

  it('leaves nothing when the body fails, or hangs and is aborted, in a later part', async () => {
    const { store, split } = setUp()
    async function* broken() {
      yield Buffer.from(TEXT)
      throw new Error('the body says so')
    }
    await assert.rejects(split.save('a', broken()), { message: 'the body says so' })
    assert.equal(store.objects.size, 0)
  })

  it('shows an object to nobody before its last part is stored', async () => {
    const { store, split } = setUp()
    const seen: string[] = []
    store.fault = (call, { done }) => {
      if (call === 'save' && done)
        seen.push([...store.objects.keys()].filter((name) => !name.includes('.pbmpart.')).join())
      return undefined
    }
    await split.save('a', chunked(TEXT, 4))
    assert.deepEqual(seen, ['', '', ''])
  })

  it("reads PBM's objects, whatever limit they were cut at", async () => {
    for (const maxBytes of [3, 8, 10, 11, 100]) {
      const { store, split } = setUp(maxBytes)
      // As PBM writes them: the base first, and an empty part where the size is a multiple of the limit.
      store.put('a', TEXT.slice(0, 8))
      store.put('a.pbmpart.1', TEXT.slice(8, 16))
      store.put('a.pbmpart.2', '')
      store.put('b', TEXT.slice(0, 8))
      for (const [index, at] of [8, 16, 24].entries()) store.put(`b.pbmpart.${index + 1}`, TEXT.slice(at, at + 8))
      if (maxBytes > 8) {
        // Too small to have parts by today's limit, which is why PBM itself cuts them short here.
        assert.equal((await split.stat('a')).size, 8)
        continue
      }
      assert.equal(await gathered(split.read('a')), TEXT.slice(0, 16))
      assert.equal(await gathered(split.read('b')), TEXT)
      assert.equal((await split.stat('b')).size, 26)
    }
  })

  it('finds the parts of objects above a mebibyte after the limit was raised', async () => {
    const store = new FaultyStore()
    store.chunkBytes = 65_536
    const bytes = Buffer.alloc(2.5 * MIB, 'pbmkit ')
    await splitStore(store, MIB).save('a', chunked(bytes, 100_000))
    assert.equal(store.objects.size, 3)
    const split = splitStore(store, 1024 * MIB)
    assert.equal((await split.stat('a')).size, bytes.length)
    assert.ok((await gathered(split.read('a'))) === bytes.toString())
    const [offset, length] = [2 * MIB - 5, 10]
    assert.equal(await gathered(split.read('a', { offset, length })), bytes.toString('utf8', offset, offset + length))
    await assert.rejects(split.read('a', { offset: bytes.length }), { code: 'STORAGE_INVALID_RANGE' })
    await split.delete('a')
    assert.equal(store.objects.size, 0)
  })

  it('refuses an object whose middle is missing, instead of cutting it short', async () => {
    const { store, split } = setUp()
    await split.save('a', chunked(TEXT, 4))
    store.objects.delete('a.pbmpart.1')
    const refused = { code: 'STORAGE_UNAVAILABLE', retriable: false, message: /a\.pbmpart\.1 is missing/ }
    await assert.rejects(split.stat('a'), refused)
    await assert.rejects(split.read('a'), refused)
  })

  it('notices that an object was replaced while it is read', async () => {
    const { split } = setUp()
    await split.save('a', chunked(TEXT, 4))
    const bytes = (await split.read('a'))[Symbol.asyncIterator]()
    await bytes.next()
    await split.save('a', chunked(TEXT.toUpperCase(), 4))
    await assert.rejects(
      (async () => {
        while ((await bytes.next()).done !== true);
      })(),
      { code: 'STORAGE_UNAVAILABLE', message: /replaced or deleted while it was read/ },
    )
  })

  it('leaves no read open of an object that was replaced before its first byte', async () => {
    const { store } = setUp()
    let open = 0
    let replace = false
    const reading: typeof store.read = async (name, options = {}) => {
      const bytes = await store.read(name, options)
      let isOpen = true
      const end = () => {
        if (isOpen) open -= 1
        isOpen = false
      }
      open += 1
      options.signal?.addEventListener('abort', end, { once: true })
      if (replace) store.put('a', 'ABCDEFGHIJ')
      // As of every plugin: what it holds is let go when the iteration ends, or when the signal aborts.
      return (async function* () {
        try {
          yield* bytes
        } finally {
          end()
        }
      })()
    }
    const plugin = new Proxy(store, {
      get: (target, key) => {
        if (key === 'read') return reading
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const clock = new LeapingClock()
    const retried = retriedStore(plugin, { clock, signal: new AbortController().signal })
    const split = splitStore(retried, 10, () => undefined)
    await split.save('a', chunked(TEXT, 4))
    replace = true
    await assert.rejects(gathered(split.read('a')), { code: 'STORAGE_UNAVAILABLE', message: /replaced or deleted/ })
    assert.equal(open, 0)
  })

  it('lists what a killed writer left for those who clean up, through other wrappers too', async () => {
    const { store, split } = setUp()
    await split.save('whole', chunked(TEXT, 4))
    store.put('dead.pbmpart.1', 'x')
    store.put('dead.pbmpart.2', 'x')
    store.put('whole.pbmpart.7', 'x')
    assert.deepEqual(await namesIn(split.list()), ['whole'])
    const outer = redactedStore(meteredStore(split, new Meter({ now: () => 0, sleep: async () => undefined })), [])
    assert.deepEqual(await strays(outer), ['dead.pbmpart.1', 'dead.pbmpart.2', 'whole.pbmpart.7'])
    for (const name of await strays(outer)) await outer.delete(name)
    assert.deepEqual(await strays(outer), [])
    assert.equal(await gathered(outer.read('whole')), TEXT)
    assert.deepEqual(await strays(new FaultyStore()), [])
  })

  it('writes only where there is nothing yet, if told so', async () => {
    const { store, split } = setUp()
    await split.save('a', chunked(TEXT, 4), { ifAbsent: true })
    await assert.rejects(split.save('a', chunked(TEXT.toUpperCase(), 4), { ifAbsent: true }), {
      code: 'STORAGE_EXISTS',
    })
    assert.equal(await gathered(split.read('a')), TEXT)
    assert.equal(store.objects.size, 3)
  })

  it('keeps names of parts for parts', async () => {
    const { store, split } = setUp()
    store.put('a', 'x')
    const refused = { code: 'STORAGE_INVALID_NAME' }
    await assert.rejects(split.save('a.pbmpart.1', chunked(TEXT, 4)), refused)
    await assert.rejects(split.copy('a', 'a.pbmpart.12'), refused)
    await split.save('a.pbmpart.x', chunked('y', 1))
    assert.deepEqual((await namesIn(split.list())).sort(), ['a', 'a.pbmpart.x'])
  })

  it('leaves it to the storage which fault of a copy it tells first', async () => {
    const { store, split } = setUp()
    const copy = store.copy.bind(store)
    store.copy = async (source, target) => {
      if (target.endsWith('.tmp')) throw new PluginError('STORAGE_INVALID_NAME', target)
      return await copy(source, target)
    }
    await assert.rejects(split.copy('nowhere', 'a.tmp'), { code: 'STORAGE_INVALID_NAME' })
    await assert.rejects(split.copy('nowhere', 'a'), { code: 'STORAGE_NOT_FOUND' })
  })

  it('leaves no base without its parts where the answer to its storing was lost', async () => {
    const { store, split } = setUp()
    await split.save('source', chunked(TEXT, 4))
    const lost = failure('STORAGE_UNAVAILABLE', false)
    const [save, copy] = [store.save.bind(store), store.copy.bind(store)]
    const thenLost = async <T>(name: string, work: Promise<T>): Promise<T> => {
      const done = await work
      if (name === 'a') throw lost
      return done
    }
    store.save = (name, body, options) => thenLost(name, save(name, body, options))
    store.copy = (from: string, to: string) => thenLost(to, copy(from, to))
    for (const work of [() => split.save('a', chunked(TEXT, 4)), () => split.copy('source', 'a')]) {
      await assert.rejects(work(), { code: 'STORAGE_UNAVAILABLE' })
      assert.deepEqual(await namesIn(store.list()), ['source.pbmpart.1', 'source.pbmpart.2', 'source'])
    }
    // One that has no parts is whole.
    await assert.rejects(split.save('a', chunked('short', 4)), { code: 'STORAGE_UNAVAILABLE' })
    assert.equal(await gathered(split.read('a')), 'short')
  })

  for (const broken of ['stat', 'delete'] as const) {
    it(`keeps the parts of an object whose answer was lost where ${broken} fails, too`, async () => {
      const { store, split, warnings } = setUp()
      await split.save('source', chunked(TEXT, 4))
      const [save, copy] = [store.save.bind(store), store.copy.bind(store)]
      const thenLost = async <T>(name: string, work: Promise<T>): Promise<T> => {
        const done = await work
        if (name.includes('.pbmpart.')) return done
        store.fault = (call, at) => (call === broken && at.name === name ? failure() : undefined)
        throw failure('STORAGE_UNAVAILABLE', false)
      }
      store.save = (name, body, options) => thenLost(name, save(name, body, options))
      store.copy = (from: string, to: string) => thenLost(to, copy(from, to))
      for (const [name, work] of [
        ['saved', () => split.save('saved', chunked(TEXT, 4))],
        ['copied', () => split.copy('source', 'copied')],
      ] as const) {
        await assert.rejects(work(), { code: 'STORAGE_UNAVAILABLE' })
        store.fault = () => undefined
        assert.equal(await gathered(split.read(name)), TEXT)
        assert.match(warnings.splice(0).join('\n'), new RegExp(`left with its parts, ${name}: the test says so$`))
      }
    })
  }

  it('tells of a part that can not be removed, and why the object failed', async () => {
    const { store, split, warnings } = setUp()
    const full = new PluginError('STORAGE_NO_SPACE', 'full')
    const save = failing(1, (call, { name }) => call === 'save' && name === 'a.pbmpart.2', full)
    store.fault = (call, at) => (call === 'delete' ? failure('STORAGE_DENIED', false) : save(call, at))
    await assert.rejects(split.save('a', chunked(TEXT, 4)), { code: 'STORAGE_NO_SPACE' })
    assert.match(warnings.join('\n'), /a part of a failed object is left, a\.pbmpart\.1: the test says so/)
  })
})
