import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { BSON, type Document, Long, Timestamp } from 'bson'
import type { OplogEntry } from '../entry.js'
import { COLLECTION, entry, session } from './oplog-entries.support.js'
import { TransactionBuffer, transactionStep } from './transactions.js'

const FIRST = { prevOpTime: { ts: new Timestamp({ t: 0, i: 0 }), t: Long.NEG_ONE } }
const LATER = { prevOpTime: { ts: new Timestamp({ t: 100, i: 1 }), t: Long.ONE } }

function operations(...ids: number[]): Document[] {
  return ids.map((_id) => ({ op: 'i', ns: 'shop.a', ui: COLLECTION, o: { _id, pad: 'x'.repeat(100) } }))
}

function part(increment: number, o: Document, chain: Document = LATER): OplogEntry {
  return entry(increment, { ...session(), op: 'c', ns: 'admin.$cmd', o, ...chain })
}

async function idsOf(buffer: TransactionBuffer, last: OplogEntry): Promise<number[]> {
  const ids: number[] = []
  for await (const { o } of buffer.take(last)) ids.push(BSON.deserialize(o)._id as number)
  return ids
}

describe('Transactions of an oplog', () => {
  it('tells the steps of a transaction from retryable writes', () => {
    assert.equal(transactionStep(part(1, { applyOps: [] })), 'whole')
    assert.equal(transactionStep(part(1, { applyOps: [], partialTxn: true })), 'part')
    assert.equal(transactionStep(part(1, { applyOps: [], prepare: true })), 'prepare')
    assert.equal(transactionStep(part(1, { commitTransaction: 1 })), 'commit')
    assert.equal(transactionStep(part(1, { abortTransaction: 1 })), 'abort')
    const retryable = { ...session(), op: 'i', ns: 'shop.a', o: { _id: 1 } }
    assert.equal(transactionStep(entry(1, retryable)), undefined)
    const batch = { ...session(), op: 'c', ns: 'admin.$cmd', o: { applyOps: [] }, multiOpType: 1 }
    assert.equal(transactionStep(entry(1, batch)), undefined)
    assert.equal(transactionStep(entry(1, { op: 'c', ns: 'admin.$cmd', o: { applyOps: [] } })), undefined)
  })

  it('gives the operations of all parts in order', async () => {
    const buffer = new TransactionBuffer()
    await buffer.add(part(1, { applyOps: operations(1, 2), partialTxn: true }, FIRST))
    await buffer.add(part(2, { applyOps: operations(3), partialTxn: true }))
    assert.deepEqual(await idsOf(buffer, part(3, { applyOps: operations(4), count: Long.fromNumber(4) })), [1, 2, 3, 4])
    assert.equal(buffer.open, 0)
  })

  it('gives a prepared transaction at its commit and nothing of an aborted one', async () => {
    const buffer = new TransactionBuffer()
    await buffer.add(part(1, { applyOps: operations(1), prepare: true }, FIRST))
    assert.deepEqual(await idsOf(buffer, part(2, { commitTransaction: 1 })), [1])
    await buffer.add(part(3, { applyOps: operations(2), prepare: true }, FIRST))
    await buffer.discard(part(4, { abortTransaction: 1 }))
    assert.equal(buffer.open, 0)
  })

  it('spills what is beyond its bound to a file, and removes it', async () => {
    const before = temporaryFolders()
    const buffer = new TransactionBuffer({ held: 500 })
    await buffer.add(part(1, { applyOps: operations(1, 2, 3), partialTxn: true }, FIRST))
    await buffer.add(part(2, { applyOps: operations(4, 5, 6), partialTxn: true }))
    await buffer.add(part(3, { applyOps: operations(7), partialTxn: true }))
    assert.equal(temporaryFolders().length, before.length + 1)
    assert.deepEqual(await idsOf(buffer, part(4, { applyOps: operations(8) })), [1, 2, 3, 4, 5, 6, 7, 8])
    await buffer.close()
    assert.deepEqual(temporaryFolders(), before)
  })

  it('refuses more than it has room for, in memory or not, until some of it is gone', async () => {
    const buffer = new TransactionBuffer({ held: 200, open: 1000 })
    const other = { ...FIRST, txnNumber: Long.fromNumber(99) }
    await buffer.add(part(1, { applyOps: operations(1, 2, 3), partialTxn: true }, FIRST))
    await buffer.discard(part(2, { abortTransaction: 1 }))
    const fill = async () => {
      for (let i = 3; i < 60; i++) await buffer.add(part(i, { applyOps: operations(i), partialTxn: true }, other))
    }
    await assert.rejects(fill, { code: 'OPLOG_TRANSACTIONS', message: /transactions of more than .* open at once/ })
    await buffer.close()
  })

  it('refuses more transactions than it can know the names of', async () => {
    const buffer = new TransactionBuffer()
    const fill = async () => {
      for (let i = 0; ; i++)
        await buffer.add(part(1, { applyOps: [], partialTxn: true }, { ...FIRST, txnNumber: Long.fromNumber(i) }))
    }
    await assert.rejects(fill, { code: 'OPLOG_TRANSACTIONS', message: /more than 100000 transactions/ })
  })

  for (const [what, last] of [
    ['last part', part(2, { applyOps: operations(2) })],
    ['commit', part(2, { commitTransaction: 1 })],
  ] as const) {
    it(`refuses a ${what} whose beginning is not in the range`, async () => {
      await assert.rejects(idsOf(new TransactionBuffer(), last), { code: 'OPLOG_TRANSACTION_CUT' })
    })
  }
})

function temporaryFolders(): string[] {
  assert.ok(existsSync(tmpdir()))
  return readdirSync(tmpdir()).filter((name) => name.startsWith('pbmkit-transactions-'))
}
