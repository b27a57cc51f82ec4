import assert from 'node:assert/strict'
import { type BackupVerification, faultOf } from './verification-document.js'

describe('what a verification has found, in one line', () => {
  const looked = { objects: 1, bytes: 1, objectsRead: 1, bytesRead: 1, unread: [], notes: [], lost: [] }
  const good: BackupVerification = { ...looked, name: 'a', result: 'good', damages: [], restorable: 'all' }
  const damage = { object: 'b/x', code: 'BACKUP_DAMAGED', what: 'b/x is altered' }

  it('names each backup with its first damage, and how many there are', () => {
    const bad: BackupVerification = { ...good, name: 'b', result: 'damaged', damages: [damage, damage] }
    const unread: BackupVerification = { ...good, name: 'c', result: 'unread', unread: ['c/y: no key'] }
    const report = { result: 'damaged' as const, readData: 100, backups: [good, bad, unread], more: 1 }
    assert.equal(faultOf(report), 'backup b: b/x is altered; backup c: c/y: no key; 3 findings in all')
  })
})
