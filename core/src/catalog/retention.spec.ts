import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import type { BackupDocument } from '../control/backup-document.js'
import { UNSET_TIMESTAMP } from '../control/backups.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { fromStorageJson } from '../store/layout/backup-metadata.js'
import { incompatibility } from './compatible.js'
import { expired, type Inventory, isBaseSnapshot, isNeededForSlicing } from './retention.js'
import { contains, type TimeRange, timelines } from './timelines.js'

const at = (t: number, i = 0) => new Timestamp({ t, i })

function backup(name: string, end: number, more: Partial<BackupDocument> = {}): BackupDocument {
  const base = fromStorageJson(JSON.stringify({ name, type: 'logical', status: 'done' }))
  const replsets = [{ name: 'rs' } as BackupDocument['replsets'][number]]
  return { ...base, replsets, last_write_ts: at(end, 1), ...more }
}

function chunk(start: number, end: number, rs = 'rs'): PitrChunkDocument {
  const [start_ts, end_ts] = [at(start, 1), at(end, 1)]
  return { rs, fname: `${rs}/${start}-${end}`, compression: 's2', start_ts, end_ts, size: 1 }
}

function inventory(backups: BackupDocument[], chunks: PitrChunkDocument[] = [], slicing = false): Inventory {
  return { backups, chunks, slicing }
}

const names = (found: { backups: BackupDocument[] }) => found.backups.map(({ name }) => name)
const files = (found: { chunks: PitrChunkDocument[] }) => found.chunks.map(({ fname }) => fname)

describe('what may be deleted', () => {
  const [a, b] = [backup('a', 100), backup('b', 200)]

  it('drops all that ended by the time', () => {
    assert.deepEqual(names(expired(inventory([b, a]), at(150))), ['a'])
    assert.deepEqual(names(expired(inventory([b, a]), at(300))), ['a', 'b'])
    assert.deepEqual(names(expired(inventory([a, backup('f', 90, { status: 'error' })]), at(95))), ['f'])
    // It failed before it had a last write.
    const early = backup('e', 1, { status: 'error', last_write_ts: UNSET_TIMESTAMP, last_transition_ts: 96 })
    assert.deepEqual(names(expired(inventory([a, early]), at(95))), [])
    assert.deepEqual(names(expired(inventory([a, early]), at(96))), ['e'])
  })

  it('keeps a base that ends in that very second, and its chunks from there on', () => {
    const found = expired(inventory([a, b], [chunk(100, 150), chunk(150, 200), chunk(200, 250)]), at(200))
    assert.deepEqual(names(found), ['a'])
    assert.deepEqual(files(found), ['rs/100-150', 'rs/150-200'])
  })

  it('takes an increment for a base, and keeps the chain that it is in', () => {
    const base = backup('i0', 50, { type: 'incremental' })
    const increment = backup('i1', 150, { type: 'incremental', src_backup: 'i0' })
    const chunks = [chunk(50, 100), chunk(100, 150), chunk(150, 200), chunk(200, 300)]
    const found = expired(inventory([a, base, increment], chunks), at(250))
    assert.deepEqual([names(found), files(found)], [['a'], ['rs/50-100', 'rs/100-150']])
  })

  it('takes no increment for a base whose chain is broken, or leads in a circle', () => {
    const lost = backup('i1', 150, { type: 'incremental', src_backup: 'i0' })
    const failed = backup('i0', 50, { type: 'incremental', status: 'error' })
    const round = [
      backup('r0', 150, { type: 'incremental', src_backup: 'r1' }),
      backup('r1', 160, { type: 'incremental', src_backup: 'r0' }),
    ]
    const chunks = [chunk(50, 100), chunk(100, 150), chunk(150, 200), chunk(200, 300)]
    for (const broken of [[lost], [failed, lost], round]) {
      assert.deepEqual(names(expired(inventory([a, ...broken], chunks), at(250))).includes('a'), false)
      assert.equal(isNeededForSlicing(a, inventory([a, ...broken], chunks, true)), true)
    }
  })

  it('does not let the last chain go, whose links are bases of each other', () => {
    const base = backup('i0', 200, { type: 'incremental' })
    const increment = backup('i1', 300, { type: 'incremental', src_backup: 'i0' })
    const chunks = [chunk(200, 300), chunk(300, 400)]
    assert.equal(isNeededForSlicing(base, inventory([base, increment], chunks, true)), true)
    assert.equal(isNeededForSlicing(base, inventory([base, increment, backup('c', 400)], chunks, true)), false)
    assert.equal(isNeededForSlicing(base, inventory([a, base, increment], [chunk(50, 200), ...chunks], true)), false)
  })

  it('keeps the base and chunks from which the time can be reached without a gap', () => {
    const chunks = [chunk(50, 100), chunk(100, 200), chunk(200, 300)]
    const found = expired(inventory([a], chunks), at(250))
    assert.deepEqual(names(found), [])
    assert.deepEqual(files(found), ['rs/50-100'])
    const gap = expired(inventory([a], [chunk(100, 120), chunk(130, 300)]), at(250))
    assert.deepEqual(names(gap), ['a'])
  })

  it('keeps the base from which the time can be reached, and not one that a change of the cluster cuts off', () => {
    const barriers = [{ ts: at(150, 1), what: 'shard s3 was added' }]
    const chunks = [{ ...chunk(50, 200), barriers }, chunk(200, 300)]
    assert.deepEqual(names(expired(inventory([a, b], chunks), at(250))), ['a'])
    assert.equal(isNeededForSlicing(b, inventory([a, b], chunks, true)), true)
    assert.equal(isNeededForSlicing(b, inventory([a, b], [chunk(50, 200), chunk(200, 300)], true)), false)
  })

  it('keeps all chunks of a shard that came empty after the base, until a base has it', () => {
    const barriers = [{ ts: at(150, 1), what: 'shard s3 was added', added: 's3' }]
    const s3 = [{ ...chunk(50, 90, 's3'), fromNothing: true } as const, chunk(90, 300, 's3')]
    const chunks = [{ ...chunk(50, 99), barriers: [] }, { ...chunk(99, 300), barriers }, ...s3]
    const kept = expired(inventory([a], chunks), at(250))
    assert.deepEqual([names(kept), files(kept)], [[], ['rs/50-99']])
    const whole = backup('b', 200, { replsets: ['rs', 's3'].map((name) => ({ name })) as BackupDocument['replsets'] })
    const found = expired(inventory([a, whole], chunks), at(250))
    assert.deepEqual([names(found), files(found)], [['a'], ['rs/50-99', 's3/50-90']])
    assert.equal(isNeededForSlicing(whole, inventory([a, whole], chunks, true)), false)
  })

  it('keeps the newest base while slicing goes on', () => {
    assert.deepEqual(names(expired(inventory([a, b], [], true), at(300))), ['a'])
    assert.deepEqual(names(expired(inventory([a, b, backup('c', 400)], [], true), at(300))), ['a', 'b'])
  })

  it('keeps the last base also where another backup ended in the same second', () => {
    const other = backup('s', 200, { nss: ['x.*'] })
    assert.deepEqual(names(expired(inventory([b, other], [], true), at(200))), ['s'])
  })

  it('never touches what still runs, another profile, or a chain with a later increment', () => {
    const running = backup('r', 1, { status: 'running' })
    const other = backup('p', 1, { store: { type: 's3', profile: true, name: 'x' } })
    const base = backup('i0', 10, { type: 'incremental' })
    const next = backup('i1', 20, { type: 'incremental', src_backup: 'i0' })
    const last = backup('i2', 200, { type: 'incremental', src_backup: 'i1' })
    assert.deepEqual(names(expired(inventory([running, other, base, next, last]), at(150))), [])
    assert.deepEqual(names(expired(inventory([running, other]), at(150), 'x')), ['p'])
  })

  it('refuses the last base of slicing unless older ones reach as far', () => {
    assert.equal(isNeededForSlicing(b, inventory([a, b], [], false)), false)
    assert.equal(isNeededForSlicing(b, inventory([a, b], [], true)), true)
    assert.equal(isNeededForSlicing(a, inventory([a, b], [], true)), false)
    assert.equal(isNeededForSlicing(b, inventory([a, b], [chunk(100, 150), chunk(150, 210)], true)), false)
    assert.equal(isNeededForSlicing(b, inventory([a, b], [chunk(100, 140), chunk(150, 210)], true)), true)
    assert.equal(isNeededForSlicing({ ...b, nss: ['x.*'] }, inventory([b], [], true)), false)
  })
})

describe('what may be deleted, whatever there is', () => {
  const place = fc.integer({ min: 1, max: 30 })
  const states = ['done', 'done', 'done', 'error', 'running'] as const
  const someBackup = fc.record({ end: place, status: fc.constantFrom(...states), selective: fc.boolean() })
  const someChunk = fc.record({ rs: fc.constantFrom('rs', 'rt'), start: place, length: fc.integer({ min: 1, max: 8 }) })
  const world = fc
    .record({
      backups: fc.array(someBackup, { maxLength: 5 }),
      chunks: fc.array(someChunk, { maxLength: 14 }),
      slicing: fc.boolean(),
    })
    .map(({ backups, chunks, slicing }) => {
      const replsets = ['rs', 'rt'].map((name) => ({ name }) as BackupDocument['replsets'][number])
      const made = backups.map(({ end, status, selective }, n) =>
        backup(`b${n}`, end, { status, replsets, ...(selective ? { nss: ['db.*'] } : {}) }),
      )
      return inventory(
        made,
        chunks.map(({ rs, start, length }) => chunk(start, start + length, rs)),
        slicing,
      )
    })
  const rangesOf = ({ backups, chunks }: Inventory) => timelines(chunks, backups.filter(isBaseSnapshot)).ranges
  const inAny = (ranges: readonly TimeRange[], time: bigint) => ranges.some((range) => contains(range, time))

  function without(all: Inventory, gone: ReturnType<typeof expired>): Inventory {
    return {
      ...all,
      backups: all.backups.filter((one) => !gone.backups.includes(one)),
      chunks: all.chunks.filter((one) => !gone.chunks.includes(one)),
    }
  }

  it('leaves every later time restorable that was', () => {
    fc.assert(
      fc.property(world, place, (all, limit) => {
        const [before, after] = [rangesOf(all), rangesOf(without(all, expired(all, at(limit))))]
        for (let t = limit + 1; t <= 40; t++) {
          for (const i of [0, 1, 2]) {
            const time = (BigInt(t) << 32n) | BigInt(i)
            assert.equal(inAny(after, time), inAny(before, time), `${t},${i}`)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it('leaves no chunk without the base that it had', () => {
    fc.assert(
      fc.property(world, place, (all, limit) => {
        const left = without(all, expired(all, at(limit)))
        const [before, after] = [rangesOf(all), rangesOf(left)]
        for (const { end_ts } of left.chunks) {
          if (end_ts.t <= limit) continue
          const time = (BigInt(end_ts.t) << 32n) | BigInt(end_ts.i)
          assert.equal(inAny(after, time), inAny(before, time))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('takes nothing that is later than the limit or not finished, and leaves slicing a base', () => {
    fc.assert(
      fc.property(world, place, (all, limit) => {
        const gone = expired(all, at(limit))
        for (const one of gone.backups) assert.ok(one.status !== 'running' && one.last_write_ts.t <= limit)
        for (const one of gone.chunks) assert.ok(one.start_ts.t < limit && one.end_ts.t <= limit)
        const bases = all.backups.filter(isBaseSnapshot)
        if (all.slicing && bases.length > 0) assert.ok(without(all, gone).backups.some(isBaseSnapshot))
      }),
      { numRuns: 300 },
    )
  })

  it('finds nothing more to delete the second time', () => {
    fc.assert(
      fc.property(world, place, (all, limit) => {
        const again = expired(without(all, expired(all, at(limit))), at(limit))
        assert.deepEqual([again.backups, again.chunks], [[], []])
      }),
    )
  })
})

describe('whether a backup fits the cluster', () => {
  const cluster = { fcv: '6.0', mongodbVersion: '6.0.5', replsets: ['rs0'], leaderReplset: 'rs0' }
  const replset = (name: string) => ({ name }) as BackupDocument['replsets'][number]
  const fitting = backup('a', 1, { pbm_version: '2.15.0', fcv: '6.0', replsets: [replset('rs0')] })

  it('follows version breaks, FCV, replica sets and remapping', () => {
    assert.equal(incompatibility(fitting, cluster), undefined)
    assert.match(incompatibility({ ...fitting, pbm_version: '1.4.1' }, cluster) ?? '', /PBM 1\.4\.1/)
    assert.equal(incompatibility({ ...fitting, pbm_version: '1.6.0' }, cluster), undefined)
    const increment: BackupDocument = { ...fitting, type: 'incremental', pbm_version: '2.0.5' }
    assert.match(incompatibility(increment, cluster) ?? '', /2\.0\.5/)
    assert.match(incompatibility({ ...fitting, fcv: '5.0' }, cluster) ?? '', /FCV/)
    assert.equal(incompatibility({ ...fitting, fcv: '', mongodb_version: '6.0.1-4' }, cluster), undefined)
    assert.match(incompatibility({ ...fitting, fcv: '', mongodb_version: '5.0.1' }, cluster) ?? '', /5\.0\.1/)
    const elsewhere = { ...fitting, replsets: [replset('other')] }
    assert.match(incompatibility(elsewhere, cluster) ?? '', /other/)
    assert.equal(incompatibility(elsewhere, cluster, { other: 'rs0' }), undefined)
    assert.match(incompatibility({ ...fitting, replsets: [] }, cluster) ?? '', /no data/)
    assert.equal(incompatibility({ ...elsewhere, status: 'error' }, cluster), undefined)
  })
})
