import assert from 'node:assert/strict'
import type { BackupDocument } from '../control/backup-document.js'
import { leftoversOf } from './leftovers.js'

const failed = (fields: Record<string, unknown>) =>
  ({
    type: 'logical',
    name: '2031-02-03T04:05:06Z',
    opid: 'a'.repeat(24),
    pbm_version: '2.15.0',
    store: { type: 'filesystem' },
    status: 'error',
    replsets: [],
    conditions: [{ timestamp: 1, status: 'error' }],
    began_here: true,
    ...fields,
  }) as unknown as BackupDocument

describe('What failed backups left', () => {
  const refused: unknown[] = []
  const names = (...records: BackupDocument[]) => {
    refused.length = 0
    return leftoversOf(records, ({ name }) => refused.push(name)).map(({ name }) => name)
  }

  it('goes where the backup began here and never was done', () => {
    assert.deepEqual(names(failed({})), ['2031-02-03T04:05:06Z'])
    assert.deepEqual(names(failed({ conditions: [{ status: 'done' }, { status: 'error' }] })), [])
    assert.deepEqual(refused, [])
  })

  it('stays where only a record of the storage says that it failed', () => {
    assert.deepEqual(names(failed({ began_here: undefined })), [])
    assert.deepEqual(refused, [])
  })

  it('is found past records that can not be those of backups', () => {
    const odd = [
      failed({ name: { a: 2 } }),
      failed({ name: '2031-02-03T04:05:06Z/rs0' }),
      failed({ opid: 7 }),
      failed({ store: undefined }),
      failed({ store: { name: 'weekly', profile: true, type: '' } }),
      failed({ pbm_version: {} }),
      failed({ replsets: [{ dump_name: { toString: 1 } }] }),
    ]
    assert.deepEqual(names(...odd, failed({ name: 'good' })), ['good'])
    assert.equal(refused.length, odd.length)
  })
})
