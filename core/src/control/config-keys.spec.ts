import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { cloud, host, refusal } from '../config/config.support.js'
import type { Config } from '../config/document.js'
import { applySettings, parseSetting } from './config-keys.js'

describe('settings', () => {
  const stored: Config = {
    storage: { type: 'cloud', cloud: { bucket: 'b', credentials: { 'secret-access-key': 's3cr3t' } } },
    epoch: new Timestamp(1n),
  }
  const set = async (...settings: string[]) => (await applySettings(stored, settings.map(parseSetting), host)).config

  it('types values by the schema', async () => {
    const config = await set(
      'pitr.enabled=true',
      'pitr.oplogSpanMin=2',
      'backup.compression=zstd',
      'storage.cloud.prefix=2024',
      'restore.indexCommitQuorum=3',
    )
    assert.deepEqual(config.pitr, { enabled: true, oplogSpanMin: 2 })
    assert.equal((config.storage.cloud as { prefix: string }).prefix, '2024')
    assert.equal(config.restore?.indexCommitQuorum, '3')
  })

  it('sets keys of a storage before its type is changed, where its plugin is here', async () => {
    const two = Object.assign(Object.create(host) as typeof host, {
      storage: async (type: string) => (type === 'second' ? { ...cloud, name: 'second' } : host.storage(type)),
    })
    const set = async (...settings: string[]) => (await applySettings(stored, settings.map(parseSetting), two)).config
    const { storage } = await set('storage.second.prefix=2024', 'storage.second.partSize=7')
    assert.deepEqual(storage, { ...stored.storage, second: { prefix: '2024', partSize: 7 } })
    assert.match(await refusal(set('storage.second.partsize=7')), /did you mean partSize/)
    assert.match(await refusal(set('storage.minio.partSize=7')), /only --file can write it/)
    assert.match(await refusal(set('storage.nowhere.x=7')), /unknown key/)
    assert.match(await refusal(set('profile=true')), /unknown key/)
  })

  it('sets the names of a map, with dots and colons', async () => {
    const { backup } = await set('backup.priority.a.example.net:27017=2', 'backup.priority.127.0.0.1:27018=0.5')
    assert.deepEqual(backup?.priority, { 'a.example.net:27017': 2, '127.0.0.1:27018': 0.5 })
  })

  it('takes a value with equals signs', () => {
    assert.deepEqual(parseSetting('storage.cloud.credentials.secret-access-key=a=b=='), {
      key: 'storage.cloud.credentials.secret-access-key',
      value: 'a=b==',
    })
  })

  it('unsets with an empty value, whole maps too', async () => {
    const config = await applySettings(
      { ...stored, backup: { compressionLevel: 2, priority: { 'h:1': 1 } } },
      [parseSetting('backup.compressionLevel='), parseSetting('backup.priority=')],
      host,
    )
    assert.deepEqual(config.config.backup, {})
  })

  const REFUSED: Record<string, [settings: string[], expected: string]> = {
    'an unknown key': [['pitr.enable=true'], 'pitr.enable: unknown key; did you mean enabled?'],
    'a section': [['pitr=true'], 'pitr: is a section: set one of pitr.enabled'],
    'a whole map': [
      ['backup.priority=1'],
      'backup.priority: holds a value for each name: set backup.priority.<name>=<value>',
    ],
    'a name of a map without a name': [['backup.priority.=1'], 'unknown key'],
    'a wrong value': [['pitr.enabled=3'], 'pitr.enabled: must be true or false, not "3"'],
    'a type without its options': [['storage.type=nonsense'], 'npm install pbmkit-storage-nonsense'],
    'unsetting what is required': [['storage.cloud.bucket='], 'storage.cloud.bucket: is missing'],
    'a level for the wrong method': [
      ['backup.compression=snappy', 'backup.compressionLevel=2'],
      'snappy has no levels',
    ],
  }
  for (const [what, [settings, expected]] of Object.entries(REFUSED)) {
    it(`refuses ${what}`, async () => {
      const message = await refusal(set(...settings))
      assert.ok(message.includes(expected), message)
      assert.ok(!message.includes('s3cr3t'), message)
    })
  }

  it('tells all faults at once', async () => {
    const message = await refusal(set('pitr.enabled=3', 'nonsense=1', 'backup.layout=tar'))
    for (const key of ['pitr.enabled', 'nonsense', 'backup.layout']) assert.ok(message.includes(key), message)
  })

  it('leaves unknown keys of another writer alone', async () => {
    const other = { ...stored, newer: { key: 1 }, storage: { ...stored.storage, azure: { key: 'x' } } }
    const { config } = await applySettings(other, [parseSetting('pitr.enabled=true')], host)
    assert.deepEqual((config as unknown as { newer: unknown }).newer, { key: 1 })
    assert.deepEqual(config.storage.azure, { key: 'x' })
  })

  for (const assignment of ['', '=', '=x', 'pitr.enabled']) {
    it(`refuses ${JSON.stringify(assignment)}, which is no setting`, () => {
      assert.throws(() => parseSetting(assignment), { code: 'USAGE' })
    })
  }
})
