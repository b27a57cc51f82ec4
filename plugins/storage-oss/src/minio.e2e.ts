import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findMinio, type Minio, startMinio } from '@pbmkit/conformance/testbed'
import plugin, { type OssOptions } from './index.js'

// Nothing that can be had speaks the vendor's own S3: MinIO takes its part.
describe('storage-oss', () => {
  let minio: Minio
  before(async function () {
    this.timeout(45 * 60_000)
    try {
      await findMinio({ onProgress: console.error })
    } catch (error) {
      console.error(`skipped: ${(error as Error).message.split('\n')[0]}`)
      this.skip()
    }
    minio = await startMinio()
    // MinIO takes a folder for a bucket.
    await mkdir(join(minio.dataFolder, 'backups'))
  })
  after(() => minio?.stop())

  const context = { signal: new AbortController().signal, warn: () => undefined }
  const options = (secret: string): OssOptions => ({
    ...{ bucket: 'backups', prefix: 'production', endpointUrl: minio.endpoint },
    credentials: { accessKeyId: minio.accessKeyId, accessKeySecret: secret },
  })

  it('stores, lists, reads and deletes below its prefix', async () => {
    const store = await plugin.open(options(minio.secretAccessKey), context)
    async function* body() {
      yield Buffer.from('pbmkit')
    }
    await store.save('folder/object', body())
    const names: string[] = []
    for await (const { name } of store.list()) names.push(name)
    assert.deepEqual(names, ['folder/object'])
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('folder/object')) chunks.push(chunk)
    assert.equal(Buffer.concat(chunks).toString(), 'pbmkit')
    await store.delete('folder/object')
    const gone = { code: 'STORAGE_NOT_FOUND', message: /oss:\/\/backups\/production\/folder\/object/ }
    await assert.rejects(store.stat('folder/object'), gone)
    await store.close()
  })

  it('names its own options where a key is wrong', async () => {
    const denied = { code: 'STORAGE_DENIED', message: /storage\.oss\.credentials\.accessKeySecret/ }
    await assert.rejects(plugin.open(options('a wrong secret'), context), denied)
  })
})
