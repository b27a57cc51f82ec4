import assert from 'node:assert/strict'
import { errorText, PbmError } from '../errors.js'
import { backupCanceled } from './canceled.js'
import { failureOf } from './operation-failure.js'

const words = { code: 'RESTORE_FAILED', repeat: 'repeat the restore' }

describe('failureOf', () => {
  it('tells of an operation that changes no data what it ended by', () => {
    const cause = new PbmError('STORAGE_FULL', 'the storage is full', { hint: 'delete something' })
    const failure = failureOf({ cause })
    assert.equal(failure.error, cause)
    assert.equal(failure.text, 'the storage is full: delete something')
    assert.equal(failure.isCanceled, false)
  })

  it('knows the end that somebody asked for', () => {
    assert.equal(failureOf({ cause: backupCanceled() }).isCanceled, true)
  })

  it('says what became of the data, and what to do', () => {
    const cause = new Error('no room')
    const tell = (changes: 'none' | 'some' | 'unknown') => failureOf({ cause, data: { words, changes } }).text
    assert.equal(tell('none'), 'no room: Nothing of the data was changed.')
    assert.equal(tell('some'), 'no room: The data of the cluster is incomplete now: repeat the restore.')
    assert.match(tell('unknown'), /Nobody can tell whether data was changed: repeat the restore unless/)
  })

  it('keeps the code of the cause, and has its own where there is none', () => {
    const code = (cause: unknown) => (failureOf({ cause, data: { words, changes: 'none' } }).error as PbmError).code
    assert.equal(code(new PbmError('BACKUP_DAMAGED', 'damaged')), 'BACKUP_DAMAGED')
    assert.equal(code(new Error('no room')), 'RESTORE_FAILED')
  })

  it('says it once where the words of another replica set say it already', () => {
    const first = failureOf({ cause: new Error('no room'), data: { words, changes: 'some' } })
    const cause = new PbmError('REPLSET_FAILED', `replica set rs1 is error: ${first.text}`)
    assert.equal(failureOf({ cause, data: { words, changes: 'some' } }).text, errorText(cause))
  })

  it('says that the primary has changed, whatever is around that error', () => {
    const cause = new Error('cannot insert', { cause: Object.assign(new Error('not primary'), { code: 10107 }) })
    const { text } = failureOf({ cause, data: { words, changes: 'some' } })
    assert.match(text, /^this node is no longer the primary: cannot insert: not primary: The data/)
  })
})
