import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import { hasCode, type ObjectStore } from '@pbmkit/core/plugin'
import { type Fault, FaultServer } from './fault-server.support.js'
import plugin, { type GcsOptions } from './index.js'

const CHUNK = 512 * 1024

describe('storage-gcs, when things fail', () => {
  let server: FaultServer
  const opened: ObjectStore[] = []
  beforeEach(async () => {
    server = new FaultServer()
    await server.start()
  })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    await server.stop()
  })

  const options = (more: Partial<GcsOptions> = {}): GcsOptions => ({
    bucket: 'b',
    endpointUrl: server.endpoint,
    chunkSize: CHUNK,
    retryer: { backoffInitial: '5ms', backoffMax: '20ms' },
    ...more,
  })
  const open = async (more: Partial<GcsOptions> = {}) => {
    const store = await plugin.open(options(more), { signal: new AbortController().signal, warn: () => undefined })
    opened.push(store)
    return store
  }
  /** The faults one after the other, then none. */
  const inTurn = (where: 'chunk' | 'media' | 'read', faults: readonly Fault[]) => {
    const left = [...faults]
    server.fault = (what) => (what === where ? left.shift() : undefined)
  }
  async function* body(bytes: Buffer) {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
  }
  async function read(store: ObjectStore, name: string): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read(name)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  async function refusal(work: Promise<unknown>): Promise<Error & { code: string; retriable: boolean }> {
    return work.then(
      () => assert.fail('must be refused'),
      (error: unknown) => error as Error & { code: string; retriable: boolean },
    )
  }

  const SCRIPTS: Readonly<Record<string, readonly Fault[]>> = {
    'a chunk of which half is stored': ['half'],
    'a connection that breaks when a chunk is stored': ['reset'],
    'one that breaks again and again': [undefined, 'reset', 'reset', 'half', 'reset'],
    'a server that can not now': [{ status: 503 }, { status: 429 }, undefined, { status: 500 }],
    'a server that forgets a chunk': ['refuse', 'refuse'],
  }
  for (const [what, faults] of Object.entries(SCRIPTS)) {
    for (const size of [CHUNK, 2 * CHUNK + 1000, 3 * CHUNK]) {
      it(`stores ${size} bytes in spite of ${what}`, async () => {
        const store = await open()
        const bytes = randomBytes(size)
        inTurn('chunk', faults)
        const progress: number[] = []
        const info = await store.save('object', body(bytes), { onProgress: (moved) => progress.push(moved) })
        assert.equal(info.size, size)
        assert.ok(server.objects.get('object')?.bytes.equals(bytes))
        assert.equal(progress.at(-1), size)
      })
    }
  }

  it('sends a small object again', async () => {
    const store = await open()
    inTurn('media', ['reset', { status: 503 }])
    await store.save('object', body(Buffer.from('abc')))
    assert.equal(server.objects.get('object')?.bytes.toString(), 'abc')
  })

  it('gives up in the end, and ends the upload on the server', async () => {
    const store = await open({ retryer: { backoffInitial: '1ms', backoffMax: '1ms', maxAttempts: 3 } })
    server.fault = (what) =>
      what === 'chunk' ? { status: 503, body: '{"error":{"message":"Backend Error"}}' } : undefined
    const error = await refusal(store.save('object', body(randomBytes(3 * CHUNK))))
    assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', true])
    assert.match(error.message, /writing gs:\/\/b\/object: the server can't now: Backend Error \(HTTP 503\)/)
    assert.deepEqual([server.dropped, server.objects.size], [1, 0])
  })

  it('ends an upload at once whose server is silent, when it is aborted', async () => {
    const store = await open()
    const controller = new AbortController()
    server.fault = (what) => {
      if (what !== 'chunk') return undefined
      setTimeout(() => controller.abort(), 20)
      return 'silent'
    }
    const error = await refusal(store.save('object', body(randomBytes(3 * CHUNK)), { signal: controller.signal }))
    assert.equal(error.code, 'STORAGE_ABORTED')
    assert.deepEqual([server.dropped, server.objects.size], [1, 0])
  })

  it('goes on reading where the connection broke', async () => {
    const store = await open()
    const bytes = randomBytes(1_000_000)
    server.put('object', bytes)
    inTurn('read', ['half', { status: 503 }, 'half', 'half'])
    assert.ok((await read(store, 'object')).equals(bytes))
  })

  it('does not go on in another object of the name', async () => {
    const store = await open()
    server.put('object', randomBytes(1_000_000))
    inTurn('read', ['half'])
    const chunks = (await store.read('object'))[Symbol.asyncIterator]()
    await chunks.next()
    server.put('object', randomBytes(1_000_000))
    const error = await refusal(
      (async () => {
        while ((await chunks.next()).done !== true);
      })(),
    )
    assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', false])
    assert.match(error.message, /by now the object was replaced or deleted/)
  })

  const ANSWERS: readonly (readonly [status: number, reason: string, message: string, code: string, text: RegExp])[] = [
    [
      401,
      'authError',
      'Invalid Credentials',
      'STORAGE_DENIED',
      /does not take the credentials.*storage\.gcs\.credentials/,
    ],
    [403, 'forbidden', 'no access', 'STORAGE_DENIED', /access denied.*Storage Object Admin/],
    [403, 'quotaExceeded', 'too much', 'STORAGE_NO_SPACE', /quota/],
    [429, 'rateLimitExceeded', 'slower', 'STORAGE_UNAVAILABLE', /can't now/],
    [404, 'notFound', 'The specified bucket does not exist.', 'STORAGE_UNAVAILABLE', /there is no bucket b;/],
    [404, 'notFound', 'Not Found', 'STORAGE_UNAVAILABLE', /there is no bucket b;/],
  ]
  for (const [status, reason, message, code, text] of ANSWERS) {
    it(`explains HTTP ${status} ${reason}: ${message}`, async () => {
      const body = JSON.stringify({ error: { code: status, message, errors: [{ reason, message }] } })
      server.fault = () => ({ status, body })
      const error = await refusal(open({ retryer: { maxAttempts: 1 } }))
      assert.equal(error.code, code)
      assert.match(error.message, text)
    })
  }

  it('explains a server that is not there', async () => {
    const { endpoint: endpointUrl } = server
    await server.stop()
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const error = await refusal(plugin.open({ bucket: 'b', endpointUrl, retryer: { maxAttempts: 1 } }, context))
    assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', true])
    assert.match(error.message, /nothing listens at http:.*storage\.gcs\.endpointUrl/)
    await server.start()
  })

  it('refuses credentials that are none before it asks anybody, and shows no key', async () => {
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    const broken = String(key).replace('PRIVATE KEY-----\n', 'PRIVATE KEY-----\n!!')
    for (const [credentials, text] of [
      [{ clientEmail: 'a@b.iam', privateKey: broken }, /privateKey is no private key/],
      [{ clientEmail: 'a@b.iam' }, /privateKey is missing/],
      [{ privateKey: String(key) }, /clientEmail is missing/],
    ] as const) {
      const error = await refusal(open({ credentials }))
      assert.ok(hasCode(error, 'STORAGE_DENIED'))
      assert.match(error.message, text)
      const shown = `${error.stack}${JSON.stringify(error)}${String(error.cause)}`
      assert.ok(!shown.includes(String(key).split('\n')[1] ?? ''), 'the key is shown')
    }
    const context = { signal: new AbortController().signal, warn: () => undefined }
    assert.match(
      (await refusal(plugin.open({ bucket: 'b' }, context))).message,
      /clientEmail and privateKey, or workloadIdentity/,
    )
    assert.deepEqual(server.requests, [])
  })

  it('signs every request with the key of the service account, but none of an upload session', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    // As in the key file.
    const credentials = { clientEmail: 'pbm@project.iam', privateKey: pem.replaceAll('\n', '\\n') }
    const store = await open({ credentials })
    await store.save('large', body(randomBytes(CHUNK + 1)))
    await store.save('small', body(randomBytes(10)))
    await read(store, 'small')
    await store.stat('small')
    for (const [index, token] of server.tokens.entries()) {
      const request = server.requests[index] ?? ''
      if (request.includes('/session')) {
        assert.equal(token, '')
        continue
      }
      const [, signed, claims, signature] = /^Bearer ((?:[\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(token) ?? []
      assert.ok(signed !== undefined && claims !== undefined && signature !== undefined, `${request}: ${token}`)
      assert.ok(verify('sha256', Buffer.from(signed), publicKey, Buffer.from(signature, 'base64url')), request)
      assert.equal((JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iss: string }).iss, 'pbm@project.iam')
    }
    assert.ok(server.tokens.length >= 7)
  })

  it('tells that a clock is wrong where the server only says that it does not take the token', async () => {
    const message = 'Invalid Credentials'
    const body = JSON.stringify({ error: { code: 401, message, errors: [{ reason: 'authError', message }] } })
    const store = await open()
    server.put('object', randomBytes(10))
    server.fault = () => ({ status: 401, body, date: new Date(Date.now() - 3_600_000) })
    for (const call of [() => store.stat('object'), () => store.read('object'), () => open()]) {
      const error = await refusal(call())
      assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
      assert.match(error.message, /clocks of this machine and of the server differ.*set the clock \(NTP\)/)
    }
  })

  it('takes the identity of the machine, and tells when its token is refused', async () => {
    const folder = await temporaryFolder('pbmkit-gcs-')
    let refuses = false
    const tokens = createServer((request, response) => {
      request.resume()
      response.setHeader('content-type', 'application/json')
      if (refuses) response.statusCode = 400
      const grant = { access_token: 'federated', issued_token_type: 'x', token_type: 'Bearer', expires_in: 3600 }
      const error = { error: 'invalid_grant', error_description: 'The subject token is expired.' }
      response.end(JSON.stringify(refuses ? error : grant))
    })
    await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve))
    const { port } = tokens.address() as AddressInfo
    const [file, token] = [join(folder, 'federation.json'), join(folder, 'token')]
    await writeFile(token, 'subject token')
    const type = 'external_account'
    const subject_token_type = 'urn:ietf:params:oauth:token-type:jwt'
    const token_url = `http://127.0.0.1:${port}/v1/token`
    await writeFile(
      file,
      JSON.stringify({ type, audience: '//iam/x', subject_token_type, token_url, credential_source: { file: token } }),
    )
    const before = process.env.GOOGLE_APPLICATION_CREDENTIALS
    process.env.GOOGLE_APPLICATION_CREDENTIALS = file
    try {
      const credentials = { workloadIdentity: true }
      const store = await open({ credentials })
      await store.save('small', body(randomBytes(10)))
      await store.save('large', body(randomBytes(CHUNK + 1)))
      await read(store, 'small')
      const sent = server.tokens.filter((_, index) => !server.requests[index]?.includes('/session'))
      assert.ok(sent.length > 3 && sent.every((each) => each === 'Bearer federated'), sent.join())
      refuses = true
      const error = await refusal(open({ credentials }))
      assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
      assert.match(error.message, /identity of this machine .*subject token is expired.*workload identity/)
    } finally {
      if (before === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS
      else process.env.GOOGLE_APPLICATION_CREDENTIALS = before
      tokens.closeAllConnections()
      tokens.close()
      await removeTemporaryFolder(folder)
    }
  })

  it('ends opening when the process ends', async () => {
    const error = await refusal(plugin.open(options(), { signal: AbortSignal.abort(), warn: () => undefined }))
    assert.equal(error.code, 'STORAGE_ABORTED')
  })
})
