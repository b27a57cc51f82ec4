import assert from 'node:assert/strict'
import { judgeLock, type LockRecord } from './forgotten-lock.js'

const SINCE = 1_900_000_000_000
const cursor = { inode: '17', modified: `${SINCE + 40}000000` }
const asked: LockRecord = { process: 'one', since: SINCE }
const held: LockRecord = { ...asked, cursor }

describe('a lock that is written down', () => {
  const facts = { process: 'one', isAsking: false }
  const older = { inode: '3', modified: `${SINCE - 5_000}000000` }
  const cases: [string, LockRecord, Parameters<typeof judgeLock>[1], string][] = [
    ['held by us', held, { ...facts, found: cursor }, 'unlock'],
    ['ended, and nobody holds one', held, { ...facts, found: undefined }, 'forget'],
    ['ended, and somebody else holds one', held, { ...facts, found: { ...cursor, inode: '18' } }, 'forget'],
    ['of a server that was restarted', held, { ...facts, process: 'two', found: cursor }, 'forget'],
    ['asked for and granted', asked, { ...facts, found: cursor }, 'unlock'],
    ['asked for and granted, and not answered yet', asked, { ...facts, found: cursor, isAsking: true }, 'unlock'],
    ['asked for and not granted yet', asked, { ...facts, found: undefined, isAsking: true }, 'wait'],
    ['asked for in vain', asked, { ...facts, found: undefined }, 'forget'],
    ['asked for, while an older one was held', asked, { ...facts, found: older }, 'forget'],
    ['asked for beside an older one, and not granted yet', asked, { ...facts, found: older, isAsking: true }, 'wait'],
  ]
  for (const [what, record, facts, verdict] of cases) {
    it(`${what}: ${verdict}`, () => assert.equal(judgeLock(record, facts), verdict))
  }
})
