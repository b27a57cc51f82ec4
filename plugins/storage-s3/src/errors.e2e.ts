import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { hasCode, type ObjectStore, type PluginError } from '@pbmkit/core/plugin'
import { FaultServer, listing, refusal } from './fault-server.support.js'
import plugin, { type S3Options } from './index.js'

const SECRETS = {
  'access-key-id': 'AKIAEXAMPLE',
  'secret-access-key': 'very-secret-key',
  'session-token': 'secret-token',
}

async function failure(work: Promise<unknown>): Promise<PluginError> {
  const error = await work.then(
    () => assert.fail('must be refused'),
    (reason: unknown) => reason,
  )
  for (const secret of Object.values(SECRETS))
    assert.ok(!inspect(error, { depth: 10 }).includes(secret), 'a secret is shown')
  return error as PluginError
}

/** What each answer of a server has to become: code, whether trying again may help, and words that lead to the fix. */
const ANSWERS: readonly (readonly [status: number, code: string, as: string, retriable: boolean, words: RegExp])[] = [
  [403, 'InvalidAccessKeyId', 'STORAGE_DENIED', false, /does not know the access key.*access-key-id/],
  [403, 'SignatureDoesNotMatch', 'STORAGE_DENIED', false, /secret does not belong.*secret-access-key/],
  [400, 'ExpiredToken', 'STORAGE_DENIED', false, /have expired; renew/],
  [400, 'InvalidToken', 'STORAGE_DENIED', false, /token is not valid/],
  [403, 'AccessDenied', 'STORAGE_DENIED', false, /s3:ListBucket on bucket and s3:GetObject/],
  [403, 'RequestTimeTooSkewed', 'STORAGE_DENIED', false, /clocks .* differ.*NTP/],
  [404, 'NoSuchBucket', 'STORAGE_UNAVAILABLE', false, /no bucket bucket; create it, or mend storage\.s3\.bucket/],
  [400, 'AuthorizationHeaderMalformed', 'STORAGE_UNAVAILABLE', false, /region eu-west-9; mend storage\.s3\.region/],
  [403, 'QuotaExceeded', 'STORAGE_NO_SPACE', false, /quota of bucket is used up/],
  [507, 'XMinioStorageFull', 'STORAGE_NO_SPACE', false, /no space left/],
  [400, 'KMS.NotFoundException', 'STORAGE_DENIED', false, /storage\.s3\.serverSideEncryption/],
  [400, 'InvalidStorageClass', 'STORAGE_NOT_SUPPORTED', false, /storage\.s3\.storageClass/],
  [501, 'NotImplemented', 'STORAGE_NOT_SUPPORTED', false, /has not learned/],
  [503, 'SlowDown', 'STORAGE_UNAVAILABLE', true, /SlowDown/],
  [500, 'InternalError', 'STORAGE_UNAVAILABLE', true, /InternalError/],
  [418, 'Teapot', 'STORAGE_UNAVAILABLE', false, /HTTP 418/],
]

describe('storage-s3 tells failures apart', () => {
  let server: FaultServer
  let options: S3Options
  const opened: ObjectStore[] = []
  const warnings: string[] = []

  const open = async (more: Partial<S3Options> = {}, node?: string) => {
    const context = { signal: new AbortController().signal, warn: (text: string) => void warnings.push(text), node }
    const store = await plugin.open({ ...options, ...more }, context)
    opened.push(store)
    return store
  }

  beforeEach(async () => {
    server = new FaultServer()
    options = {
      bucket: 'bucket',
      endpointUrl: await server.start(),
      credentials: SECRETS,
      retryer: { numMaxRetries: 0, minRetryDelay: '1ms', maxRetryDelay: '2ms' },
    }
  })

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    warnings.splice(0)
    await server.stop()
  })

  for (const [status, code, as, retriable, words] of ANSWERS) {
    it(`${code} (${status})`, async () => {
      const store = await open()
      server.answer = refusal(status, code, '<Region>eu-west-9</Region><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId>')
      for (const call of [() => store.read('object'), () => store.stat('object'), () => open()]) {
        const error = await failure(call())
        assert.equal(error.code, as, error.message)
        // Of HEAD there is the status alone, and no other request that would tell more.
        const passing = retriable && /^looking/.test(error.message)
        assert.match(error.message, passing ? /HTTP 50[03]/ : words)
        assert.match(error.message, /s3:\/\/bucket/)
        assert.equal(error.retriable, retriable, error.message)
      }
    })
  }

  it('an error that comes with the status of success', async () => {
    const store = await open()
    server.answer = (request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(200, { 'content-length': '5' }).end()
        : refusal(200, 'InternalError')(request, response)
    const error = await failure(store.copy('a', 'b'))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
  })

  it('an endpoint that is no S3: the page of a console, and what is no HTTP', async () => {
    server.answer = (_, response) => response.end('<html><body>Welcome</body></html>')
    const error = await failure(open())
    assert.equal(error.code, 'STORAGE_UNAVAILABLE')
    assert.match(error.message, /does not answer as S3 does; .* storage\.s3\.endpointUrl/)
    server.answer = ({ socket }) => socket.end('220 ftp.example.org\r\n')
    assert.match((await failure(open())).message, /does not answer as S3 does/)
  })

  it('a port where nothing listens', async () => {
    const gone = new FaultServer()
    const endpointUrl = await gone.start()
    await gone.stop()
    const error = await failure(open({ endpointUrl }))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
    assert.match(error.message, /nothing listens at http:\/\/127\.0\.0\.1:\d+; check storage\.s3\.endpointUrl/)
  })

  it('a host that is not known', async () => {
    const error = await failure(open({ endpointUrl: 'http://no-such-host.invalid' }))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE'), String(error))
    assert.match(error.message, /host of http:\/\/no-such-host\.invalid/)
  })

  it('https:// in front of a port that speaks plain HTTP', async () => {
    const error = await failure(open({ endpointUrl: options.endpointUrl?.replace('http:', 'https:') ?? '' }))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && !error.retriable, String(error))
    assert.match(error.message, /does not speak TLS.*http:\/\/ port/)
  })

  it('a server that breaks every connection', async () => {
    server.answer = (request) => request.socket.destroy()
    const error = await failure(open())
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
    assert.match(error.message, /connection to .* broke/)
  })

  it('half of a pair of keys, a customer key that is none, a caFile that is none', async () => {
    assert.match(
      (await failure(open({ credentials: { 'access-key-id': 'x' } }))).message,
      /secret-access-key is missing/,
    )
    const serverSideEncryption = { sseCustomerAlgorithm: 'AES256', sseCustomerKey: 'c2hvcnQ=' }
    assert.match((await failure(open({ serverSideEncryption }))).message, /base64 of 32 bytes/)
    assert.match((await failure(open({ caFile: '/no/such/file' }))).message, /caFile \/no\/such\/file can't be read/)
    assert.match((await failure(open({ caFile: '/dev/null' }))).message, /no certificate in PEM form/)
  })

  it('tries again as often as configured', async () => {
    const store = await open({ retryer: { numMaxRetries: 4, minRetryDelay: '1ms', maxRetryDelay: '2ms' } })
    server.asked.splice(0)
    server.answer = refusal(503, 'ServiceUnavailable')
    await failure(store.delete('object'))
    assert.deepEqual(server.asked.filter((line) => line.startsWith('HEAD')).length, 5)
  })

  it('outlives failures that pass', async () => {
    const store = await open()
    let failures = 2
    server.answer = (request, response) => {
      if (failures-- > 0) return refusal(500, 'InternalError')(request, response)
      response.writeHead(200, { etag: '"x"' }).end()
    }
    assert.equal((await store.save('object', new Blob(['abc']).stream())).size, 3)
  })

  it('takes the URL of its node', async () => {
    const store = await open(
      { endpointUrl: 'http://127.0.0.1:9', endpointUrlMap: { 'me:1': options.endpointUrl ?? '' } },
      'me:1',
    )
    assert.ok(server.asked.length > 0)
    await store.close()
  })

  it('warns of log levels that do not exist', async () => {
    await open({ debugLogLevels: 'Signing,Loud' })
    assert.match(warnings.join(), /there is no level Loud/)
  })

  it('tries again what MinIO denies while it removes a folder, and nothing else that is denied', async () => {
    for (const [name, tries] of [
      ['MinIO', 2],
      ['Ceph', 1],
    ] as const) {
      const denied = refusal(403, 'AccessDenied', '', { server: name })
      server.answer = (request, response) => {
        response.setHeader('server', name)
        listing(request, response)
      }
      const store = await open()
      let puts = 0
      server.answer = (request, response) => {
        if (request.method === 'PUT' && ++puts === 1) denied(request, response)
        else if (request.method === 'PUT') response.setHeader('etag', '"x"').end()
        else listing(request, response)
      }
      const saving = store.save('object', new Blob(['x']).stream())
      if (tries === 2) await saving
      else assert.equal((await failure(saving)).code, 'STORAGE_DENIED')
      assert.equal(puts, tries)
    }
  })

  it('warns of encryption that is asked for in words that mean none', async () => {
    const key = randomBytes(32).toString('base64')
    await open({ serverSideEncryption: { sseAlgorithm: 'AWS:KMS' } })
    await open({ serverSideEncryption: { sseCustomerKey: key } })
    assert.match(warnings.join(), /sseAlgorithm "AWS:KMS" is ignored.*sseCustomerKey is ignored/)
    assert.ok(!warnings.join().includes(key))
    warnings.splice(0)
    for (const sseAlgorithm of ['AES256', 'aws:kms']) await open({ serverSideEncryption: { sseAlgorithm } })
    await open({ serverSideEncryption: { sseCustomerAlgorithm: 'AES256', sseCustomerKey: key } })
    assert.deepEqual(warnings, [])
  })

  it('tells of requests what debugLogLevels ask for, without keys and bodies', async () => {
    const told: string[] = []
    const context = {
      signal: new AbortController().signal,
      warn: () => undefined,
      debug: (text: string) => void told.push(text),
    }
    const tries = { ...options, retryer: { numMaxRetries: 1, minRetryDelay: '1ms', maxRetryDelay: '2ms' } }
    for (const debugLogLevels of [undefined, 'DeprecatedUsage']) {
      await (await plugin.open({ ...tries, ...(debugLogLevels ? { debugLogLevels } : {}) }, context)).close()
      assert.deepEqual(told, [])
    }
    const store = await plugin.open({ ...tries, debugLogLevels: 'Signing, Request,ResponseWithBody,Retries' }, context)
    opened.push(store)
    assert.match(told.join('\n'), /S3 request: GET 127\.0\.0\.1:\d+\/bucket\/\?.*max-keys=1 0 bytes/)
    assert.match(told.join('\n'), /S3 response: GET .* 200 /)
    assert.match(told.join('\n'), /S3 signing: GET .* for \d+\/us-east-1\/s3\/aws4_request with .*host;/)
    told.splice(0)
    const refuse = refusal(503, 'SlowDown')
    server.answer = (request, response) => {
      server.answer = listing
      refuse(request, response)
    }
    await store.save('object', new Blob(['the data']).stream())
    const lines = told.join('\n')
    assert.match(lines, /S3 request: PUT .*\/bucket\/object\?x-id=PutObject 8 bytes/)
    assert.match(lines, /S3 retry: attempt 2 of PUT /)
    assert.match(lines, /S3 response: PUT .* 503 /)
    for (const secret of [...Object.values(SECRETS), 'the data', 'Signature='])
      assert.ok(!lines.includes(secret), secret)
  })

  it('sends digests to a bucket whose lock asks for them, and to no other', async () => {
    const store = await open()
    const digests: (string | undefined)[] = []
    const etag = { etag: '"x"' }
    let locked = false
    server.answer = (request, response) => {
      const url = request.url ?? ''
      if (request.method === 'PUT') {
        const digest = request.headers['content-md5']
        digests.push(digest === undefined ? undefined : String(digest))
        if (!locked || digest !== undefined) {
          response.writeHead(200, etag).end()
          return
        }
        const message =
          'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters'
        response.writeHead(400).end(`<Error><Code>InvalidRequest</Code><Message>${message}</Message></Error>`)
      } else if (url.includes('uploads')) {
        response.end('<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>')
      } else response.end('<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')
    }
    await store.save('object', new Blob(['the data']).stream())
    assert.deepEqual(digests.splice(0), [undefined])
    locked = true
    await store.save('object', new Blob(['the data']).stream())
    const md5 = (text: string | Buffer) => createHash('md5').update(text).digest('base64')
    assert.deepEqual(digests.splice(0), [undefined, md5('the data')])
    const part = Buffer.alloc(10 * 1024 ** 2, 'x')
    await store.save('object', new Blob([part, 'end']).stream())
    assert.deepEqual(digests.splice(0).sort(), [md5(part), md5('end')].sort())
  })

  it('refuses "only if absent" where it is not known whether the server keeps it, unless told', async () => {
    const store = await open()
    assert.equal(store.capabilities.ifAbsent, false)
    const error = await failure(store.save('object', new Blob(['x']).stream(), { ifAbsent: true }))
    assert.ok(hasCode(error, 'STORAGE_NOT_SUPPORTED'), String(error))
    assert.equal((await open({ conditionalWrites: true })).capabilities.ifAbsent, true)
  })

  it('stays within the time of a caller that gives up on a server that hangs', async () => {
    const store = await open()
    server.answer = () => undefined
    for (const call of [
      (signal: AbortSignal) => store.stat('object', { signal }),
      (signal: AbortSignal) => store.read('object', { signal }),
      (signal: AbortSignal) => store.delete('object', { signal }),
    ]) {
      const controller = new AbortController()
      const work = failure(call(controller.signal))
      setImmediate(() => controller.abort())
      assert.ok(hasCode(await work, 'STORAGE_ABORTED'))
    }
    server.answer = listing
  })
})
