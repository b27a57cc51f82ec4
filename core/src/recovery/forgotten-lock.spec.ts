import assert from 'node:assert/strict'
import { judgeLock, type LockRecord } from './forgotten-lock.js'

const SINCE = 1_900_000_000_000
const cursor = { inode: '17', modified: `${SINCE + 40}000000` }
const asked: LockRecord = { process: 'one', since: SINCE }
const held: LockRecord = { ...asked, cursor }

describe('a lock that is written down', () => {
  const cases: [string, LockRecord, Parameters<typeof judgeLock>[1], string][] = [
    ['held by us', held, { process: 'one', found: cursor, now: SINCE }, 'unlock'],
    ['ended, and nobody holds one', held, { process: 'one', found: undefined, now: SINCE }, 'forget'],
    [
      'ended, and somebody else holds one',
      held,
      { process: 'one', found: { ...cursor, inode: '18' }, now: SINCE },
      'forget',
    ],
    ['of a server that was restarted', held, { process: 'two', found: cursor, now: SINCE }, 'forget'],
    ['asked for and granted', asked, { process: 'one', found: cursor, now: SINCE }, 'unlock'],
    ['asked for and not granted yet', asked, { process: 'one', found: undefined, now: SINCE + 60_000 }, 'wait'],
    ['asked for in vain', asked, { process: 'one', found: undefined, now: SINCE + 3_600_000 }, 'forget'],
    [
      'asked for, while an older one was held',
      asked,
      { process: 'one', found: { inode: '3', modified: `${SINCE - 5_000}000000` }, now: SINCE },
      'forget',
    ],
  ]
  for (const [what, record, facts, verdict] of cases) {
    it(`${what}: ${verdict}`, () => assert.equal(judgeLock(record, facts), verdict))
  }
})
