import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import { mergedChunks } from './merged-chunks.js'
import { type Base, type ChunkBounds, timelines } from './timelines.js'

const time = fc.nat({ max: 20 })
const stamp = (n: number) => new Timestamp({ t: 100 + n, i: 1 })
const chunk = fc
  .record({
    rs: fc.constantFrom('cfg', 'a', 'b'),
    from: time,
    length: fc.integer({ min: -1, max: 6 }),
    barrier: fc.option(time, { freq: 4, nil: undefined }),
    added: fc.constantFrom(undefined, 'b'),
    fromNothing: fc.constantFrom(true, undefined, undefined, undefined),
  })
  .map(({ rs, from, length, barrier, added, fromNothing }): ChunkBounds => {
    const what = { ts: stamp(barrier ?? 0), what: 'a shard was added', ...(added !== undefined && { added }) }
    return {
      ...{ rs, start_ts: stamp(from), end_ts: stamp(from + length) },
      ...(rs === 'cfg' && barrier !== undefined && { barriers: [what] }),
      ...(rs === 'b' && fromNothing !== undefined && { fromNothing }),
    }
  })
const chunks = fc.array(chunk, { maxLength: 12 })
const bases = fc.array(
  fc.record({ end: time, replsets: fc.subarray(['cfg', 'a', 'b'], { minLength: 1 }) }).map(
    ({ end, replsets }): Base => ({
      ...{ name: String(end), last_write_ts: stamp(end) },
      replsets: replsets.map((name) => ({ name })),
    }),
  ),
  { maxLength: 3 },
)

describe('merged chunks', () => {
  it('say what all of them say, alone and together with later ones', () => {
    fc.assert(
      fc.property(chunks, chunks, bases, (known, more, snapshots) => {
        const merged = mergedChunks(mergedChunks(known))
        const said = ({ ranges, unbacked, perReplset, gaps }: ReturnType<typeof timelines>) => ({
          ...{ ranges, unbacked },
          perReplset: [...perReplset].sort(([a], [b]) => (a < b ? -1 : 1)),
          gaps: [...gaps].sort(([a], [b]) => (a < b ? -1 : 1)),
        })
        assert.deepEqual(
          said(timelines([...merged, ...more], snapshots)),
          said(timelines([...known, ...more], snapshots)),
        )
      }),
      { numRuns: 2_000 },
    )
  })

  it('are few', () => {
    const day = Array.from({ length: 5_000 }, (_, n) => ({ rs: 'a', start_ts: stamp(n), end_ts: stamp(n + 1) }))
    assert.deepEqual(mergedChunks(day), [{ rs: 'a', start_ts: stamp(0), end_ts: stamp(5_000) }])
  })
})
