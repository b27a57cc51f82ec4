import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { IDENTITY_OBJECT } from '../store/layout/names.js'
import { hasMark, removeMark, writeMark } from './backup-mark.js'
import { ensureInitObject } from './init-object.js'
import { ensureIdentity, identityObject, lookForIdentity, readIdentity } from './storage-identity.js'
import { testWriting } from './write-test.js'

describe('what a storage calls itself', () => {
  let folder: string
  let store: ObjectStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-identity-'))
    const plugin = await new PluginHost({ resolveFrom: import.meta.url }).storage('filesystem')
    store = await plugin.open({ path: folder }, { signal: new AbortController().signal, warn: () => undefined })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const denied = Object.assign(new Error('denied'), { code: 'STORAGE_DENIED' })
  /** Where the objects of `names` can't be saved; undefined: none. */
  const refusing = (names?: readonly string[]): ObjectStore => ({
    ...{ capabilities: store.capabilities, list: store.list.bind(store), copy: store.copy.bind(store) },
    ...{ read: store.read.bind(store), stat: store.stat.bind(store), delete: store.delete.bind(store) },
    close: async () => undefined,
    save: async (name, body, options) => {
      if (names?.includes(name) ?? true) throw denied
      return store.save(name, body, options)
    },
  })

  it('is given once, where it is written to, and kept', async () => {
    assert.equal(await lookForIdentity(store), undefined)
    assert.deepEqual(await readdir(folder), [])
    await ensureIdentity(store)
    const identity = await readIdentity(store)
    assert.match(identity ?? '', /^[0-9a-f-]{36}$/)
    await ensureIdentity(store)
    await ensureInitObject(store)
    assert.equal(await lookForIdentity(store), identity)
  })

  it('is nothing that somebody else has written there', async () => {
    for (const text of ['', 'not one', 'x'.repeat(1_000_000)]) {
      await store.save(IDENTITY_OBJECT, bodyOf(Buffer.from(text)))
      assert.equal(await readIdentity(store), undefined)
    }
  })

  it('has the mark of a backup for whoever looks at the same folder, and for that backup alone', async () => {
    const mark = { backup: '2031-02-03T04:05:06Z', opid: 'a'.repeat(24) }
    assert.equal(await hasMark(store, mark), false)
    await writeMark(store, mark)
    assert.equal(await hasMark(store, mark), true)
    // Another cluster on the same storage, whose backup began in the same second.
    assert.equal(await hasMark(store, { ...mark, opid: 'b'.repeat(24) }), false)
    await removeMark(store, mark.backup)
    await removeMark(store, mark.backup)
    assert.deepEqual(await readdir(folder), [])
  })

  it('is told by nobody who can not read it, rather than taken for none', async () => {
    const read = async () => {
      throw denied
    }
    await assert.rejects(lookForIdentity({ ...refusing([]), read }), { code: 'STORAGE_PROBE' })
  })

  it('tests by itself that the storage can be written, and leaves nothing behind', async () => {
    await ensureIdentity(store)
    const identity = (await readIdentity(store)) ?? ''
    const object = identityObject(identity)
    assert.equal(await testWriting(store, object), 'replaced')
    assert.equal(await testWriting(refusing([IDENTITY_OBJECT]), object), 'write once')
    const failing = (times: number, error: Error): ObjectStore => {
      let left = times
      const save: ObjectStore['save'] = async (name, body, options) => {
        if (name === IDENTITY_OBJECT && left-- > 0) throw error
        return store.save(name, body, options)
      }
      return { ...refusing([]), save }
    }
    assert.equal(await testWriting(failing(1, denied), object), 'replaced')
    const away = Object.assign(new Error('away'), { code: 'STORAGE_UNAVAILABLE', retriable: true })
    await assert.rejects(testWriting(failing(2, away), object), { code: 'STORAGE_READ_ONLY', message: /away/ })
    await assert.rejects(testWriting(refusing(), object), { code: 'STORAGE_READ_ONLY', message: /denied/ })
    assert.deepEqual(await readdir(folder), [IDENTITY_OBJECT])
    assert.equal(await readIdentity(store), identity)
  })
})
