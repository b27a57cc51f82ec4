import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import {
  Ciphers,
  chunkMethod,
  createWrappingKey,
  hasCode,
  isKeyObject,
  keyObjectName,
  keyScope,
  type ObjectStore,
  openStore,
  type PbmError,
  PluginHost,
  parsePitrChunkName,
  partMethod,
  pitrChunkName,
  rotateKeys,
  sealedStore,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'

const BACKUP = '2031-02-03T04:05:06Z'
const context = { signal: new AbortController().signal, warn: () => undefined }
/** Sealed stores over real plugins and a folder; no server. */
describe('sealed stores and the rotation of keys', () => {
  const host = new PluginHost({
    resolveFrom: import.meta.url,
    localAccess: { folders: [tmpdir()], commands: [] },
  })
  const [older, newer] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  let folder: string
  let store: ObjectStore

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-sealing-'))
    const filesystem = { path: join(folder, 'backups') }
    store = await openStore(host, { type: 'filesystem', filesystem }, context, { retryMs: 0 })
    await useKeys(older)
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  const useKeys = (...keys: string[]) => writeFile(join(folder, 'keys'), keys.join('\n'), { mode: 0o600 })
  const newCiphers = () => {
    const options = { keyFile: join(folder, 'keys') }
    return new Ciphers(host, { type: 'aes-gcm', 'aes-gcm': options }, context)
  }
  const part = (rs: string) => partMethod(BACKUP, { name: rs, encryption: { type: 'aes-gcm' } })
  const sealed = (on: ObjectStore = store) =>
    sealedStore(on, newCiphers(), (name) => chunkMethod(name) ?? part('rs0')(name) ?? part('rs1')(name))

  async function* body(text: string): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text)
  }
  async function text(from: ObjectStore, name: string): Promise<string> {
    const chunks: Uint8Array[] = []
    for await (const chunk of await from.read(name)) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }
  async function keyObjects(): Promise<string[]> {
    const names: string[] = []
    for await (const { name } of store.list()) if (isKeyObject(name)) names.push(name)
    return names.sort()
  }

  const chunk = pitrChunkName(
    'rs0',
    new Timestamp({ t: 1e9, i: 1 }),
    new Timestamp({ t: 1e9 + 9, i: 1 }),
    '.s2',
    'aes-gcm',
  )
  const names = [`${BACKUP}/rs0/metadata.json`, `${BACKUP}/rs0/oplog/1`, `${BACKUP}/rs1/metadata.json`, chunk]

  async function fill(): Promise<void> {
    const to = sealed()
    for (const name of names) await to.save(name, body(name))
  }
  async function allOpen(): Promise<void> {
    const from = sealed()
    for (const name of names) assert.equal(await text(from, name), name)
  }
  async function refused(work: Promise<unknown>, code: string, told: RegExp): Promise<void> {
    await assert.rejects(work, (error: Error) => {
      assert.equal((error as { code?: unknown }).code, code, String(error))
      assert.match(error.message, told)
      return true
    })
  }

  it('has one key for each replica set of a backup and each day of chunks, beside the data', async () => {
    await fill()
    assert.deepEqual(
      (await keyObjects()).map((name) => name.replace(/[0-9a-f]{32}$/, '…')),
      [`${BACKUP}/rs0/pbmkit.keys/…`, `${BACKUP}/rs1/pbmkit.keys/…`, 'pbmPitr/rs0/20010909/pbmkit.keys/…'],
    )
    assert.deepEqual(parsePitrChunkName(chunk)?.encryption, 'aes-gcm')
    await allOpen()
  })

  it('loses no key to another caller that gave up while it was made or fetched', async () => {
    const [first = '', second = ''] = names
    for (const call of ['save', 'read'] as const) {
      const begun = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const held = async (name: string, signal: AbortSignal | undefined) => {
        if (!isKeyObject(name)) return
        begun.resolve()
        await goOn.promise
        signal?.throwIfAborted()
      }
      const slow: ObjectStore = {
        ...{ capabilities: store.capabilities, list: (options) => store.list(options), close: () => store.close() },
        ...{
          stat: (name, options) => store.stat(name, options),
          delete: (name, options) => store.delete(name, options),
        },
        copy: (source, target, options) => store.copy(source, target, options),
        save: async (name, bytes, options) => {
          if (call === 'save') await held(name, options?.signal)
          return await store.save(name, bytes, options)
        },
        read: async (name, options) => {
          if (call === 'read') await held(name, options?.signal)
          return await store.read(name, options)
        },
      }
      const shared = sealed(slow)
      const gone = new AbortController()
      const work = async (name: string, signal?: AbortSignal) => {
        const options = signal === undefined ? {} : { signal }
        if (call === 'save') await shared.save(name, body(name), options)
        else
          for await (const chunk of await shared.read(name, options)) assert.equal(Buffer.from(chunk).toString(), name)
      }
      const abandoned = work(first, gone.signal)
      const wanted = work(second)
      await begun.promise
      gone.abort()
      await assert.rejects(abandoned, { code: 'STORAGE_ABORTED' })
      goOn.resolve()
      await wanted
      if (call === 'save') await shared.save(first, body(first))
    }
  })

  it('leaves alone what is not to be sealed', async () => {
    const to = sealed()
    await to.save(`${BACKUP}.pbm.json`, body('{}'))
    await to.save('.pbm.init', body('2.15.0'))
    assert.equal(await text(store, `${BACKUP}.pbm.json`), '{}')
    assert.equal(await text(store, '.pbm.init'), '2.15.0')
    assert.deepEqual(await keyObjects(), [])
  })

  it('refuses to read a part of a sealed object', async () => {
    await fill()
    await refused(sealed().read(names[0] ?? '', { offset: 1 }), 'STORAGE_NOT_SUPPORTED', /metadata\.json is sealed/)
  })

  it('says which key object is missing, altered or of another key', async () => {
    await fill()
    const [key = '', other = ''] = await keyObjects()
    const object = names[0] ?? ''
    await store.copy(key, 'kept')
    await store.delete(key)
    await refused(text(sealed(), object), 'ENCRYPTION_KEY_MISSING', /the key object .*pbmkit\.keys.* is missing/)
    await store.copy(other, key)
    await refused(text(sealed(), object), 'ENCRYPTION_KEY_WRONG', /metadata\.json can't be opened/)
    await store.save(key, body('nonsense that is long enough to be a header of whatever, really'))
    await refused(text(sealed(), object), 'ENCRYPTION_TAMPERED', new RegExp(key))
    await store.copy('kept', key)
    await useKeys(newer)
    await refused(text(sealed(), object), 'ENCRYPTION_KEY_MISSING', new RegExp(`${key} can't be opened: .*not at hand`))
  })

  it('refuses an object of another backup or replica set in the place of one', async () => {
    await fill()
    await store.copy(`${BACKUP}/rs1/metadata.json`, `${BACKUP}/rs0/metadata.json`)
    await refused(
      text(sealed(), `${BACKUP}/rs0/metadata.json`),
      'ENCRYPTION_KEY_MISSING',
      /the key object .* is missing/,
    )
  })

  it('refuses an object under another name, where its key was brought along too', async () => {
    await fill()
    const other = chunk.replaceAll('rs0', 'rs1')
    const list = `${BACKUP}/rs0/metadata.json`
    for (const [from, to] of [
      [`${BACKUP}/rs1/metadata.json`, list],
      [`${BACKUP}/rs0/oplog/1`, list],
      [chunk, other],
      [chunk, chunk.replace('.s2', '')],
      [list, chunk],
    ] as const) {
      for (const key of await keyObjects()) await store.copy(key, keyObjectName(keyScope(to), basename(key)))
      await store.copy(from, to)
      await refused(text(sealed(), to), 'ENCRYPTION_TAMPERED', new RegExp(`^${to}`))
      await fill()
    }
    await allOpen()
  })

  it('opens what was sealed before objects were bound to their names', async () => {
    const { cipher } = await newCiphers().method('aes-gcm')
    for (const name of names) {
      const under = await createWrappingKey(store, keyScope(name), cipher)
      await store.save(name, cipher.seal(body(name), { under }))
    }
    await allOpen()
  })

  it('opens everything wherever a rotation is killed', async () => {
    await fill()
    const count = (await keyObjects()).length
    for (let lives = 0; lives <= count; lives++) {
      await useKeys(older)
      await rotateKeys({ store, ciphers: newCiphers(), dryRun: false }).catch(() => undefined)
      await useKeys(newer, older)
      const killed = new Error('killed')
      let saves = 0
      const dying: ObjectStore = {
        ...store,
        save: (...call) => (saves++ < lives ? store.save(...call) : Promise.reject(killed)),
      }
      const rotation = rotateKeys({ store: dying, ciphers: newCiphers(), dryRun: false })
      if (lives < count) await assert.rejects(rotation, killed)
      else await rotation
      await allOpen()
      const rest = await rotateKeys({ store, ciphers: newCiphers(), dryRun: false })
      assert.deepEqual([rest.keys, rest.unreadable], [count, []])
      await useKeys(newer)
      await allOpen()
      // Back again, for the next round.
      await useKeys(older, newer)
      await rotateKeys({ store, ciphers: newCiphers(), dryRun: false })
    }
  })

  it('goes on where a rotation meets a key that nothing opens, and tells which', async () => {
    await fill()
    const [first = '', ...others] = await keyObjects()
    await useKeys(randomBytes(32).toString('hex'))
    await sealed().save(`${BACKUP}/rs0/lost`, body('x'))
    await useKeys(newer, older)
    const { keys, rewrapped, unreadable, scopes } = await rotateKeys({
      store,
      ciphers: newCiphers(),
      dryRun: false,
    })
    assert.deepEqual([keys, rewrapped, unreadable.length], [others.length + 2, others.length + 1, 1])
    assert.match(unreadable[0]?.object ?? '', /rs0\/pbmkit\.keys/)
    assert.ok(!scopes.has(first.replace(/pbmkit\.keys.*/, '')) && scopes.size === others.length)
  })

  it('seals with the key of the moment, in a process that lives long', async () => {
    const longLived = sealed()
    await longLived.save(names[0] ?? '', body('x'))
    await useKeys(newer, older)
    await longLived.save(`${BACKUP}/rs1/metadata.json`, body('y'))
    await useKeys(newer)
    assert.equal(await text(sealed(), `${BACKUP}/rs1/metadata.json`), 'y')
  })

  it('refuses to rotate where nothing is sealed, or with keys that can not be rotated', async () => {
    const none = new Ciphers(host, { type: 'none' }, context)
    await refused(rotateKeys({ store, ciphers: none, dryRun: false }), 'ENCRYPTION_OFF', /no key to rotate to/)
    const recipients = ['age1h2xye6hfwhl0c8n7rd2mn97ndyw9dqyyyr903nxsfg8g5tjumqzqwncvhs']
    const age = new Ciphers(host, { type: 'age', age: { recipients } }, context)
    await refused(rotateKeys({ store, ciphers: age, dryRun: false }), 'ENCRYPTION_NO_ROTATION', /age/)
  })

  it('says what is missing where the configuration does not name a method of the storage', async () => {
    await fill()
    const none = new Ciphers(host, undefined, context)
    const reading = text(sealedStore(store, none, part('rs0')), names[0] ?? '')
    await assert.rejects(
      reading,
      (error: Error) => hasCode(error, 'ENCRYPTION_KEY_MISSING') && /no encryption\.aes-gcm/.test(error.message),
    )
  })

  it('says what a key looks like where there is a malformed one, and where to bring one that is missing', async () => {
    const refusedWith = (code: PbmError['code'], hint: RegExp) =>
      assert.rejects(newCiphers().current(), (error: PbmError) => error.code === code && hint.test(error.hint ?? ''))
    await useKeys('hunter2')
    await refusedWith('ENCRYPTION_KEY_WRONG', /^a key is 32 random bytes/)
    await rm(join(folder, 'keys'))
    await refusedWith('ENCRYPTION_KEY_MISSING', /^bring the key to where encryption\.aes-gcm/)
  })
})
