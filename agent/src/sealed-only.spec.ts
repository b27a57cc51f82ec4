import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BackupDocument,
  Ciphers,
  type OpenStore,
  type OperationLog,
  openStore,
  PluginHost,
  pitrChunkName,
  sealedOnly,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'

const BACKUP = '2031-02-03T04:05:06Z'
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
const context = { signal: new AbortController().signal, warn: () => undefined }

/** What a restore takes with encryption configured. Real plugins and a folder; no server. */
describe('what has to be sealed', () => {
  const host = new PluginHost({
    resolveFrom: import.meta.url,
    localAccess: { folders: [tmpdir()], commands: [] },
  })
  let folder: string
  let store: OpenStore
  const warnings: string[] = []
  const log: OperationLog = {
    debug: () => undefined,
    info: () => undefined,
    warning: (message) => void warnings.push(message),
    error: () => undefined,
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-sealed-only-'))
    const filesystem = { path: join(folder, 'backups') }
    store = await openStore(host, { type: 'filesystem', filesystem }, context, { retryMs: 0 })
    await writeFile(join(folder, 'keys'), randomBytes(32).toString('base64'), { mode: 0o600 })
  })
  after(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  const ciphers = (type: string) => {
    const methods = { 'aes-gcm': { keyFile: join(folder, 'keys') }, age: { recipients: [RECIPIENT] } }
    return new Ciphers(host, { type, ...methods }, context)
  }
  const chunk = (method?: string) => {
    const [start, end] = [new Timestamp({ t: 1e9, i: 1 }), new Timestamp({ t: 1e9 + 9, i: 1 })]
    return pitrChunkName('rs0', start, end, '.s2', method)
  }
  const backup = (method?: string) =>
    ({
      name: BACKUP,
      replsets: [{ name: 'rs0', ...(method === undefined ? {} : { encryption: { type: method, keyIds: [] } }) }],
    }) as unknown as BackupDocument
  const refused = (work: Promise<unknown>, message: RegExp) => assert.rejects(work, { code: 'UNSEALED', message })

  it('refuses chunks that are not sealed, and with a secret key those that anybody can seal', async () => {
    const aes = await sealedOnly(ciphers('aes-gcm'), { log })
    await aes.chunks([chunk('aes-gcm')])
    await refused(
      aes.chunks([chunk('aes-gcm'), chunk()]),
      /pbmPitr\/rs0\/.* is not sealed, and encryption\.type is aes-gcm/,
    )
    await refused(aes.chunks([chunk('age')]), /is sealed with age, as anybody can/)
    const age = await sealedOnly(ciphers('age'), { log })
    await age.chunks([chunk('age'), chunk('aes-gcm')])
    await refused(age.chunks([chunk()]), /is not sealed, and encryption\.type is age/)
  })

  it('refuses a backup that is not sealed, or whose record is not signed where it can be', async () => {
    const aes = await sealedOnly(ciphers('aes-gcm'), { log })
    await refused(aes.backup(store, backup('aes-gcm'), {}), /the record of backup .* is not signed/)
    const age = await sealedOnly(ciphers('age'), { log })
    assert.equal((await age.backup(store, backup('age'), {})).name, BACKUP)
    await refused(age.backup(store, backup(), {}), /backup .* of replica set rs0 is not sealed/)
    await refused(age.backup(store, { ...backup(), replsets: [] }, {}), /names nothing that is sealed/)
  })

  it('gives nothing that is not sealed, wherever a record leads', async () => {
    const age = await sealedOnly(ciphers('age'), { log })
    const guarded = age.store(store, backup('age'))
    for (const name of ['elsewhere/metadata.json', `${BACKUP}/rs1/metadata.json`, chunk()]) {
      await refused(guarded.read(name), /is not sealed/)
    }
    await assert.rejects(guarded.read(`${BACKUP}/rs0/metadata.json`), { code: 'STORAGE_NOT_FOUND' })
  })

  it('takes everything where nothing is sealed any more, and where somebody says so', async () => {
    for (const [type, allowUnsealed] of [
      ['none', false],
      ['aes-gcm', true],
    ] as const) {
      const all = await sealedOnly(ciphers(type), { log, allowUnsealed })
      await all.chunks([chunk()])
      assert.equal((await all.backup(store, backup(), {})).name, BACKUP)
    }
    assert.equal(warnings.length, 1)
    assert.match(warnings.join(), /--allow-unsealed/)
  })
})
