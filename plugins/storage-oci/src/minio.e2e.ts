import assert from 'node:assert/strict'
import { findMinio, type Minio, orSkip, roundTrip, startMinio } from '@pbmkit/conformance/testbed'
import plugin, { type OciOptions } from './index.js'

// Nothing that can be had speaks the vendor's own S3: MinIO takes its part.
describe('storage-oci', () => {
  let minio: Minio
  before(async function () {
    this.timeout(45 * 60_000)
    await orSkip(this, () => findMinio({ onProgress: console.error }))
    minio = await startMinio({ buckets: ['backups'] })
  })
  after(() => minio?.stop())

  const context = { signal: new AbortController().signal, warn: () => undefined }
  const options = (secret: string): OciOptions => ({
    ...{ region: 'us-east-1', namespace: 'ns', bucket: 'backups', prefix: 'production', endpointUrl: minio.endpoint },
    credentials: { accessKeyId: minio.accessKeyId, secretAccessKey: secret },
  })

  it('stores, lists, reads and deletes below its prefix', async () => {
    const store = await plugin.open(options(minio.secretAccessKey), context)
    await roundTrip(store)
    const gone = { code: 'STORAGE_NOT_FOUND', message: /oci:\/\/backups\/production\/folder\/object/ }
    await assert.rejects(store.stat('folder/object'), gone)
    await store.close()
  })

  it('names its own options where a key is wrong', async () => {
    const denied = { code: 'STORAGE_DENIED', message: /storage\.oci\.credentials\.secretAccessKey/ }
    await assert.rejects(plugin.open(options('a wrong secret'), context), denied)
  })
})
