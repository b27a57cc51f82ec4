import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Document, deserialize, serialize, Timestamp } from 'bson'
import { documentsIn } from '../../bson/documents.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import { FaultyStore } from '../../store/wrappers/faulty-store.support.js'
import { keepOplog, type OplogToKeep } from './oplog-file.js'

const at = (t: number, i = 1) => (BigInt(t) << 32n) | BigInt(i)
const entry = (t: number, more: Document = {}) => ({
  ts: new Timestamp({ t, i: 1 }),
  op: 'i',
  ns: 'a.b',
  o: { t },
  ...more,
})
const PLAIN = { decompress: (source: AsyncIterable<Uint8Array>) => source } as CompressionPlugin

describe('the oplog that is put on top of restored files', () => {
  let folder: string
  let store: FaultyStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-oplog-'))
    store = new FaultyStore()
    store.chunkBytes = 1_000_000
  })
  afterEach(() => rm(folder, { recursive: true }))

  const piece = (start: number, end: number, entries: readonly Document[]) => {
    const object = `${start}-${end}`
    store.put(object, Buffer.concat(entries.map((one) => serialize(one))))
    return { object, start: at(start), end: at(end), compression: PLAIN }
  }
  const kept = async (pieces: OplogToKeep['pieces'], start: number, end: number) => {
    const path = join(folder, 'oplog.bson')
    const signal = new AbortController().signal
    const told = await keepOplog({ store, pieces, start: at(start), end: at(end), signal, reserve: 0 }, path)
    return { ...told, entries: [...documentsIn(await readFile(path))].map((raw) => deserialize(raw)) }
  }

  it('is what lies between the backup and the time, each entry once, with an _id that all members agree on', async () => {
    const pieces = [
      piece(
        5,
        10,
        [5, 8, 10].map((t) => entry(t)),
      ),
      piece(
        10,
        20,
        [10, 12, 15, 20].map((t) => entry(t)),
      ),
    ]
    const { last, entries } = await kept(pieces, 8, 17)
    assert.equal(last, at(15))
    assert.deepEqual(
      entries.map(({ _id, ts, o }) => [String(_id), ts.t, o.t]),
      [10, 12, 15].map((t) => [String(new Timestamp({ t, i: 1 })), t, t]),
    )
    assert.deepEqual(Object.keys(entries[0] ?? {}), ['_id', 'ts', 'op', 'ns', 'o'])
    // Of a replica set that was restored so before.
    const again = await kept([piece(8, 12, [entry(8), { _id: 'x', ...entry(12) }])], 8, 12)
    assert.deepEqual(
      again.entries.map(({ _id }) => _id),
      ['x'],
    )
  })

  it('ends with the backup where nothing was written after it', async () => {
    assert.deepEqual(await kept([piece(5, 10, [entry(5), entry(10)])], 10, 10), { last: at(10), entries: [], bytes: 0 })
  })

  it('tells nothing of the control collections', async () => {
    const { entries } = await kept([piece(5, 10, [entry(5), entry(10, { ns: 'admin.pbmConfig' })])], 5, 10)
    assert.deepEqual([entries[0]?.op, entries[0]?.o], ['n', {}])
  })

  it('is refused with a gap, out of order, cut off, and with what no server takes', async () => {
    const gap = [piece(5, 10, [entry(5), entry(10)]), piece(12, 20, [entry(12), entry(20)])]
    await assert.rejects(kept(gap, 6, 15), /gap/)
    await assert.rejects(kept([piece(5, 10, [entry(5), entry(9), entry(7), entry(10)])], 5, 10), /not in order at 7/)
    await assert.rejects(kept([piece(5, 10, [entry(5), entry(9)])], 5, 10), /ends at 9.1 instead of 10.1/)
    const large = entry(7, { o: { text: 'x'.repeat(16 * 1024 * 1024 - 60) } })
    await assert.rejects(kept([piece(5, 10, [entry(5), large, entry(10)])], 5, 10), { code: 'ENTRY_TOO_LARGE' })
  })
})
