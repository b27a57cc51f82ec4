import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { keyObjectName, keyScope } from '../encryption/key-objects.js'
import { pitrChunkName } from '../store/layout/names.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { deleteBareKeys, finishedKeys } from './chunk-keys.js'

const DAY = 86_400
const START = Date.parse('2031-02-03T12:00:00Z') / 1000

describe('the keys of chunks that are deleted', () => {
  let store: FaultyStore
  beforeEach(() => {
    store = new FaultyStore()
  })

  function chunk(day: number, rs = 'rs0') {
    const start_ts = new Timestamp({ t: START + day * DAY, i: 1 })
    const end_ts = new Timestamp({ t: START + day * DAY + 60, i: 1 })
    const fname = pitrChunkName(rs, start_ts, end_ts, '.s2', 'aes-gcm')
    return { rs, fname, compression: 's2', start_ts, end_ts, size: 1, encryption: 'aes-gcm' }
  }
  /** Of the slicer that stores it. */
  function stored(one: ReturnType<typeof chunk>, slicer = '0') {
    store.put(one.fname, 'sealed')
    return key(one, slicer)
  }
  function key({ fname }: { fname: string }, slicer = '0') {
    const name = keyObjectName(keyScope(fname), slicer.repeat(32))
    store.put(name, 'key')
    return name
  }
  const keysLeft = () => [...store.objects.keys()].filter((name) => name.includes('pbmkit.keys')).sort()

  async function deleteChunks(
    chunks: ReturnType<typeof chunk>[],
    old: ReturnType<typeof chunk>[],
    { sliced = false, meanwhile = () => undefined as unknown } = {},
  ): Promise<void> {
    const keys = await finishedKeys({ store, chunks, rs: 'rs0', isSliced: async () => sliced })
    for (const { fname } of old) store.objects.delete(fname)
    meanwhile()
    await deleteBareKeys(store, 'rs0', keys, {})
  }

  it('all go with the last chunks where nobody slices, and those that were left before', async () => {
    const chunks = [chunk(1), chunk(2)]
    for (const one of chunks) stored(one)
    key(chunk(0))
    const other = stored(chunk(0, 'rs1'))
    await deleteChunks(chunks, chunks)
    assert.deepEqual(keysLeft(), [other])
  })

  it('stay beside what may be sealed with them', async () => {
    const chunks = [chunk(1), chunk(2)]
    const [first, second] = chunks.map((one) => stored(one))
    await deleteChunks(chunks, chunks.slice(1))
    assert.deepEqual(keysLeft(), [first])
    key(chunk(2))
    // Nobody has listed it yet.
    store.put(chunk(2).fname, 'sealed')
    await deleteChunks(chunks, chunks.slice(0, 1))
    assert.deepEqual(keysLeft(), [second])
  })

  it('stay for a slicer that is at the day of the newest chunk, or after it', async () => {
    const chunks = [chunk(0), chunk(1)]
    for (const one of chunks) stored(one)
    key(chunk(2))
    await deleteChunks(chunks, chunks, { sliced: true })
    assert.deepEqual(keysLeft(), [key(chunk(1)), key(chunk(2))])
  })

  it('stay for a slicer that began anew in one of these days when no chunk was listed any more', async () => {
    const chunks = [chunk(0), chunk(1)]
    for (const one of chunks) stored(one)
    let its = ''
    for (const sliced of [true, false]) {
      await deleteChunks(chunks, chunks, {
        sliced,
        meanwhile: () => {
          its = key(chunk(0), '1')
        },
      })
      assert.ok(keysLeft().includes(its))
      assert.ok(!keysLeft().includes(keyObjectName(keyScope(chunk(0).fname), '0'.repeat(32))))
      store.objects.delete(its)
      stored(chunk(0))
    }
  })

  it('are looked for before the slicers are', async () => {
    const chunks = [chunk(0)]
    stored(chunk(0))
    let late = ''
    const isSliced = async () => {
      // It takes its lock, and stores its key, after this look.
      late = key(chunk(0), '1')
      return false
    }
    assert.deepEqual(await finishedKeys({ store, chunks, rs: 'rs0', isSliced }), [key(chunk(0))])
    assert.ok(store.objects.has(late))
  })
})
