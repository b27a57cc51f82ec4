import { randomUUID } from 'node:crypto'
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { findMinio, type Minio, type MinioOptions, orSkip, startMinio } from '@pbmkit/conformance/testbed'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import plugin, { type S3Options } from './index.js'

/** A MinIO for the tests of one file, and what they look at it with. */
export class TestServer {
  readonly #opened: ObjectStore[] = []
  #minio: Minio | undefined
  #admin: S3Client | undefined

  /** Starts it; where none can be had, the tests of this `describe` are skipped and say why. */
  async start(test: Mocha.Context, options: MinioOptions = {}): Promise<void> {
    // Building it takes some minutes, the first time.
    test.timeout(45 * 60_000)
    await orSkip(test, () => findMinio({ onProgress: console.error }))
    this.#minio = await startMinio(options)
    if (options.tls === true) return
    const { endpoint, accessKeyId, secretAccessKey } = this.#minio
    const credentials = { accessKeyId, secretAccessKey }
    this.#admin = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
  }

  get minio(): Minio {
    if (this.#minio === undefined) throw new Error('MinIO is not started')
    return this.#minio
  }

  /** As root, without the plugin between. */
  get admin(): S3Client {
    if (this.#admin === undefined) throw new Error('MinIO is not started')
    return this.#admin
  }

  /** Options of a new bucket of its own. */
  async bucket(more: Partial<S3Options> = {}): Promise<S3Options> {
    const bucket = `test-${randomUUID()}`
    await this.admin.send(new CreateBucketCommand({ Bucket: bucket }))
    return { ...this.options(bucket), ...more }
  }

  options(bucket: string): S3Options {
    const { endpoint, accessKeyId, secretAccessKey } = this.minio
    const credentials = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey }
    return { bucket, endpointUrl: endpoint, credentials }
  }

  async open(options: S3Options, context: Partial<PluginContext> = {}): Promise<ObjectStore> {
    const standard = { signal: new AbortController().signal, warn: () => undefined }
    const store = await plugin.open(options, { ...standard, ...context })
    this.#opened.push(store)
    return store
  }

  /** Uploads that were begun and neither completed nor removed. */
  async uploads(bucket: string): Promise<number> {
    // MinIO lists the uploads of exactly this key only, so tests use one.
    const { Uploads = [] } = await this.admin.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: 'object' }),
    )
    return Uploads.length
  }

  async closeStores(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close()
  }

  async stop(): Promise<void> {
    await this.closeStores()
    this.#admin?.destroy()
    await this.#minio?.stop()
  }
}
