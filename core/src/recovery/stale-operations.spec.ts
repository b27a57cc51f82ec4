import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ObjectId, Timestamp } from 'mongodb'
import type { BackupDocument, BackupStatus } from '../control/backup-document.js'
import type { LockDocument } from '../control/locks.js'
import { BACKUP_STATES } from '../control/state-machine.js'
import { findStale } from './stale-operations.js'

const NOW = 1_700_000_000
const at = (secondsAgo: number) => new Timestamp({ t: NOW - secondsAgo, i: 1 })
const backup = (name: string, status: BackupStatus, hb: Timestamp) =>
  ({ type: 'logical', name, opid: name, status, hb }) as BackupDocument
const lock = (opid: string, hb: Timestamp): LockDocument => ({
  _id: new ObjectId(),
  type: 'backup',
  replset: 'rs0',
  node: 'a:1',
  opid,
  epoch: at(0),
  hb,
})

describe('decision on dead operations', () => {
  const status = fc.constantFrom<BackupStatus>(...BACKUP_STATES.order, 'canceled', 'error')

  it('condemns exactly what has not ended and is silent for more than 30 s, or whose holder is', () => {
    fc.assert(
      fc.property(status, fc.nat(60), fc.option(fc.nat(60)), (state, beat, held) => {
        const locks = held === null ? [] : [lock('b', at(held))]
        const actions = findStale({ now: at(0), locks, backups: [backup('b', state, at(beat))], restores: [] })
        const ended = BACKUP_STATES.terminal.includes(state)
        const condemned = actions.some(({ kind }) => kind === 'backup')
        assert.equal(condemned, !ended && (beat > 30 || (held ?? 0) > 30))
        assert.equal(
          actions.some(({ kind }) => kind === 'lock'),
          (held ?? 0) > 30,
        )
      }),
    )
  })

  it('ignores the dead locks of other operations', () => {
    const actions = findStale({
      now: at(0),
      locks: [lock('other', at(50))],
      backups: [backup('b', 'running', at(1))],
      restores: [],
    })
    assert.deepEqual(
      actions.map(({ kind }) => kind),
      ['lock'],
    )
  })
})
