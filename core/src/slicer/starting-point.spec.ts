import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import type { BackupDocument } from '../control/backup-document.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { missingSnapshot } from './catch-up.js'
import { restoreTimes, toBase } from './starting-point.js'

const at = (t: number) => new Timestamp({ t, i: 1 })
const backup = (start_ts: number, first: number) =>
  toBase({ name: 'b', start_ts, first_write_ts: at(first), last_write_ts: at(first + 5) } as BackupDocument)
const restore = (start_ts: number, hb: number) =>
  restoreTimes({ start_ts, last_transition_ts: start_ts + 10, hb: at(hb) } as RestoreDocument)

describe('which came first, a snapshot or a restore', () => {
  const hours = 3 * 3600
  it('goes by cluster time, where the clock of one agent is hours behind', () => {
    const last = restore(1_000_000, 1_000_009)
    assert.equal(missingSnapshot(backup(1_000_060 - hours, 1_000_060), last), undefined)
    assert.match(missingSnapshot(backup(999_900 + hours, 999_900), last) ?? '', /no snapshot was made since/)
  })

  it('goes by clocks where no cluster time was recorded', () => {
    const last = restore(1_000_000, 0)
    assert.equal(missingSnapshot(backup(1_000_060, 0), last), undefined)
    assert.match(missingSnapshot(backup(999_900, 0), last) ?? '', /no snapshot was made since/)
  })
})
