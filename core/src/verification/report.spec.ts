import assert from 'node:assert/strict'
import type { BackupVerification, ChunksVerification } from '../control/verification-document.js'
import { reportOf } from './report.js'

const LOOKED = { objects: 1, bytes: 1, objectsRead: 1, bytesRead: 1 }
const BACKUP: BackupVerification & { more: number } = {
  ...{ name: 'b', result: 'good', damages: [], unread: [], notes: [], restorable: 'all', lost: [], more: 0 },
  ...LOOKED,
}
const CHUNKS: ChunksVerification = {
  result: 'good',
  damages: [],
  unread: [],
  notes: [],
  gaps: [],
  ranges: [],
  ...LOOKED,
}

describe('the report of a verification', () => {
  it('is in bounds, whatever a storage holds, and counts what it leaves out', () => {
    const ranges = Array.from({ length: 5_000 }, (_, n) => ({ start: n, end: n }))
    const gaps = ranges.map((range) => ({ rs: 'rs0', ...range }))
    const damage = { object: 'o'.repeat(2_000), code: 'BACKUP_DAMAGED', what: 'x'.repeat(2_000) }
    const notes = ranges.map(() => 'y'.repeat(2_000))
    const damaged: typeof BACKUP = { ...BACKUP, result: 'damaged', damages: Array(500).fill(damage), notes, more: 7 }
    const chunks = { ...CHUNKS, gaps, ranges, more: 3, good: [] }
    const report = reportOf([damaged, { ...damaged, name: 'c' }], chunks, { readData: 100 })
    assert.ok(Buffer.byteLength(JSON.stringify(report)) < 2 * 1024 * 1024)
    const told = report.backups.flatMap((one) => [...one.damages, ...one.notes]).length
    const { ranges: left = [], gaps: leftGaps = [] } = report.chunks ?? {}
    assert.equal(report.more, 17 + 2 * 5_500 + 10_000 - told - left.length - leftGaps.length)
    assert.deepEqual([left.length, left.at(-1), report.result], [200, { start: 4_999, end: 4_999 }, 'damaged'])
    assert.ok((report.backups[0]?.damages.length ?? 0) > 100)
  })

  it('has all of what is little', () => {
    const chunks = { ...CHUNKS, ranges: [{ start: 1, end: 2 }], more: 0, good: [] }
    const { more, backups, chunks: told } = reportOf([{ ...BACKUP, notes: ['strange'] }], chunks, { readData: 10 })
    assert.deepEqual([more, backups[0]?.notes, told?.ranges], [0, ['strange'], [{ start: 1, end: 2 }]])
  })
})
