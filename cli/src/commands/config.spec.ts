import assert from 'node:assert/strict'
import { splitSettings } from './config.js'

describe('config --set', () => {
  it('takes several settings in one flag, and leaves commas in values alone', () => {
    assert.deepEqual(splitSettings('a.b=1'), ['a.b=1'])
    assert.deepEqual(splitSettings('a.b=1,c.d=x'), ['a.b=1', 'c.d=x'])
    assert.deepEqual(splitSettings('storage.s3.debugLogLevels=Signing,Retries,pitr.enabled=true'), [
      'storage.s3.debugLogLevels=Signing,Retries',
      'pitr.enabled=true',
    ])
    assert.deepEqual(splitSettings('backup.priority.host:27017=2,backup.compression=s2'), [
      'backup.priority.host:27017=2',
      'backup.compression=s2',
    ])
    assert.deepEqual(splitSettings('a.b=1,backup.priority.my.host:27017=2'), [
      'a.b=1',
      'backup.priority.my.host:27017=2',
    ])
    assert.deepEqual(splitSettings('a.b='), ['a.b='])
  })
})
