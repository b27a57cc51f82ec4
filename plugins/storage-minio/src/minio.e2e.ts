import assert from 'node:assert/strict'
import { findMinio, type Minio, orSkip, roundTrip, startMinio } from '@pbmkit/conformance/testbed'
import plugin, { type MinioOptions } from './index.js'

// The suite of storages runs on the S3 plugin, which does the work here.
describe('storage-minio', () => {
  let minio: Minio
  before(async function () {
    this.timeout(45 * 60_000)
    await orSkip(this, () => findMinio({ onProgress: console.error }))
    minio = await startMinio({ buckets: ['backups'] })
  })
  after(() => minio?.stop())

  const context = { signal: new AbortController().signal, warn: () => undefined }
  const options = (secret: string): MinioOptions => ({
    ...{ bucket: 'backups', prefix: 'production', endpoint: new URL(minio.endpoint).host },
    credentials: { 'access-key-id': minio.accessKeyId, 'secret-access-key': secret, 'signature-ver': 'V2' },
  })

  it('stores, lists, reads and deletes below its prefix', async () => {
    const store = await plugin.open(options(minio.secretAccessKey), context)
    await roundTrip(store)
    const gone = { code: 'STORAGE_NOT_FOUND', message: /minio:\/\/backups\/production\/folder\/object/ }
    await assert.rejects(store.stat('folder/object'), gone)
    await store.close()
  })

  it('names its own options in errors and warnings', async () => {
    const warnings: string[] = []
    const warn = (text: string) => void warnings.push(text)
    const wrong = { ...options('a wrong secret'), insecureSkipTLSVerify: true }
    const denied = { code: 'STORAGE_DENIED', message: /storage\.minio\.credentials\.secret-access-key/ }
    await assert.rejects(plugin.open(wrong, { ...context, warn }), denied)
    assert.deepEqual(
      warnings.map((text) => text.split(' ')[0]),
      ['storage.minio.credentials.signature-ver', 'storage.minio.insecureSkipTLSVerify'],
    )
  })
})
