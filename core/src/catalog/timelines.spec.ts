import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import {
  type Base,
  baseReaching,
  type ChunkBounds,
  closestSeconds,
  contains,
  newcomers,
  type TimeRange,
  timelines,
  touchedSeconds,
  wholeSeconds,
} from './timelines.js'

/** A small world of optimes: 8 seconds of 3 increments, so that everything meets and touches. */
const SECONDS = 8
const INCREMENTS = 3
const TIMES = Array.from({ length: SECONDS * INCREMENTS }, (_, n) => ({
  t: 100 + Math.floor(n / INCREMENTS),
  i: n % INCREMENTS,
}))
const optimeAt = (n: number) => (BigInt(TIMES[n]?.t ?? 0) << 32n) | BigInt(TIMES[n]?.i ?? 0)
const stamp = (n: number) => new Timestamp(TIMES[n] ?? { t: 0, i: 0 })

const REPLSETS = ['a', 'b']
const place = fc.nat({ max: TIMES.length - 1 })
const placedChunk = fc.record({ rs: fc.constantFrom(...REPLSETS), from: place, length: fc.nat({ max: 8 }) })
const placedBase = fc.record({ end: place, replsets: fc.subarray(REPLSETS, { minLength: 1 }) })
const world = fc.record({
  chunks: fc.array(placedChunk, { maxLength: 12 }),
  bases: fc.array(placedBase, { maxLength: 4 }),
})

type World = typeof world extends fc.Arbitrary<infer W> ? W : never

function built({ chunks, bases }: World): { chunks: ChunkBounds[]; bases: Base[] } {
  return {
    chunks: chunks.map(({ rs, from, length }) => ({
      rs,
      start_ts: stamp(from),
      end_ts: stamp(Math.min(TIMES.length - 1, from + length)),
    })),
    bases: bases.map(({ end, replsets }, n) => ({
      name: `base${n}`,
      last_write_ts: stamp(end),
      replsets: replsets.map((name) => ({ name })),
    })),
  }
}

/** Walks the chunks as a restore does: each must begin no later than the one before ended. */
function reaches({ chunks }: World, rs: string, from: number, to: number): boolean {
  let at: number | undefined
  for (let moved = true; moved; ) {
    moved = false
    for (const chunk of chunks) {
      const end = Math.min(TIMES.length - 1, chunk.from + chunk.length)
      if (chunk.rs !== rs || chunk.from > (at ?? from) || end < from || end <= (at ?? -1)) continue
      at = end
      moved = true
    }
  }
  return at !== undefined && at >= to
}

function isRestorable(found: World, target: number): boolean {
  return found.bases.some(
    ({ end, replsets }) =>
      end < target &&
      replsets.every((rs) => reaches(found, rs, end, target)) &&
      !REPLSETS.some((rs) => !replsets.includes(rs) && begins(found, rs, end, target)),
  )
}

/** Whether a chain of the replica set begins after `from`, and no later than `to`. */
function begins({ chunks }: World, rs: string, from: number, to: number): boolean {
  const own = chunks.filter((chunk) => chunk.rs === rs)
  return own.some(
    (one) =>
      one.from > from &&
      one.from <= to &&
      !own.some((other) => other.from < one.from && one.from <= Math.min(TIMES.length - 1, other.from + other.length)),
  )
}

function isCovered({ chunks }: World, rs: string, at: number): boolean {
  return chunks.some((chunk) => chunk.rs === rs && chunk.from <= at && at <= chunk.from + chunk.length)
}

const inAny = (ranges: readonly TimeRange[], time: bigint) => ranges.some((range) => contains(range, time))

describe('timelines', () => {
  it('say of each time whether it can be restored to, as walking the chunks does', () => {
    fc.assert(
      fc.property(world, (found) => {
        const { chunks, bases } = built(found)
        const { ranges, perReplset } = timelines(chunks, bases)
        for (let at = 0; at < TIMES.length; at++) {
          const expected = isRestorable(found, at)
          assert.equal(inAny(ranges, optimeAt(at)), expected)
          assert.equal(baseReaching(bases, perReplset, optimeAt(at)) !== undefined, expected)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('choose the newest base that reaches the time', () => {
    fc.assert(
      fc.property(world, place, (found, at) => {
        const { chunks, bases } = built(found)
        const chosen = baseReaching(bases, timelines(chunks, bases).perReplset, optimeAt(at))
        const usable = found.bases.filter((base) => isRestorable({ ...found, bases: [base] }, at)).map(({ end }) => end)
        assert.equal(
          chosen?.last_write_ts.toString(),
          usable.length === 0 ? undefined : stamp(Math.max(...usable)).toString(),
        )
      }),
    )
  })

  it('show as unbacked what all replica sets have and no base reaches, and nothing twice', () => {
    fc.assert(
      fc.property(world, (found) => {
        const { chunks, bases } = built(found)
        const { ranges, unbacked } = timelines(chunks, bases)
        const replsets = new Set(found.chunks.map(({ rs }) => rs))
        for (let at = 0; at < TIMES.length; at++) {
          const common = replsets.size > 0 && [...replsets].every((rs) => isCovered(found, rs, at))
          assert.equal(inAny(unbacked, optimeAt(at)), common && !isRestorable(found, at))
        }
        for (const list of [ranges, unbacked]) {
          for (const [n, range] of list.entries()) {
            assert.ok(range.start <= range.end)
            const before = list[n - 1]
            if (before !== undefined) assert.ok(before.end < range.start)
          }
        }
      }),
    )
  })

  it('end at a barrier, from whichever base before it, and begin anew with one after it', () => {
    const chunks = [
      { rs: 'cfg', start_ts: stamp(0), end_ts: stamp(9), barriers: [{ ts: stamp(6), what: 'shard s3 was added' }] },
      { rs: 's1', start_ts: stamp(0), end_ts: stamp(9) },
    ]
    const base = (name: string, end: number) => ({
      name,
      last_write_ts: stamp(end),
      replsets: [{ name: 'cfg' }, { name: 's1' }],
    })
    const [one, two, three] = [base('one', 1), base('two', 5), base('three', 7)]
    const { ranges, gaps, barriers } = timelines(chunks, [one, two, three])
    assert.deepEqual(ranges, [
      { start: optimeAt(1) + 1n, end: optimeAt(6) - 1n },
      { start: optimeAt(7) + 1n, end: optimeAt(9) },
    ])
    assert.deepEqual(gaps.get('cfg'), [])
    assert.deepEqual(
      barriers.map(({ what }) => what),
      ['shard s3 was added'],
    )
    // Restored to, the barrier is behind.
    assert.equal(timelines(chunks, [base('at', 6)]).ranges[0]?.end, optimeAt(9))
  })

  it('go on past a shard that was added empty and stored since, up to where that is stored', () => {
    const barriers = [{ ts: stamp(6), what: 'shard s3 was added', added: 's3' }]
    const cfg = { rs: 'cfg', start_ts: stamp(0), end_ts: stamp(15), barriers }
    const base = { name: 'one', last_write_ts: stamp(3), replsets: [{ name: 'cfg' }] }
    const s3 = (start: number, end: number) => ({ rs: 's3', start_ts: stamp(start), end_ts: stamp(end) })
    const rangeWith = (...chunks: ChunkBounds[]) => {
      const lines = timelines([cfg, ...chunks], [base])
      return { end: lines.ranges[0]?.end, chains: lines.perReplset, barriers: lines.barriers.length }
    }
    for (const start of [1, 5]) {
      const fromNothing = { ...s3(start, 8), fromNothing: true } as const
      const { end, chains, barriers: left } = rangeWith(fromNothing, s3(8, 12))
      assert.deepEqual([end, left], [optimeAt(12), 0])
      assert.deepEqual([...newcomers(base, chains, optimeAt(12))], [['s3', optimeAt(start)]])
      assert.deepEqual([...newcomers(base, chains, optimeAt(5))], [], 'it was not there yet')
      assert.equal(rangeWith(fromNothing, s3(9, 12)).end, optimeAt(8), 'there is a gap')
    }
    assert.equal(rangeWith({ ...s3(4, 5), fromNothing: true }).end, optimeAt(6) - 1n, 'it is not stored so far')
    assert.equal(rangeWith(s3(5, 12)).end, optimeAt(5) - 1n, 'it may have been full')
    const before = { ...base, replsets: [{ name: 'cfg' }, { name: 's3' }] }
    const { perReplset } = timelines([cfg, { ...s3(1, 12), fromNothing: true }], [before])
    assert.equal(newcomers(before, perReplset, optimeAt(12)).size, 0)
  })

  it('tell the chains of each replica set and the gaps between them', () => {
    fc.assert(
      fc.property(world, (found) => {
        const { chunks, bases } = built(found)
        const { perReplset, gaps } = timelines(chunks, bases)
        for (const rs of new Set(found.chunks.map((chunk) => chunk.rs))) {
          const chains = perReplset.get(rs) ?? []
          assert.equal((gaps.get(rs) ?? []).length, chains.length - 1)
          for (const [n, gap] of (gaps.get(rs) ?? []).entries()) {
            assert.deepEqual(gap, { start: chains[n]?.end, end: chains[n + 1]?.start })
            assert.ok(gap.start < gap.end)
          }
          // Two times lie in one chain exactly when a walk from the first reaches the second.
          for (let from = 0; from < TIMES.length; from++) {
            for (let to = from; to < TIMES.length; to++) {
              const together = chains.some((one) => contains(one, optimeAt(from)) && contains(one, optimeAt(to)))
              assert.equal(together, isCovered(found, rs, from) && reaches(found, rs, from, to))
            }
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('offer only seconds that can be restored to, and all of them', () => {
    fc.assert(
      fc.property(world, (found) => {
        const { chunks, bases } = built(found)
        const { ranges } = timelines(chunks, bases)
        const offered = ranges.flatMap((range) => wholeSeconds(range) ?? [])
        for (let t = 99; t <= 100 + SECONDS; t++) {
          const at = TIMES.findIndex((time) => time.t === t && time.i === 0)
          assert.equal(
            offered.some(({ start, end }) => start <= t && t <= end),
            at >= 0 && isRestorable(found, at),
          )
        }
      }),
    )
  })

  it('tell the nearest second on either side', () => {
    fc.assert(
      fc.property(world, place, (found, at) => {
        const { chunks, bases } = built(found)
        const { ranges } = timelines(chunks, bases)
        const valid = TIMES.flatMap(({ t, i }, n) => (i === 0 && isRestorable(found, n) ? [{ t, n }] : []))
        const { before, after } = closestSeconds(ranges, optimeAt(at))
        assert.equal(before, valid.findLast(({ n }) => n <= at)?.t)
        assert.equal(after, valid.find(({ n }) => n >= at)?.t)
      }),
      { numRuns: 200 },
    )
  })

  it('show times as PBM does', () => {
    const range = (start: [number, number], end: [number, number]) => ({
      start: (BigInt(start[0]) << 32n) | BigInt(start[1]),
      end: (BigInt(end[0]) << 32n) | BigInt(end[1]),
    })
    assert.deepEqual(wholeSeconds(range([10, 2], [12, 0])), { start: 11, end: 12 })
    assert.deepEqual(wholeSeconds(range([10, 0], [10, 5])), { start: 10, end: 10 })
    assert.equal(wholeSeconds(range([10, 1], [10, 5])), undefined)
    assert.deepEqual(touchedSeconds(range([10, 1], [10, 5])), { start: 10, end: 10 })
  })
})
