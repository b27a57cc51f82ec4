import assert from 'node:assert/strict'
import { Long, Timestamp } from 'bson'
import fc from 'fast-check'
import { type OplogEntry, optime } from '../entry.js'
import { IndexCatalog } from '../replay/index-catalog.js'
import { bytes, COLLECTION, each, entry, OTHER, RecordingSink } from '../replay/oplog-entries.support.js'
import { Replay } from '../replay/replay.js'
import { transactionStep } from '../replay/transactions.js'
import { type OplogView, searchOplogStart } from './start.js'

const AT = (increment: number) => optime({ t: 100, i: increment })

/** A write or a transaction: the increments of its entries, and how it ends. */
interface Work {
  readonly entries: readonly number[]
  readonly kind: 'plain' | 'transaction' | 'prepared' | 'aborted' | 'open'
}

interface Written {
  readonly entry: OplogEntry
  readonly work: number
}

/** `o` of each entry inserts a document whose `_id` tells work and entry. */
function write(all: readonly Work[]): Written[] {
  const written = all.flatMap(({ entries, kind }, work) =>
    entries.map((increment, index) => {
      const insert = { op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: `${work}.${index}` } }
      if (kind === 'plain') return { work, entry: entry(increment, insert) }
      const last = index === entries.length - 1
      const decided = last && (kind === 'prepared' || kind === 'aborted')
      // An open one has all its entries but the decision.
      const whole = kind === 'open' ? last : index === entries.length - 2
      const content = { applyOps: [insert] }
      const name = kind === 'prepared' ? 'commitTransaction' : 'abortTransaction'
      const inTransaction =
        kind === 'transaction' ? (last ? {} : { partialTxn: true }) : whole ? { prepare: true } : { partialTxn: true }
      const previous = entries[index - 1] ?? 0
      const fields = {
        op: 'c',
        ns: 'admin.$cmd',
        o: decided ? { [name]: 1 } : { ...content, ...inTransaction },
        lsid: { id: OTHER },
        txnNumber: Long.fromNumber(work),
        prevOpTime: { ts: new Timestamp({ t: previous === 0 ? 0 : 100, i: previous }), t: Long.ONE },
      }
      return { work, entry: entry(increment, fields) }
    }),
  )
  return written.sort((a, b) => (a.entry.ts < b.entry.ts ? -1 : 1))
}

/** A member on which time goes on from one question to the next. */
function member(
  all: readonly Work[],
  written: readonly Written[],
  times: { last: number; looks: readonly number[] },
): OplogView {
  const looks = [...times.looks]
  let now = times.last
  const visible = () => {
    now += looks.shift() ?? 0
    return written.map((one) => one.entry).filter(({ ts }) => ts <= AT(now))
  }
  return {
    lastWrite: async () => AT(times.last),
    oldestOpen: async () => {
      visible()
      const open = all.filter(({ kind, entries: [first = 0] }) => kind !== 'plain' && first <= now)
      const firsts = open
        .filter(({ kind, entries }) => kind === 'open' || (entries.at(-1) ?? 0) > now)
        .map(({ entries: [first = 0] }) => first)
      return firsts.length === 0 ? undefined : AT(Math.min(...firsts))
    },
    across: async (since) =>
      visible()
        .filter((one) => one.ts >= since && one.previous !== 0n && one.previous < since)
        .filter((one) => transactionStep(one) !== undefined)
        .map(({ previous }) => previous),
    previous: async (ts) => {
      const found = written.find((one) => one.entry.ts === ts)
      return found === undefined || found.entry.previous === 0n ? undefined : found.entry.previous
    },
  }
}

/** What is replayed from a backup that ends with all of it. */
async function replayed(written: readonly Written[], range: { from: bigint; start: bigint }): Promise<string[]> {
  const sink = new RecordingSink()
  const catalog = new IndexCatalog()
  catalog.create('shop.a', bytes(COLLECTION), undefined)
  const listNames = async () => new Map<string, string>()
  const replay = new Replay({ sink, catalog, start: range.start, end: AT(10_000), listNames })
  await replay.run(each(written.map((one) => one.entry).filter(({ ts }) => ts >= range.from)))
  await replay.finish()
  return sink.done
}

function searched(all: readonly Work[], times: { last: number; looks: readonly number[] }) {
  const written = write(all)
  return searchOplogStart(member(all, written, times)).then((range) => ({ written, range }))
}

describe('The start of the oplog of a backup', () => {
  it('is the last write where no transaction lies across it', async () => {
    const { range } = await searched([{ kind: 'plain', entries: [3] }], { last: 3, looks: [0, 0] })
    assert.deepEqual(range, { from: AT(3), start: AT(3) })
  })

  it('has the beginning of a transaction whose commit is the very last write', async () => {
    const { range } = await searched([{ kind: 'prepared', entries: [3, 5] }], { last: 5, looks: [0, 0] })
    assert.deepEqual(range, { from: AT(3), start: AT(5) })
  })

  it('has the beginning of one that committed between the looks', async () => {
    const all: Work[] = [{ kind: 'prepared', entries: [2, 3, 7] }]
    assert.deepEqual((await searched(all, { last: 4, looks: [4, 0] })).range.from, AT(2))
    assert.deepEqual((await searched(all, { last: 4, looks: [1, 4] })).range.from, AT(2))
  })

  it('does not go back from one transaction to the next where they overlap without an end', async () => {
    const all = Array.from({ length: 50 }, (_, n): Work => ({ kind: 'prepared', entries: [n * 3 + 1, n * 3 + 6] }))
    const { range, written } = await searched(all, { last: 120, looks: [0, 0] })
    assert.ok(range.from > AT(112), String(range.from))
    assert.ok((await replayed(written, range)).length > 8)
  })

  it('lets everything that is not in the dump be replayed whole, whatever lies across it', async () => {
    const work = fc.record({
      kind: fc.constantFrom<Work['kind']>('plain', 'transaction', 'prepared', 'aborted', 'open'),
      begin: fc.integer({ min: 1, max: 60 }),
      gaps: fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 3 }),
    })
    const times = fc.record({
      last: fc.integer({ min: 1, max: 80 }),
      looks: fc.tuple(fc.nat(10), fc.nat(10)),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(work, { minLength: 1, maxLength: 12 }), times, async (drawn, when) => {
        const used = new Set<number>()
        const free = (wanted: number) => {
          let at = wanted
          while (used.has(at)) at++
          used.add(at)
          return at
        }
        const all = drawn.map(({ kind, begin, gaps }): Work => {
          const entries = [free(begin)]
          for (const gap of kind === 'plain' ? [] : gaps) entries.push(free((entries.at(-1) ?? 0) + gap))
          return { kind, entries }
        })
        const { written, range } = await searched(all, when)
        assert.ok(range.from <= range.start)
        const expected = all.flatMap(({ kind, entries }, index) => {
          const ended = kind !== 'aborted' && kind !== 'open' && AT(entries.at(-1) ?? 0) >= range.start
          const changes = kind === 'prepared' ? entries.slice(0, -1) : entries
          return ended ? changes.map((_, part) => `i shop.a ${index}.${part}`) : []
        })
        assert.deepEqual((await replayed(written, range)).toSorted(), expected.toSorted())
      }),
      { numRuns: 500 },
    )
  })
})
