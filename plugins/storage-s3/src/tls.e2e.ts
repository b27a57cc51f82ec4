import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { failure } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import { connect } from './client.js'
import type { S3Options } from './index.js'
import { TestServer } from './minio.support.js'

const MIB = 1024 ** 2

async function* body(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB)
}

describe('storage-s3 over TLS', () => {
  const server = new TestServer()
  let options: S3Options
  let trusting: S3Options

  before(async function () {
    await server.start(this, { tls: true })
    options = server.options('bucket')
    trusting = { ...options, caFile: server.minio.caFile ?? '' }
    const admin = await connect(trusting, undefined)
    await admin.client.send(new CreateBucketCommand({ Bucket: 'bucket' }))
    admin.destroy()
  })
  afterEach(() => server.closeStores())
  after(() => server.stop())

  it('refuses a certificate that nobody trusts, and tells how to trust it', async () => {
    const error = await failure(server.open(options))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && !error.retriable, String(error))
    assert.match(
      error.message,
      /certificate of https:.* is not trusted.*storage\.s3\.caFile.*insecureSkipTLSVerify: true/,
    )
  })

  it('trusts the authority of caFile, and gives back what it got on several connections at once', async () => {
    const store = await server.open(trusting)
    const bytes = randomBytes(21 * MIB)
    await store.save('object', body(bytes))
    assert.equal((await store.stat('object')).size, bytes.length)
    const offsets = [0, 1, 5 * MIB]
    const parts = await Promise.all(
      offsets.map(async (offset) => {
        const chunks: Uint8Array[] = []
        for await (const chunk of await store.read('object', { offset })) chunks.push(chunk)
        return Buffer.concat(chunks)
      }),
    )
    for (const [index, part] of parts.entries()) assert.ok(part.equals(bytes.subarray(offsets[index])))
  })

  it('trusts anything with insecureSkipTLSVerify, and says so', async () => {
    const warnings: string[] = []
    const warn = (text: string) => void warnings.push(text)
    const store = await server.open({ ...options, insecureSkipTLSVerify: true }, { warn })
    await store.save('object', body(Buffer.from('x')))
    assert.match(warnings.join(), /insecureSkipTLSVerify/)
  })

  it('tells that http:// was written for a port of TLS', async () => {
    const error = await failure(
      server.open({ ...options, endpointUrl: server.minio.endpoint.replace('https', 'http') }),
    )
    assert.match(error.message, /if it speaks TLS, write https:\/\//)
  })

  it('encrypts with a customer key, and tells a wrong one and none', async () => {
    const key = randomBytes(32).toString('base64')
    const withKey = (sseCustomerKey: string) => ({
      ...trusting,
      serverSideEncryption: { sseCustomerAlgorithm: 'AES256', sseCustomerKey },
    })
    const store = await server.open(withKey(key))
    const bytes = randomBytes(21 * MIB)
    await store.save('large', body(bytes))
    await store.save('small', body(Buffer.from('x')))
    await store.copy('large', 'copy')
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('copy', { offset: 5 })) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(bytes.subarray(5)))
    for (const other of [trusting, withKey(randomBytes(32).toString('base64'))]) {
      const blind = await server.open(other)
      for (const work of [() => blind.read('small'), () => blind.stat('small'), () => blind.copy('small', 'x')]) {
        const error = await failure(work())
        assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
        assert.match(error.message, /storage\.s3\.serverSideEncryption/)
        assert.ok(!error.message.includes(key))
      }
    }
  })
})
