import assert from 'node:assert/strict'
import { isDataFile } from './data-files.js'
import { longestLock } from './longest-lock.js'
import { SILENT_MS, whyUnlock } from './watchdog-words.js'

describe('what a physical backup copies', () => {
  it('is what WiredTiger needs, wherever the options put it', () => {
    const wanted = [
      ...['WiredTiger', 'WiredTiger.backup', 'WiredTigerHS.wt', '_mdb_catalog.wt', 'sizeStorer.wt', 'storage.bson'],
      ...['collection-0--1.wt', 'shop/index/3--1.wt'],
    ]
    assert.deepEqual(
      wanted.filter((path) => !isDataFile(path)),
      [],
    )
  })

  it('is nothing that changes under the lock, and nothing that people lay there', () => {
    const others = [
      ...[
        'WiredTiger.wt',
        'WiredTiger.turtle',
        'WiredTiger.lock',
        'mongod.lock',
        'journal/WiredTigerPreplog.0000000001',
      ],
      ...['journal/WiredTigerLog.0000000001', 'mongod.log', 'keyfile', 'old.wt.bak', 'WiredTiger.backup.old'],
    ]
    assert.deepEqual(others.filter(isDataFile), [])
  })
})

describe('how long a member is locked', () => {
  it('is 10 s at the most, or what the configuration says', () => {
    const secondary = { isPrimary: false }
    assert.equal(longestLock({}, secondary), 10_000)
    assert.equal(longestLock({ backup: { physical: { maxLockSeconds: 60 } } }, secondary), 60_000)
    assert.equal(longestLock({ backup: { physical: { allowLongLock: true } } }, secondary), undefined)
  })

  it('is less on a primary, whose heartbeats wait', () => {
    for (const physical of [{ maxLockSeconds: 60 }, { allowLongLock: true }]) {
      assert.equal(longestLock({ backup: { physical } }, { isPrimary: true }), 15_000)
    }
  })

  it('is over at the deadline, and when the agent is silent', () => {
    const times = { now: 100_000, asked: 99_000, lastBeat: 99_900, maxLockMs: 2_000 }
    assert.equal(whyUnlock(times), undefined)
    assert.match(whyUnlock({ ...times, asked: 98_000 }) ?? '', /longer than 2 s/)
    assert.match(whyUnlock({ ...times, lastBeat: 100_000 - SILENT_MS, maxLockMs: undefined }) ?? '', /silent/)
  })
})
