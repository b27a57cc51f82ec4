import { createHash } from 'node:crypto'
import { BSON, type MongoClient } from 'mongodb'
import { documentsIn } from '../bson/documents.js'

/** Inserts, changes and deletes rows until stopped. */
export function startLoad(client: MongoClient): { stop(): Promise<void> } {
  const rows = client.db('load').collection<{ _id: number; n: number }>('rows')
  let running = true
  const write = async (worker: number) => {
    for (let turn = 0; running; turn++) {
      const _id = turn * 4 + worker
      await rows.insertOne({ _id, n: 0 })
      await rows.updateOne({ _id: (_id * 7) % (_id + 1) }, { $inc: { n: 1 } })
      if (turn % 5 === 0) await rows.deleteOne({ _id: (_id * 3) % (_id + 1) })
    }
  }
  const workers = [0, 1, 2, 3].map(write)
  return {
    stop: async () => {
      running = false
      await Promise.all(workers)
    },
  }
}

type Row = { _id: number; n: number }

export function replay(dump: Buffer, oplog: Buffer, ns: string): Map<number, Row> {
  const rows = new Map([...documentsIn(dump)].map((raw) => BSON.deserialize(raw) as Row).map((row) => [row._id, row]))
  for (const raw of documentsIn(oplog)) {
    const entry = BSON.deserialize(raw)
    if (entry.ns !== ns) continue
    if (entry.op === 'i') rows.set(entry.o._id, entry.o)
    if (entry.op === 'd') rows.delete(entry.o._id)
    const row = rows.get(entry.o2?._id)
    if (entry.op === 'u' && row !== undefined) Object.assign(row, entry.o.diff.u)
  }
  return rows
}

export function digest(rows: Map<number, Row>): string {
  const sorted = [...rows.values()].sort((a, b) => a._id - b._id)
  return `${sorted.length} ${createHash('sha256').update(JSON.stringify(sorted)).digest('hex')}`
}
