import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createTlsFiles, removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import plugin from './index.js'

const EMPTY = '<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'

/** What Azurite does not check: that it is the machine's identity that is sent. */
describe('storage-azure without credentials', () => {
  const servers: Server[] = []
  const trusted = getCACertificates('default')
  const environment = { ...process.env }
  const sent: (string | undefined)[] = []
  const asked: string[] = []
  let folder: string
  let endpointUrl: string
  let status: number

  async function listen(server: Server): Promise<number> {
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  before(async () => {
    folder = await temporaryFolder('pbmkit-azure-')
    const { ca, server } = await createTlsFiles(folder)
    setDefaultCACertificates([...trusted, await readFile(ca, 'utf8')])
    const pem = await readFile(server)
    const service = createTlsServer({ key: pem, cert: pem }, (request, response) => {
      sent.push(request.headers.authorization)
      response.setHeader('content-type', 'application/xml')
      response.end(EMPTY)
    })
    endpointUrl = `https://127.0.0.1:${await listen(service)}/acme`
    const identities = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers['x-identity-header']}`)
      const token = { access_token: 'of-the-machine', token_type: 'Bearer', resource: 'https://storage.azure.com' }
      response.writeHead(status, { 'content-type': 'application/json' })
      const none = { error: 'invalid_request', error_description: 'no identity is assigned to this app' }
      const expires_on = Math.floor(Date.now() / 1000) + 3600
      response.end(JSON.stringify(status === 200 ? { ...token, expires_on } : none))
    })
    // As an app of Azure finds its managed identity.
    process.env.IDENTITY_ENDPOINT = `http://127.0.0.1:${await listen(identities)}/token`
    process.env.IDENTITY_HEADER = 'secret-of-the-app'
    process.env.AZURE_TOKEN_CREDENTIALS = 'ManagedIdentityCredential'
  })
  beforeEach(() => {
    status = 200
  })
  after(async () => {
    for (const name of ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER', 'AZURE_TOKEN_CREDENTIALS']) {
      if (environment[name] === undefined) delete process.env[name]
      else process.env[name] = environment[name]
    }
    setDefaultCACertificates(trusted)
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    await removeTemporaryFolder(folder)
  })

  const open = () => {
    const context = { signal: new AbortController().signal, warn: () => undefined }
    return plugin.open({ account: 'acme', container: 'backups', endpointUrl }, context)
  }

  it('says that there is no identity, and what to do', async () => {
    status = 400
    const error = await open().then(
      () => assert.fail('must be refused'),
      (reason: unknown) => reason as Error,
    )
    assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
    assert.match(error.message, /set storage\.azure\.credentials, or give this process an identity/)
    assert.deepEqual(sent, [])
  })

  it('logs in with the identity of the machine', async () => {
    const store = await open()
    assert.deepEqual(sent, ['Bearer of-the-machine'])
    assert.match(asked.at(-1) ?? '', /resource=https%3A%2F%2Fstorage\.azure\.com.* secret-of-the-app$/)
    await store.close()
  })
})
