import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import { type CatchUpFacts, catchUp } from './catch-up.js'

const at = (t: number, i = 1) => new Timestamp({ t, i })
const chunk = (from: number, to: number) => ({ start_ts: at(from), end_ts: at(to) })
const base = (startedAt: number, lastWrite: number) => ({ name: 'base', startedAt, lastWrite: at(lastWrite) })

const facts: CatchUpFacts = {
  oplogOnly: false,
  chunks: [],
  base: base(90, 100),
  clusterBase: base(90, 100),
  lack: undefined,
  restore: undefined,
  oldest: at(1),
  now: at(1000),
}

describe('where slicing begins', () => {
  it('at the end of the snapshot, without chunks', () => {
    assert.deepEqual(catchUp(facts), { start: at(100), after: 'snapshot' })
  })

  it('at the end of the last chunk', () => {
    const chunks = [chunk(100, 200), chunk(200, 300)]
    assert.deepEqual(catchUp({ ...facts, chunks }), { start: at(300), after: 'chunk' })
  })

  it('at the end of the last chunk, too, where a snapshot was made since and the oplog reaches back', () => {
    const chunks = [chunk(100, 200)]
    assert.deepEqual(catchUp({ ...facts, chunks, base: base(400, 500) }), { start: at(200), after: 'chunk' })
  })

  it('at the newest snapshot with a gap, where the oplog rolled over', () => {
    const found = catchUp({ ...facts, chunks: [chunk(100, 200)], base: base(400, 500), oldest: at(450) })
    assert.deepEqual(found, { start: at(500), after: 'snapshot', gap: { from: at(200), to: at(500) } })
  })

  it('waits for a snapshot: without one', () => {
    const found = catchUp({ ...facts, base: undefined, clusterBase: undefined })
    assert.ok('waits' in found && found.waits === 'snapshot')
  })

  describe('of a shard that no snapshot has', () => {
    const added = { ...facts, base: undefined }

    it('at the first entry, where the oplog has all that it ever did', () => {
      assert.deepEqual(catchUp(added), { start: at(1), after: 'nothing' })
      assert.deepEqual(catchUp({ ...added, chunks: [chunk(1, 200)] }), { start: at(200), after: 'chunk' })
    })

    it('waits for a snapshot: where the oplog does not have it, or none was made since a restore', () => {
      const lacking = catchUp({ ...added, lack: 'its oplog is short' })
      assert.ok('waits' in lacking && lacking.waits === 'snapshot')
      assert.match(lacking.reason, /no full backup has this shard yet, and its oplog is short/)
      const found = catchUp({ ...added, restore: { startedAt: 300, endedAt: 310 } })
      assert.ok('waits' in found && found.waits === 'snapshot')
    })
  })

  it('waits for a snapshot: where none was made since a restore', () => {
    const found = catchUp({ ...facts, chunks: [chunk(100, 200)], restore: { startedAt: 300, endedAt: 310 } })
    assert.ok('waits' in found && found.waits === 'snapshot')
    assert.deepEqual(found.gap, { from: at(200) })
  })

  it('waits for a snapshot: where the oplog reaches back to neither the chunk nor the snapshot', () => {
    const found = catchUp({ ...facts, chunks: [chunk(100, 200)], oldest: at(300) })
    assert.ok('waits' in found && found.waits === 'oplog')
    assert.match(found.reason, /end of the last chunk/)
    assert.deepEqual(found.gap, { from: at(200) })
  })

  it('at the snapshot after a restore, though the last chunk ended while the restore began', () => {
    const restore = { startedAt: 300, endedAt: 350 }
    const found = catchUp({ ...facts, chunks: [chunk(100, 301)], restore, base: base(400, 410) })
    assert.deepEqual(found, { start: at(410), after: 'snapshot', gap: { from: at(301), to: at(410) } })
  })

  it('at the last chunk, once there is one after the restore', () => {
    const restore = { startedAt: 300, endedAt: 350 }
    const found = catchUp({ ...facts, chunks: [chunk(410, 420)], restore, base: base(400, 410) })
    assert.deepEqual(found, { start: at(420), after: 'chunk' })
  })

  it('now with oplogOnly and no chunk', () => {
    assert.deepEqual(catchUp({ ...facts, oplogOnly: true, base: undefined }), { start: at(1000), after: 'now' })
  })

  it('now with oplogOnly and a gap, where the oplog rolled over', () => {
    const found = catchUp({ ...facts, oplogOnly: true, chunks: [chunk(100, 200)], oldest: at(300) })
    assert.deepEqual(found, { start: at(1000), after: 'now', gap: { from: at(200), to: at(1000) } })
  })

  describe('whatever is so', () => {
    const time = fc.integer({ min: 1, max: 1000 })
    const bounds = fc.tuple(time, time).map(([a, b]) => chunk(Math.min(a, b), Math.max(a, b)))
    const any: fc.Arbitrary<CatchUpFacts> = fc.record({
      oplogOnly: fc.boolean(),
      chunks: fc.array(bounds, { maxLength: 6 }),
      base: fc.option(
        fc.tuple(time, fc.nat(50)).map(([from, took]) => base(from, from + took)),
        { nil: undefined },
      ),
      clusterBase: fc.constant(undefined),
      lack: fc.constant(undefined),
      restore: fc.option(
        fc.tuple(time, fc.nat(50)).map(([from, took]) => ({ startedAt: from, endedAt: from + took })),
        { nil: undefined },
      ),
      oldest: time.map((t) => at(t)),
      now: fc.constant(at(2000)),
    })

    it('it begins where the oplog has everything from', () => {
      fc.assert(
        fc.property(any, (given) => {
          const found = catchUp(given)
          if ('start' in found) assert.ok(given.oldest.lessThanOrEqual(found.start))
        }),
      )
    })

    it('it begins at a chunk’s end, a snapshot’s end or now, and tells each gap', () => {
      fc.assert(
        fc.property(any, (given) => {
          const found = catchUp(given)
          if (!('start' in found)) return
          const ends = given.chunks.map(({ end_ts }) => end_ts).sort((a, b) => a.compare(b))
          const end = ends.at(-1)
          if (end === undefined || found.start.lessThanOrEqual(end)) assert.equal(found.gap, undefined)
          else assert.deepEqual(found.gap, { from: end, to: found.start })
          if (found.after === 'chunk') assert.ok(end !== undefined && found.start.equals(end))
          if (found.after === 'snapshot')
            assert.ok(given.base !== undefined && found.start.equals(given.base.lastWrite))
        }),
      )
    })

    it('it never goes on across a restore with what was stored before', () => {
      fc.assert(
        fc.property(any, (given) => {
          const { restore } = given
          const found = catchUp(given)
          if (restore === undefined || !('start' in found) || found.after === 'now') return
          assert.ok(found.start.t > restore.endedAt || (given.base?.startedAt ?? 0) >= restore.startedAt)
        }),
      )
    })
  })
})
