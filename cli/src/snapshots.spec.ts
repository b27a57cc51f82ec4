import assert from 'node:assert/strict'
import type { BackupDocument } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { restoreTime, toSnapshot } from './snapshots.js'

const at = (t: number) => new Timestamp({ t, i: 1 })
const NOW = at(2000)

function backup(changes: Partial<BackupDocument>): BackupDocument {
  return {
    type: 'logical',
    opid: 'ab'.repeat(12),
    name: '2031-02-03T04:05:06Z',
    replsets: [],
    compression: 's2',
    store: { type: 'filesystem' },
    size: 10,
    size_uncompressed: 20,
    mongodb_version: '6.0.5',
    fcv: '6.0',
    start_ts: 1900,
    last_transition_ts: 1950,
    first_write_ts: at(1901),
    last_write_ts: at(1940),
    hb: NOW,
    status: 'done',
    conditions: [],
    n: [],
    pbm_version: '2.15.0',
    balancer: 'off',
    ...changes,
  }
}

describe('a backup in list and status', () => {
  it('has the fields of PBM, and only those that hold something', () => {
    assert.deepEqual(toSnapshot(backup({}), NOW), {
      name: '2031-02-03T04:05:06Z',
      size: 10,
      status: 'done',
      printStatus: 'success',
      restoreTo: 1940,
      pbmVersion: '2.15.0',
      type: 'logical',
      src: '',
    })
  })

  it('never reads as done when it is not', () => {
    const cases: [Partial<BackupDocument>, string | undefined, string, string, RegExp | undefined][] = [
      [{}, 'other FCV', 'error', 'failed', /^incompatible: other FCV$/],
      [{ status: 'canceled', error: 'canceled' }, undefined, 'canceled', 'failed', /canceled/],
      [{ status: 'error', error: 'disk full' }, undefined, 'error', 'failed', /^disk full$/],
      [{ status: 'error' }, undefined, 'error', 'failed', /no reason/],
      [{ status: 'running' }, undefined, 'running', 'ongoing', undefined],
      [{ status: 'running', hb: at(1000) }, undefined, 'error', 'failed', /stuck at 'running'/],
      [{ status: 'starting', hb: at(1970) }, undefined, 'starting', 'ongoing', undefined],
    ]
    for (const [changes, incompatible, status, printStatus, error] of cases) {
      const snapshot = toSnapshot(backup(changes), NOW, incompatible)
      assert.equal(snapshot.status, status)
      assert.equal(snapshot.printStatus, printStatus)
      if (error === undefined) assert.equal(snapshot.error, undefined)
      else assert.match(snapshot.error ?? '', error)
    }
  })

  it('prints no time where PBM wrote "unset"', () => {
    assert.equal(restoreTime(toSnapshot(backup({ last_write_ts: at(1) }), NOW)), '-')
    assert.equal(restoreTime(toSnapshot(backup({}), NOW)), '1970-01-01T00:32:20')
  })
})
