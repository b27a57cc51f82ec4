import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createTlsFiles, failure, removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import type { ObjectStore } from '@pbmkit/core/plugin'
import plugin from './index.js'

const KEY = Buffer.alloc(64, 'k').toString('base64')

/** What each answer of the service has to become: code, whether trying again may help, and words that lead to the fix. */
const ANSWERS: readonly (readonly [status: number, code: string, as: string, retriable: boolean, words: RegExp])[] = [
  [
    403,
    'AuthenticationFailed',
    'STORAGE_DENIED',
    false,
    /have expired, or the clock of this machine is wrong.*20\d\d-/,
  ],
  [403, 'AuthorizationFailure', 'STORAGE_DENIED', false, /not those of the account acme.*its network rules/],
  [
    403,
    'AuthorizationPermissionMismatch',
    'STORAGE_DENIED',
    false,
    /needs to read, write, delete and list.*Contributor/,
  ],
  [403, 'AccountIsDisabled', 'STORAGE_DENIED', false, /the account acme is disabled/],
  [409, 'BlobImmutableDueToPolicy', 'STORAGE_DENIED', false, /immutability/],
  [412, 'LeaseIdMissing', 'STORAGE_DENIED', false, /holds a lease/],
  [
    404,
    'ContainerNotFound',
    'STORAGE_UNAVAILABLE',
    false,
    /no container backups; create it, or mend storage\.azure\.container/,
  ],
  [409, 'BlobArchived', 'STORAGE_UNAVAILABLE', false, /rehydrate/],
  [413, 'RequestBodyTooLarge', 'STORAGE_NO_SPACE', false, /lower storage\.azure\.maxObjSizeGB/],
  [507, 'InsufficientStorage', 'STORAGE_NO_SPACE', false, /no space left/],
  [503, 'ServerBusy', 'STORAGE_UNAVAILABLE', true, /busy or failing/],
  [500, 'InternalError', 'STORAGE_UNAVAILABLE', true, /busy or failing/],
  [401, '', 'STORAGE_DENIED', false, /check storage\.azure\.credentials/],
  [418, 'Teapot', 'STORAGE_UNAVAILABLE', false, /Teapot.*HTTP 418/],
]

async function* body(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('body')
}

describe('storage-azure tells failures apart', () => {
  const EMPTY = '<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'
  const stores: ObjectStore[] = []
  const servers: Server[] = []
  let answer: RequestListener

  async function open(server: Server, scheme: string): Promise<ObjectStore> {
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpointUrl = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/acme`
    const retryer = { numMaxRetries: 1, minRetryDelay: '1ms', maxRetryDelay: '2ms' }
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const options = { account: 'acme', container: 'backups', endpointUrl, credentials: { key: KEY }, retryer }
    const store = await plugin.open(options, context)
    stores.push(store)
    return store
  }

  beforeEach(() => {
    answer = (_, response) => response.setHeader('content-type', 'application/xml').end(EMPTY)
  })
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  for (const [status, code, as, retriable, words] of ANSWERS) {
    it(`${code || 'no code'} (${status})`, async () => {
      const store = await open(
        createServer((request, response) => {
          request.resume()
          answer(request, response)
        }),
        'http',
      )
      answer = (_, response) => {
        response.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code })
        response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>refused</Message></Error>`)
      }
      const error = await failure(store.save('object', body()))
      assert.deepEqual([error.code, error.retriable], [as, retriable], String(error))
      assert.match(error.message, words)
      assert.match(error.message, /azure:\/\/acme\/backups\/object/)
      const shown = JSON.stringify([error, error.message, error.stack, String(error.cause), error.cause])
      assert.ok(!shown.includes(KEY) && !/SharedKey/.test(shown), shown)
    })
  }

  for (const [what, foreign] of [
    ['the page of a console', (_, response) => void response.end('<html><body>Welcome</body></html>')],
    ['what is no HTTP', ({ socket }) => void socket.end('220 ftp.example.org\r\n')],
  ] satisfies [string, RequestListener][]) {
    it(`an endpoint that is another service: ${what}`, async () => {
      const error = await failure(open(createServer(foreign), 'http'))
      assert.equal(error.code, 'STORAGE_UNAVAILABLE')
      assert.match(error.message, /does not answer as Azure Blob Storage does; check storage\.azure\.endpointUrl/)
    })
  }

  it('an endpoint that is another service, by whose answer the library stumbles: its stack is kept', async () => {
    const foreign: RequestListener = (_, response) =>
      void response.setHeader('content-type', 'application/xml').end('<?xml version="1.0"?><Page>Welcome</Page>')
    const error = await failure(open(createServer(foreign), 'http'))
    assert.match(error.message, /does not answer as Azure Blob Storage does/)
    const { cause } = error.cause as Error
    assert.ok(cause instanceof TypeError && /\n +at /.test(cause.stack ?? ''), String(cause))
  })

  const minutes = (count: number) => new Date(Date.now() + count * 60_000)
  const HOUR_AGO = { date: minutes(-60).toUTCString() }
  const frame = (start: number, end: number) => {
    const [from, to, now] = [start, end, 0].map((count) => minutes(count).toUTCString())
    return `Signature not valid in the specified time frame: Start [${from}] - Expiry [${to}] - Current [${now}]`
  }
  const LOGINS: readonly (readonly [what: string, detail: string, headers: Record<string, string>, words: RegExp])[] = [
    ['a clock that the service tells', "Request date header too old: 'Thu, 01 Jan 2026'", {}, /set the clock \(NTP\)$/],
    ['a clock that its own shows', 'anything', HOUR_AGO, /clocks of this machine and of the service differ too much/],
    ['a signature that has ended', frame(-120, -60), {}, /shared access signature has expired; make another/],
    ['a signature that has not begun', frame(60, 120), {}, /is not valid yet/],
    [
      'a wrong key',
      "The MAC signature found in the HTTP request 'x' is not the same as any computed signature.",
      {},
      /key or signature is not one of the account acme; check storage\.azure\.credentials/,
    ],
    ['what it does not tell', '', {}, /have expired, or the clock of this machine is wrong/],
  ]
  for (const [what, detail, headers, words] of LOGINS) {
    it(`behind "failed to authenticate": ${what}`, async () => {
      const store = await open(
        createServer((...both) => answer(...both)),
        'http',
      )
      answer = (request, response) => {
        request.resume()
        const code = 'AuthenticationFailed'
        response.writeHead(403, { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers })
        const text = `<AuthenticationErrorDetail>${detail}</AuthenticationErrorDetail>`
        response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>refused</Message>${text}</Error>`)
      }
      const error = await failure(store.save('object', body()))
      assert.deepEqual([error.code, error.retriable], ['STORAGE_DENIED', false], String(error))
      assert.match(error.message, words)
    })
  }

  it('a certificate that nobody trusts', async () => {
    const folder = await temporaryFolder('pbmkit-azure-')
    try {
      const { server } = await createTlsFiles(folder)
      const pem = await readFile(server)
      const error = await failure(
        open(
          createTlsServer({ key: pem, cert: pem }, (...both) => answer(...both)),
          'https',
        ),
      )
      assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', false], String(error))
      assert.match(error.message, /certificate of https:.* is not trusted.*NODE_EXTRA_CA_CERTS/)
    } finally {
      await removeTemporaryFolder(folder)
    }
  })

  it('https:// in front of a port that speaks plain HTTP', async () => {
    const error = await failure(
      open(
        createServer((...both) => answer(...both)),
        'https',
      ),
    )
    assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', false], String(error))
    assert.match(error.message, /is it an http:\/\/ port\?/)
  })
})
