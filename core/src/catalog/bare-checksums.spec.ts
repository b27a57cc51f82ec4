import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { chunkChecksumName } from '../store/layout/chunk-checksum.js'
import { pitrChunkName } from '../store/layout/names.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { deleteBareChecksums } from './bare-checksums.js'

const START = Date.parse('2031-02-03T23:58:00Z') / 1000
const SUMS = { size: 5, crc: '0'.repeat(16), storedCrc: 'f'.repeat(16) }

describe('deleteBareChecksums', () => {
  let store: FaultyStore
  beforeEach(() => {
    store = new FaultyStore()
  })

  const at = (minute: number) => new Timestamp({ t: START + minute * 60, i: 1 })
  /** A minute each; the third one is of the next day. */
  const chunk = (minute: number, rs = 'rs0') => pitrChunkName(rs, at(minute), at(minute + 1), '.s2')
  function stored(minute: number, { bare = false, rs = 'rs0' } = {}): string {
    const name = chunkChecksumName(chunk(minute, rs), SUMS)
    store.put(name, 'x')
    if (!bare) store.put(chunk(minute, rs), 'entries')
    return name
  }
  const left = () => [...store.objects.keys()].sort()

  it('deletes what lies before the first chunk of its replica set, and nothing else', async () => {
    for (const minute of [0, 1]) stored(minute, { bare: true })
    stored(2)
    // A chunk that is missing: verify tells of it.
    stored(3, { bare: true })
    stored(4)
    stored(0, { rs: 'rs1' })
    const others = left().filter((name) => name !== stored(0, { bare: true }) && name !== stored(1, { bare: true }))
    assert.equal(await deleteBareChecksums({ store, chunks: [], limit: at(10) }), 2)
    assert.deepEqual(left(), others.sort())
  })

  it('keeps those after the limit, and those of a chunk that is listed but lost', async () => {
    stored(0, { bare: true })
    const kept = [stored(1, { bare: true }), stored(5, { bare: true })]
    const chunks = [{ rs: 'rs0', start_ts: at(1) }]
    assert.equal(await deleteBareChecksums({ store, chunks, limit: at(4) }), 1)
    assert.deepEqual(left(), kept.sort())
    assert.equal(await deleteBareChecksums({ store, chunks: [], limit: at(4) }), 1)
    assert.deepEqual(left(), kept.slice(1))
  })

  it('keeps those of a chunk that is stored while it looks', async () => {
    const list = store.list.bind(store)
    let lists = 0
    store.list = (options) => {
      lists += 1
      // The first list has passed its place already.
      if (lists === 2) store.put(chunk(0), 'entries')
      return list(options)
    }
    const name = stored(0, { bare: true })
    assert.equal(await deleteBareChecksums({ store, chunks: [], limit: at(4) }), 0)
    assert.ok(store.objects.has(name))
  })
})
