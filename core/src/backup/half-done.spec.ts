import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import type { BackupReplset, HalfDone } from '../control/backup-document.js'
import { refuseHalfDone } from './half-done.js'

const at = (t: number) => new Timestamp({ t, i: 1 })
const what = 'renameCollection of shop.orders'

/** The backup ends at 100, the earliest of the ends. */
function check(...half_done: HalfDone[]): void {
  const part = (end: number, more: Partial<BackupReplset> = {}) =>
    ({ name: 's', last_write_ts: at(end), ...more }) as BackupReplset
  refuseHalfDone({ replsets: [part(110), part(100), part(120, { half_done })] })
}

describe('An operation on a sharded collection', () => {
  it('that was under way at the end of a backup spoils it', () => {
    for (const open of [
      { what },
      { what, from: at(100) },
      { what, to: at(101) },
      { what, from: at(90), to: at(105) },
    ]) {
      assert.throws(() => check({ what: 'drop of shop.old', to: at(99) }, open), {
        code: 'BACKUP_HALF_DONE',
        message: /renameCollection of shop\.orders/,
      })
    }
  })

  it('that had ended by then, or began later, does not', () => {
    check()
    check({ what, to: at(100) }, { what, from: at(90), to: at(95) }, { what, from: at(101) })
  })
})
