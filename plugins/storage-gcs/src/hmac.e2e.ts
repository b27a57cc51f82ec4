import assert from 'node:assert/strict'
import { findMinio, type Minio, orSkip, startMinio } from '@pbmkit/conformance/testbed'
import plugin, { type GcsOptions } from './index.js'

// fake-gcs-server knows neither HMAC keys nor uploads by the XML API. That API is S3's, so MinIO takes the part of Google.
describe('storage-gcs with an HMAC key', () => {
  let minio: Minio
  before(async function () {
    this.timeout(45 * 60_000)
    await orSkip(this, () => findMinio({ onProgress: console.error }))
    minio = await startMinio({ buckets: ['backups'], settings: { MINIO_REGION: 'auto' } })
  })
  after(() => minio?.stop())

  const context = { signal: new AbortController().signal, warn: () => undefined }
  const options = (hmacSecret: string): GcsOptions => ({
    bucket: 'backups',
    prefix: 'production',
    endpointUrl: minio.endpoint,
    chunkSize: 5 * 1024 * 1024,
    credentials: { hmacAccessKey: minio.accessKeyId, hmacSecret },
    retryer: { maxAttempts: 1 },
  })

  it('stores, lists, copies, reads and deletes', async () => {
    const store = await plugin.open(options(minio.secretAccessKey), context)
    const bytes = Buffer.alloc(12 * 1024 * 1024, 'pbmkit ')
    async function* body() {
      for (let at = 0; at < bytes.length; at += 1_000_000) yield bytes.subarray(at, at + 1_000_000)
    }
    assert.equal((await store.save('folder/object', body())).size, bytes.length)
    await store.copy('folder/object', 'copy')
    const names: string[] = []
    for await (const { name } of store.list()) names.push(name)
    assert.deepEqual(names.sort(), ['copy', 'folder/object'])
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('copy', { offset: 100 })) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(bytes.subarray(100)))
    await store.delete('copy')
    await assert.rejects(store.stat('copy'), { code: 'STORAGE_NOT_FOUND', message: /gs:\/\/backups\/production\/copy/ })
    assert.equal(store.capabilities.ifAbsent, false)
    await store.close()
    await assert.rejects(store.stat('copy'), { code: 'STORAGE_CLOSED' })
  })

  it('names its own options where a key is wrong, and shows no secret', async () => {
    const error = await plugin.open(options('a wrong secret'), context).then(
      () => assert.fail('must be refused'),
      (reason: Error & { code?: string }) => reason,
    )
    assert.equal(error.code, 'STORAGE_DENIED')
    assert.match(error.message, /storage\.gcs\.credentials\.hmacSecret/)
    assert.ok(!`${error.stack}${String(error.cause)}`.includes('a wrong secret'))
  })
})
