import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BackupDocument,
  bodyOf,
  Ciphers,
  createWrappingKey,
  keyObjectName,
  type OpenMethod,
  type OpenStore,
  openKeyObject,
  openStore,
  PluginHost,
  readKeyObject,
  signedText,
  signingKey,
  signRecord,
  toStorageJson,
  withChecksum,
} from '@pbmkit/core'
import fc from 'fast-check'

const BACKUP = '2031-02-03T04:05:06Z'
/** Made for this test from thirty-two sevens. */
const IDENTITY = 'AGE-SECRET-KEY-1QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSKMP32K'
const RECIPIENT = 'age1zwlyl6h27gzv0lfntr7fcqrjrzqazap8sy5zylkxwneh7llf0dksu37mwt'
const COMPRESSIONS = ['gzip', 'zstd', 'lz4', 'snappy', 's2']
const METHODS = ['aes-gcm', 'age']
const context = { signal: new AbortController().signal, warn: () => undefined }

/** Bytes set, cut off, put in and taken out. */
const changes = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('set' as const), at: fc.nat(), byte: fc.nat(255) }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('put' as const), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ kind: fc.constant('take' as const), at: fc.nat(), count: fc.nat(200) }),
  ),
  { minLength: 1, maxLength: 3 },
)

function changed(bytes: Buffer, all: readonly (typeof changes extends fc.Arbitrary<infer T> ? T : never)[number][]) {
  let now = Buffer.from(bytes)
  for (const change of all) {
    const at = now.length === 0 ? 0 : change.at % now.length
    if (change.kind === 'set' && now.length > 0) now[at] = change.byte
    if (change.kind === 'cut') now = now.subarray(0, at)
    if (change.kind === 'put') now = Buffer.concat([now.subarray(0, at), change.bytes, now.subarray(at)])
    if (change.kind === 'take') now = Buffer.concat([now.subarray(0, at), now.subarray(at + change.count)])
  }
  return now
}

async function bytesOf(source: AsyncIterable<Uint8Array>, onBytes?: (bytes: Uint8Array) => void): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) {
    onBytes?.(part)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The codes that the contracts of plugins name; anything else is a fault that nobody has thought of. */
async function refusedIn(codes: RegExp, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    assert.match(String((error as { code?: unknown }).code), codes, (error as Error).stack)
  }
}

describe('Objects that somebody has changed', () => {
  const host = new PluginHost({ resolveFrom: import.meta.url, localAccess: { folders: [tmpdir()], commands: [] } })
  const plain = Buffer.concat([Buffer.from('a text that can be compressed '.repeat(40)), randomBytes(700)])
  let folder: string
  let store: OpenStore
  let ciphers: Ciphers

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-hostile-'))
    const filesystem = { path: join(folder, 'backups') }
    store = await openStore(host, { type: 'filesystem', filesystem }, context, { retryMs: 0 })
    await writeFile(join(folder, 'keys'), randomBytes(32).toString('base64'), { mode: 0o600 })
    await writeFile(join(folder, 'identities'), IDENTITY, { mode: 0o600 })
    const age = { recipients: [RECIPIENT], identityFile: join(folder, 'identities') }
    ciphers = new Ciphers(host, { type: 'aes-gcm', 'aes-gcm': { keyFile: join(folder, 'keys') }, age }, context)
  })
  after(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const name of COMPRESSIONS) {
    it(`decompress, or are refused as the contract has it: ${name}`, async () => {
      const plugin = await host.compression(name)
      const packed = await bytesOf(plugin.compress(bodyOf(plain)))
      assert.ok((await bytesOf(plugin.decompress(bodyOf(packed)))).equals(plain))
      const read = (bytes: Buffer) => refusedIn(/^CODEC_/, () => bytesOf(plugin.decompress(bodyOf(bytes))))
      await fc.assert(
        fc.asyncProperty(changes, (all) => read(changed(packed, all))),
        { numRuns: 150 },
      )
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => read(Buffer.from(bytes))),
        { numRuns: 100 },
      )
    })
  }

  for (const name of METHODS) {
    it(`give no byte that was not sealed: ${name}`, async () => {
      const { cipher, plugin } = await ciphers.method(name)
      const sealed = await bytesOf(cipher.seal(bodyOf(plain)))
      assert.ok((await bytesOf(cipher.open(bodyOf(sealed)))).equals(plain))
      await fc.assert(
        fc.asyncProperty(changes, async (all) => {
          const bytes = changed(sealed, all)
          let given = Buffer.alloc(0)
          const isWhole = async () => {
            await bytesOf(cipher.open(bodyOf(bytes)), (part) => {
              given = Buffer.concat([given, part])
            })
            assert.ok(bytes.equals(sealed), 'it was opened')
          }
          await refusedIn(/^(ENCRYPTION_|CODEC_TRUNCATED)/, isWhole)
          assert.ok(plain.subarray(0, given.length).equals(given))
        }),
        { numRuns: 200 },
      )
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 1024 }), changes, async (bytes, all) => {
          for (const head of [Buffer.from(bytes), changed(sealed, all).subarray(0, 1024)]) {
            await refusedIn(/^(ENCRYPTION_|CODEC_TRUNCATED)/, async () => plugin.keysOf?.(head))
          }
        }),
        { numRuns: 200 },
      )
    })
  }

  it('give no other key where they are key objects', async () => {
    const { cipher }: OpenMethod = await ciphers.method('aes-gcm')
    const { id, secret } = await createWrappingKey(store, `${BACKUP}/rs0/`, cipher)
    const sealed = await readKeyObject(store, keyObjectName(`${BACKUP}/rs0/`, id))
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const open = async () =>
          assert.ok((await openKeyObject(changed(sealed, all), 'key', cipher)).equals(Buffer.from(secret)))
        await refusedIn(/^(ENCRYPTION_|CODEC_TRUNCATED)/, open)
      }),
      { numRuns: 200 },
    )
  })

  it('are not what was signed where they are records', async () => {
    const document = { name: BACKUP, type: 'logical', status: 'done', store: { type: 'filesystem' } }
    const record = { ...document, replsets: [{ name: 'rs0' }] } as unknown as BackupDocument
    const signature = await signRecord(store, await ciphers.current(), BACKUP, toStorageJson(record))
    assert.ok(signature !== undefined)
    const text = withChecksum(toStorageJson({ ...record, signature }))
    assert.ok((await signingKey(store, ciphers, BACKUP, text)) !== undefined)
    const own = signedText(text)?.text
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const other = changed(Buffer.from(text), all).toString()
        await refusedIn(/^(ENCRYPTION_|PLUGIN_|CONFIG_)/, async () => {
          const key = await signingKey(store, ciphers, BACKUP, other)
          assert.ok(key === undefined || signedText(other)?.text === own, other)
        })
      }),
      { numRuns: 300 },
    )
  })
})
