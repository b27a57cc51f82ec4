import assert from 'node:assert/strict'
import { type OplogEntry, optime } from '../entry.js'
import { CutTransactions } from './cut-transactions.js'
import { COLLECTION, each, entry, RecordingSink, shopCatalog, transactionEntry } from './oplog-entries.support.js'
import { Replay } from './replay.js'

const change = (_id: number) => ({ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id } })
const prepare = (increment: number, number: number) =>
  transactionEntry(increment, number, { applyOps: [change(number)], prepare: true })
const commit = (increment: number, number: number, prepared: number) =>
  transactionEntry(increment, number, { commitTransaction: 1 }, prepared)
const part = (increment: number, number: number, previous: number) =>
  transactionEntry(increment, number, { applyOps: [change(increment)], partialTxn: true }, previous)
const last = (increment: number, number: number, previous: number) =>
  transactionEntry(increment, number, { applyOps: [change(increment)], count: 2 }, previous)
const plain = (increment: number) => entry(increment, change(increment))

async function replayed(...entries: OplogEntry[]): Promise<string[]> {
  const sink = new RecordingSink()
  const catalog = shopCatalog()
  const listNames = async () => new Map<string, string>()
  const end = optime({ t: 200, i: 0 })
  const replay = new Replay({ sink, catalog, end, listNames, cut: new CutTransactions() })
  await replay.run(each(entries))
  await replay.finish()
  return sink.done
}

describe('Transactions cut by the beginning of an oplog of PBM', () => {
  it('are in the dump where it begins with a transaction that was open', async () => {
    const done = await replayed(prepare(3, 1), commit(4, 2, 2), part(5, 3, 1), last(6, 3, 5), plain(7), commit(8, 1, 3))
    assert.deepEqual(done, ['i shop.a 7', 'i shop.a 1'])
  })

  it('are in the dump where their end is its first entry', async () => {
    assert.deepEqual(await replayed(commit(3, 1, 2), plain(4)), ['i shop.a 4'])
    assert.deepEqual(await replayed(last(3, 1, 2), plain(4)), ['i shop.a 4'])
  })

  it('are refused elsewhere: they may have ended after the dump had begun', async () => {
    await assert.rejects(replayed(plain(3), commit(4, 1, 2)), { code: 'OPLOG_TRANSACTION_CUT' })
    await assert.rejects(replayed(commit(3, 1, 2), commit(5, 2, 1)), { code: 'OPLOG_TRANSACTION_CUT' })
  })
})
