import assert from 'node:assert/strict'
import type { Config } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { keysWithoutEffect } from './without-effect.js'

const epoch = new Timestamp(0n)

describe('keys without an effect', () => {
  it('are told when they are set, and not again', () => {
    const next: Config = {
      storage: { type: 'gcs', gcs: { bucket: 'b', clientType: 'grpc' }, s3: { bucket: 'b' } },
      restore: { downloadChunkMb: 8, numInsertionWorkers: 2 },
      epoch,
    }
    const told = ['storage.s3', 'storage.gcs.clientType', 'restore.downloadChunkMb']
    assert.deepEqual(keysWithoutEffect(next, undefined, 'gcs'), told)
    assert.deepEqual(keysWithoutEffect(next, next, 'gcs'), [])
    const before: Config = { ...next, restore: { downloadChunkMb: 16 } }
    assert.deepEqual(keysWithoutEffect(next, before, 'gcs'), ['restore.downloadChunkMb'])
  })
})
