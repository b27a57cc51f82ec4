import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { body, failure, get } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import { connect } from './client.js'
import type { S3Options } from './index.js'
import { TestServer } from './minio.support.js'
import { s3Store } from './store.js'

const MIB = 1024 ** 2

const SIZE = 23 * MIB + 5

describe('storage-s3 on MinIO', () => {
  const server = new TestServer()
  let options: S3Options

  before(async function () {
    // A key management of its own: objects can be encrypted by the server (AES256, aws:kms).
    const settings = { MINIO_KMS_SECRET_KEY: `testbed-key:${randomBytes(32).toString('base64')}` }
    await server.start(this, { settings })
  })
  beforeEach(async () => {
    options = await server.bucket()
  })
  afterEach(() => server.closeStores())
  after(() => server.stop())

  const head = (Key: string) => server.admin.send(new HeadObjectCommand({ Bucket: options.bucket, Key }))

  describe('leaves no upload behind', () => {
    for (const bytes of [0, 1000, 10 * MIB, 21 * MIB, 55 * MIB]) {
      it(`when a body fails after ${bytes} bytes`, async () => {
        const store = await server.open(options)
        async function* failing(): AsyncGenerator<Uint8Array> {
          for (let sent = 0; sent < bytes; sent += MIB) yield Buffer.alloc(Math.min(MIB, bytes - sent))
          throw new Error('the source was cut')
        }
        await assert.rejects(store.save('object', failing()), /the source was cut/)
        assert.equal(await server.uploads(options.bucket), 0)
      })

      it(`when it is aborted after ${bytes} bytes`, async () => {
        const store = await server.open(options)
        const controller = new AbortController()
        async function* aborting(): AsyncGenerator<Uint8Array> {
          for (let sent = 0; sent < bytes; sent += MIB) yield Buffer.alloc(Math.min(MIB, bytes - sent))
          controller.abort()
          await new Promise(() => undefined)
        }
        const error = await failure(store.save('object', aborting(), { signal: controller.signal }))
        assert.ok(hasCode(error, 'STORAGE_ABORTED'), String(error))
        assert.equal(await server.uploads(options.bucket), 0)
      })
    }

    it('when the store is closed in the middle', async () => {
      const store = await server.open(options)
      let reached: () => void = () => undefined
      const begun = new Promise<void>((resolve) => {
        reached = resolve
      })
      async function* hanging(): AsyncGenerator<Uint8Array> {
        for (let sent = 0; sent < 35; sent++) yield Buffer.alloc(MIB)
        reached()
        await new Promise(() => undefined)
      }
      const saving = failure(store.save('object', hanging()))
      await begun
      await store.close()
      assert.ok(hasCode(await saving, 'STORAGE_CLOSED'))
      assert.equal(await server.uploads(options.bucket), 0)
    })

    it('when the process shuts down, or more parts are needed than allowed', async () => {
      const process = new AbortController()
      const store = await server.open({ ...options, maxUploadParts: 2 }, { signal: process.signal })
      const error = await failure(store.save('object', body(...Array.from({ length: 60 }, () => Buffer.alloc(MIB)))))
      assert.match(error.message, /grew beyond 2 parts; raise storage\.s3\.uploadPartSize/)
      process.abort()
      assert.ok(hasCode(await failure(store.save('object', body(Buffer.alloc(1)))), 'STORAGE_ABORTED'))
      assert.equal(await server.uploads(options.bucket), 0)
    })
  })

  describe('options', () => {
    it('cuts parts as configured, and sends a small object in one request', async () => {
      const store = await server.open({ ...options, uploadPartSize: 6 * MIB })
      await store.save('object', body(Buffer.alloc(SIZE, 1)))
      assert.match((await head('object')).ETag ?? '', /-4"$/)
      await store.save('small', body(Buffer.alloc(6 * MIB, 1)))
      assert.doesNotMatch((await head('small')).ETag ?? '', /-/)
    })

    for (const prefix of ['folder', 'folder/', 'a/b//c']) {
      it(`keeps everything below the prefix ${prefix}`, async () => {
        const store = await server.open({ ...options, prefix })
        const root = prefix.replace('//', '/').replace(/\/?$/, '/')
        await store.save('x/object', body(Buffer.from('mine')))
        await server.admin.send(
          new PutObjectCommand({ Bucket: options.bucket, Key: `${root}marker/`, Body: Buffer.alloc(0) }),
        )
        await server.admin.send(new PutObjectCommand({ Bucket: options.bucket, Key: 'other', Body: 'other' }))
        assert.equal((await head(`${root}x/object`)).ContentLength, 4)
        const names: string[] = []
        for await (const { name } of store.list()) names.push(name)
        assert.deepEqual(names, ['x/object'])
        await store.copy('x/object', 'y')
        assert.equal((await get(store, 'y')).toString(), 'mine')
      })
    }

    it('gives objects the storage class', async () => {
      const store = await server.open({ ...options, storageClass: 'REDUCED_REDUNDANCY' })
      await store.save('object', body(Buffer.from('x')))
      await store.save('parts', body(Buffer.alloc(SIZE)))
      await store.copy('object', 'copy')
      for (const name of ['object', 'parts', 'copy'])
        assert.equal((await head(name)).StorageClass, 'REDUCED_REDUNDANCY', name)
      const error = await failure(
        (await server.open({ ...options, storageClass: 'NO_SUCH' })).save('object', body(Buffer.from('x'))),
      )
      assert.match(error.message, /storage\.s3\.storageClass/)
    })

    for (const [sseAlgorithm, kmsKeyID] of [
      ['AES256', undefined],
      ['aws:kms', 'testbed-key'],
    ] as const) {
      it(`encrypts on the server with ${sseAlgorithm}`, async () => {
        const serverSideEncryption = { sseAlgorithm, ...(kmsKeyID === undefined ? {} : { kmsKeyID }) }
        const store = await server.open({ ...options, serverSideEncryption })
        const bytes = randomBytes(SIZE)
        await store.save('object', body(bytes))
        await store.copy('object', 'copy')
        await store.save('small', body(Buffer.from('x')))
        for (const name of ['object', 'copy', 'small'])
          assert.equal((await head(name)).ServerSideEncryption, sseAlgorithm)
        assert.ok((await get(store, 'copy')).equals(bytes))
      })
    }

    it('tells that a key of the KMS is missing', async () => {
      const serverSideEncryption = { sseAlgorithm: 'aws:kms', kmsKeyID: 'no-such-key' }
      const store = await server.open({ ...options, serverSideEncryption })
      const error = await failure(store.save('object', body(Buffer.from('x'))))
      assert.match(error.message, /storage\.s3\.serverSideEncryption/)
    })

    it('copies large objects by parts on the server', async () => {
      const context = { signal: new AbortController().signal, warn: () => undefined }
      const limits = { single: 8 * MIB, part: 5 * MIB }
      const store = s3Store(options, context, await connect(options, undefined), 's3://x', limits)
      const bytes = randomBytes(SIZE)
      await store.save('source', body(bytes))
      const told: number[] = []
      await store.copy('source', 'object', { onProgress: (soFar) => told.push(soFar) })
      assert.equal(told.at(-1), SIZE)
      assert.match((await head('object')).ETag ?? '', /-5"$/)
      assert.ok((await get(store, 'object')).equals(bytes))
      const controller = new AbortController()
      const copying = store.copy('source', 'object', {
        signal: controller.signal,
        onProgress: () => controller.abort(),
      })
      await copying.catch(() => undefined)
      assert.equal(await server.uploads(options.bucket), 0)
      await store.close()
    })

    it('keeps "only if absent" when two write at once, in one request and in parts', async () => {
      const store = await server.open(options)
      assert.equal(store.capabilities.ifAbsent, true)
      for (const [name, size] of [
        ['small', 1000],
        ['object', SIZE],
      ] as const) {
        const saves = [1, 2, 3].map((fill) => store.save(name, body(Buffer.alloc(size, fill)), { ifAbsent: true }))
        const outcomes = await Promise.allSettled(saves)
        assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1, name)
        for (const outcome of outcomes)
          if (outcome.status === 'rejected')
            assert.ok(hasCode(outcome.reason, 'STORAGE_EXISTS'), String(outcome.reason))
        const [first = 0] = await get(store, name)
        assert.equal(outcomes[first - 1]?.status, 'fulfilled')
      }
      assert.equal(await server.uploads(options.bucket), 0)
    })

    it('reads on where the connection broke, and tells when the object was replaced', async () => {
      const store = await server.open({ ...options, retryer: { numMaxRetries: 20, maxRetryDelay: '500ms' } })
      const bytes = randomBytes(24 * MIB)
      await store.save('object', body(bytes))
      const chunks: Uint8Array[] = []
      let restarted = false
      for await (const chunk of await store.read('object')) {
        chunks.push(chunk)
        if (restarted) continue
        restarted = true
        await server.minio.restart()
      }
      assert.ok(Buffer.concat(chunks).equals(bytes))
      restarted = false
      const reading = async () => {
        for await (const _ of await store.read('object')) {
          if (restarted) continue
          restarted = true
          // In this order: MinIO lets a write of an object wait for those who still read it, here for 30 s.
          await server.minio.restart()
          await store.save('object', body(Buffer.alloc(24 * MIB)))
        }
      }
      const error = await failure(reading())
      assert.match(error.message, /by now the object was replaced/)
    })

    it('goes on with an upload when the server was away', async () => {
      const store = await server.open({ ...options, retryer: { numMaxRetries: 20, maxRetryDelay: '500ms' } })
      async function* source(): AsyncGenerator<Uint8Array> {
        for (let sent = 0; sent < 60; sent++) {
          if (sent === 35) await server.minio.restart()
          yield Buffer.alloc(MIB, sent)
        }
      }
      assert.equal((await store.save('object', source())).size, 60 * MIB)
      assert.equal((await get(store, 'object')).at(-1), 59)
      assert.equal(await server.uploads(options.bucket), 0)
    })
  })
})
