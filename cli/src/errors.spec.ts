import assert from 'node:assert/strict'
import { PbmError } from '@pbmkit/core'
import { CommanderError } from 'commander'
import { errorReport, exitCodeOf, notSupportedYet, usageError, withoutCredentials } from './errors.js'

describe('errors of the command line', () => {
  it('gives each kind its exit code', () => {
    assert.equal(exitCodeOf(new Error('x')), 1)
    assert.equal(exitCodeOf(new PbmError('BACKUP_FAILED', 'x')), 1)
    assert.equal(exitCodeOf(usageError('x')), 2)
    assert.equal(exitCodeOf(notSupportedYet('--ns')), 2)
    assert.equal(exitCodeOf(new CommanderError(1, 'commander.unknownOption', 'x')), 2)
    assert.equal(exitCodeOf(new CommanderError(0, 'commander.helpDisplayed', 'x')), 0)
    assert.equal(exitCodeOf(new PbmError('WAIT_TIME', 'x')), 3)
    assert.equal(exitCodeOf(new PbmError('OPERATION_RUNNING', 'x')), 4)
    assert.equal(exitCodeOf(new PbmError('INTERRUPTED', 'x')), 130)
  })

  it('reports message, code and hint, and the cause where the message does not have it', () => {
    assert.deepEqual(
      errorReport(new PbmError('X', 'opening failed', { hint: 'close it', cause: new Error('EACCES') })),
      {
        Error: 'opening failed: EACCES',
        code: 'X',
        hint: 'close it',
      },
    )
    assert.deepEqual(errorReport(new Error('plain')), { Error: 'plain', code: 'ERROR' })
    assert.deepEqual(errorReport('odd'), { Error: 'odd', code: 'ERROR' })
  })

  it('says in words what a user may not do, and nothing that the server quotes', () => {
    const quoted = 'not authorized on admin to execute command { insert: "pbmCmd", documents: [ { secret: 1 } ] }'
    const { Error: message, code, hint } = errorReport(Object.assign(new Error(quoted), { code: 13 }))
    assert.deepEqual([message, code], ['the user may not insert on admin.pbmCmd', 'NOT_PERMITTED'])
    assert.match(hint ?? '', /pbmkitOperator.*setup-roles --create --role operator/)
    const look = errorReport(Object.assign(new Error(quoted.replace('insert', 'find')), { code: 13 }))
    assert.match(look.hint ?? '', /pbmkitViewer/)
    assert.equal(errorReport(Object.assign(new Error('no'), { code: 13 })).Error, 'the user may not do that')
  })

  it('never tells the credentials of a URI', () => {
    const uri = 'mongodb://pbm:s3cr%40t@host:27017/?replicaSet=rs0'
    assert.equal(withoutCredentials(`at ${uri}`), 'at mongodb://***@host:27017/?replicaSet=rs0')
    assert.doesNotMatch(errorReport(new Error(`bad ${uri}`)).Error, /s3cr/)
    const plain = 'mongodb://pbm:s3/cr@t@host:27017/?tlsCertificateKeyFilePassword=s3crt'
    assert.doesNotMatch(errorReport(new Error(`bad ${plain}`)).Error, /s3|cr@t/)
  })
})
