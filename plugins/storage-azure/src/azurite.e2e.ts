import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { body, failure, freePort, get, names } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import { TestServer } from './azurite.support.js'
import type { AzureOptions } from './index.js'

const MIB = 1024 ** 2
const SIZE = 23 * MIB + 5
const QUICKLY = { numMaxRetries: 20, minRetryDelay: '50ms', maxRetryDelay: '500ms' }

describe('storage-azure on Azurite', () => {
  const server = new TestServer()
  let options: AzureOptions

  before(async function () {
    await server.start(this)
  })
  beforeEach(async () => {
    options = await server.container()
  })
  afterEach(() => server.closeStores())
  after(() => server.stop())

  it('sends a small object in one request, and a large one in blocks', async () => {
    const store = await server.open(options)
    const blocks = async (name: string) => {
      const list = await server.admin(options.container).getBlockBlobClient(name).getBlockList('committed')
      return list.committedBlocks?.map(({ size }) => size) ?? []
    }
    const bytes = randomBytes(SIZE)
    await store.save('large', body(bytes))
    await store.save('small', body(Buffer.alloc(10 * MIB)))
    assert.deepEqual(await blocks('large'), [10 * MIB, 10 * MIB, 3 * MIB + 5])
    assert.deepEqual(await blocks('small'), [])
    assert.ok((await get(store, 'large')).equals(bytes))
  })

  it('shows nothing of an upload whose body fails, and takes the next one', async () => {
    const store = await server.open(options)
    async function* failing(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < 25; sent++) yield Buffer.alloc(MIB)
      throw new Error('the source was cut')
    }
    await assert.rejects(store.save('object', failing()), /the source was cut/)
    assert.deepEqual(await names(store), [])
    assert.ok(hasCode(await failure(store.stat('object')), 'STORAGE_NOT_FOUND'))
    await store.save('object', body(randomBytes(SIZE)))
    assert.equal((await store.stat('object')).size, SIZE)
  })

  for (const prefix of ['folder', 'folder/', 'a/b//c']) {
    it(`keeps everything below the prefix ${prefix}`, async () => {
      const store = await server.open({ ...options, prefix })
      const root = prefix.replace('//', '/').replace(/\/?$/, '/')
      await store.save('x/object', body(Buffer.from('mine')))
      await server.admin(options.container).uploadBlockBlob('other', 'other', 5)
      const found = await server.admin(options.container).getBlobClient(`${root}x/object`).getProperties()
      assert.equal(found.contentLength, 4)
      assert.deepEqual(await names(store), ['x/object'])
      await store.copy('x/object', 'y')
      assert.equal((await get(store, 'y')).toString(), 'mine')
    })
  }

  it('keeps "only if absent" when many write at once, in one request and in blocks', async () => {
    const store = await server.open(options)
    for (const [name, size] of [
      ['small', 1000],
      ['large', SIZE],
    ] as const) {
      const saves = [1, 2, 3].map((fill) => store.save(name, body(Buffer.alloc(size, fill)), { ifAbsent: true }))
      const outcomes = await Promise.allSettled(saves)
      const [winner = 0] = await get(store, name)
      assert.equal(outcomes[winner - 1]?.status, 'fulfilled')
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') assert.equal(index + 1, winner, name)
        // Blocks of a name are gone once another list was committed: the same save again finds the object.
        else assert.ok(hasCode(outcome.reason, 'STORAGE_EXISTS') || outcome.reason.retriable, String(outcome.reason))
      }
      const again = await failure(store.save(name, body(Buffer.from('x')), { ifAbsent: true }))
      assert.ok(hasCode(again, 'STORAGE_EXISTS'), String(again))
    }
  })

  it('goes on with an upload and a download when the server was away', async () => {
    const store = await server.open({ ...options, retryer: QUICKLY })
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < 45; sent++) {
        if (sent === 25) await server.azurite.restart()
        yield Buffer.alloc(MIB, sent)
      }
    }
    assert.equal((await store.save('object', source())).size, 45 * MIB)
    let restarted = false
    let read = 0
    for await (const chunk of await store.read('object')) {
      assert.equal(chunk[0], Math.floor(read / MIB))
      read += chunk.length
      if (!restarted) await server.azurite.restart()
      restarted = true
    }
    assert.equal(read, 45 * MIB)
  })

  it('ends at once when it is aborted while the server hangs', async () => {
    const store = await server.open(options)
    await store.save('object', body(Buffer.from('x')))
    const controller = new AbortController()
    const { signal } = controller
    server.azurite.pause()
    const calls = [store.stat('object', { signal }), store.save('other', body(Buffer.alloc(SIZE)), { signal })]
    const outcomes = Promise.all(calls.map(failure))
    controller.abort()
    for (const error of await outcomes) assert.ok(hasCode(error, 'STORAGE_ABORTED'), String(error))
    server.azurite.resume()
    assert.deepEqual(await names(store), ['object'])
  })

  it('takes a shared access signature, and tells what it does not permit and when it has expired', async () => {
    const { account, key } = server.azurite
    const sas = (permissions: string, minutes: number) =>
      generateBlobSASQueryParameters(
        {
          containerName: options.container,
          permissions: ContainerSASPermissions.parse(permissions),
          expiresOn: new Date(Date.now() + minutes * 60_000),
        },
        new StorageSharedKeyCredential(account, key),
      ).toString()
    const store = await server.open({ ...options, credentials: { sasToken: `?${sas('racwdl', 60)}` } })
    await store.save('object', body(randomBytes(SIZE)))
    await store.copy('object', 'copy')
    assert.equal((await store.stat('copy')).size, SIZE)
    const reader = await server.open({ ...options, credentials: { sasToken: sas('rl', 60) } })
    const denied = await failure(reader.save('other', body(Buffer.from('x'))))
    assert.ok(hasCode(denied, 'STORAGE_DENIED') && !denied.retriable, String(denied))
    assert.match(denied.message, /needs to read, write, delete and list/)
    const token = sas('rl', -60)
    const expired = await failure(server.open({ ...options, credentials: { sasToken: token } }))
    assert.ok(hasCode(expired, 'STORAGE_DENIED'), String(expired))
    assert.match(
      expired.message,
      /signature has expired \(20.*; make another, and set storage\.azure\.credentials\.sasToken/,
    )
    const signature = /sig=([^&]+)/.exec(token)?.[1] ?? ''
    const shown = JSON.stringify([expired, expired.message, expired.stack, String(expired.cause), expired.cause])
    assert.ok(signature.length > 10 && !shown.includes(signature), shown)
  })

  it('tells wrong credentials, a missing container and a server that is away apart', async () => {
    const wrong = Buffer.alloc(64, 'w').toString('base64')
    const error = await failure(server.open({ ...options, credentials: { key: wrong } }))
    assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
    assert.match(error.message, /check storage\.azure\.credentials/)
    assert.ok(!JSON.stringify([error, error.message, error.cause]).includes(wrong))
    const garbled = await failure(server.open({ ...options, credentials: { key: 'no base64!' } }))
    assert.match(garbled.message, /no account key: those are base64/)
    const none = await failure(server.open({ ...options, container: 'no-such-container' }))
    assert.ok(hasCode(none, 'STORAGE_UNAVAILABLE') && !none.retriable, String(none))
    assert.match(none.message, /create it, or mend storage\.azure\.container/)
    const identity = await failure(server.open({ ...options, credentials: {} }))
    assert.match(identity.message, /the default identity is not sent/)
    const endpointUrl = `http://127.0.0.1:${await freePort()}/devstoreaccount1`
    const retryer = { ...QUICKLY, numMaxRetries: 1 }
    const away = await failure(server.open({ ...options, endpointUrl, retryer }))
    assert.ok(hasCode(away, 'STORAGE_UNAVAILABLE') && away.retriable, String(away))
    assert.match(away.message, /nothing listens/)
  })

  it('tells that the container went away from an object that is not there', async () => {
    const store = await server.open(options)
    assert.ok(hasCode(await failure(store.stat('object')), 'STORAGE_NOT_FOUND'))
    await server.admin(options.container).delete()
    for (const work of [() => store.stat('object'), () => store.read('object'), () => names(store)]) {
      const error = await failure(work())
      assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE'), String(error))
      assert.match(error.message, /there is no container/)
    }
  })
})
