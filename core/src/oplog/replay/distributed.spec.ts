import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import { type OplogEntry, optime } from '../entry.js'
import { COLLECTION, each, RecordingSink, shopCatalog, transactionEntry } from './oplog-entries.support.js'
import { Replay } from './replay.js'

const AT = (increment: number) => optime({ t: 100, i: increment })

function shard(end: number) {
  const sink = new RecordingSink()
  const catalog = shopCatalog()
  return { sink, replay: new Replay({ sink, catalog, end: AT(end), listNames: async () => new Map() }) }
}

const prepare = (increment: number, number: number) =>
  transactionEntry(increment, number, {
    applyOps: [{ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id: number } }],
    prepare: true,
  })
const commit = (increment: number, number: number, prepared: number, at = increment) =>
  transactionEntry(
    increment,
    number,
    { commitTransaction: 1, commitTimestamp: new Timestamp({ t: 100, i: at }) },
    prepared,
  )

describe('Distributed transactions in a replay', () => {
  it('stay open while they are only prepared, and can be committed from outside', async () => {
    const { sink, replay } = shard(10)
    await replay.run(each([prepare(1, 1), prepare(2, 2), commit(3, 2, 2)]))
    assert.deepEqual(sink.done, ['i shop.a 2'])
    const [open, ...others] = replay.openTransactions
    assert.deepEqual([open?.prepared, open?.started, others], [true, AT(1), []])
    await replay.commitOpen(open?.key ?? '')
    assert.deepEqual(await replay.finish(), { openTransactions: 0 })
    assert.deepEqual(sink.done, ['i shop.a 2', 'i shop.a 1'])
  })

  it('are remembered as committed, with the time that all shards share', async () => {
    const { replay } = shard(10)
    await replay.run(each([prepare(1, 1), commit(4, 1, 1, 2)]))
    assert.deepEqual(
      replay.commits.map(({ commitTimestamp }) => commitTimestamp),
      [AT(2)],
    )
    await replay.finish()
  })

  it('are whole on both shards or missing on both, at whatever time each shard wrote its part down', async () => {
    // Of each transaction: how long after the one before it is prepared, and each shard writes down the decision.
    const transaction = fc.record({ gap: fc.integer({ min: 1, max: 5 }), lag: fc.tuple(fc.nat(30), fc.nat(30)) })
    await fc.assert(
      fc.asyncProperty(fc.array(transaction, { minLength: 1, maxLength: 12 }), fc.nat(120), async (all, cut) => {
        const shards = [shard(cut), shard(cut)] as const
        const sides = shards.map(({ sink, replay }, side) => {
          let time = 0
          const used = new Set<number>()
          const free = (wanted: number) => {
            let at = wanted
            while (used.has(at)) at++
            used.add(at)
            return at
          }
          const entries: OplogEntry[] = []
          for (const [index, { gap, lag }] of all.entries()) {
            time += gap * 2
            const prepared = free(time * 2)
            entries.push(prepare(prepared, index + 1))
            // Both are prepared by now: only then is it decided.
            const decided = free(time * 2 + 2 + (lag[side as 0 | 1] ?? 0))
            entries.push(commit(decided, index + 1, prepared))
          }
          entries.sort((a, b) => (a.ts < b.ts ? -1 : 1))
          return { sink, replay, entries }
        })
        for (const { replay, entries } of sides) await replay.run(each(entries))
        const committed = new Set(sides.flatMap(({ replay }) => replay.commits.map(({ key }) => key)))
        for (const { replay } of sides) {
          for (const { key } of replay.openTransactions) if (committed.has(key)) await replay.commitOpen(key)
          await replay.finish()
        }
        const [one, two] = sides.map(({ sink }) => sink.done.toSorted())
        assert.deepEqual(one, two)
      }),
    )
  })
})
