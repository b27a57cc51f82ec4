import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LOCAL_ACCESS } from '@pbmkit/core'
import { loadSettings } from './settings.js'

describe('settings of the agent', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-settings-'))
  })
  after(() => rm(folder, { recursive: true }))

  const file = async (content: string): Promise<string> => {
    const path = join(folder, 'agent.yaml')
    await writeFile(path, content)
    return path
  }

  it('takes flag before environment before file before default', async () => {
    const config = await file(
      'mongodb-uri: from-file\nlog:\n  level: W\n  json: true\n  path: /x\nbackup:\n  dump-parallel-collections: 3\n',
    )
    const env = { PBM_MONGODB_URI: 'from-env', LOG_LEVEL: 'E' }
    const all = await loadSettings({ config, mongodbUri: 'from-flag', logLevel: 'F' }, env)
    assert.deepEqual([all.mongodbUri, all.logLevel, all.logJson, all.logPath], ['from-flag', 'F', true, '/x'])
    assert.equal(all.dumpParallelCollections, 3)
    const some = await loadSettings({ config }, env)
    assert.deepEqual([some.mongodbUri, some.logLevel], ['from-env', 'E'])
    const none = await loadSettings({ config }, {})
    assert.deepEqual([none.mongodbUri, none.logLevel], ['from-file', 'W'])
    const defaults = await loadSettings({ mongodbUri: 'x' }, {})
    assert.deepEqual([defaults.logLevel, defaults.logJson, defaults.logPath], ['D', false, '/dev/stderr'])
    assert.equal(defaults.dumpParallelCollections, undefined)
  })

  it('say where a mongod of the agent itself may be, and how large', async () => {
    const { scratch } = await loadSettings({ mongodbUri: 'x', stateFolder: '/state' }, {})
    assert.deepEqual(scratch, { folder: '/state/scratch', cacheGb: '0.5', keepFree: 2 ** 30 })
    const yaml = await file('scratch:\n  folder: /large\n  cache: 4\n  keep-free: 20\n  mongod: /usr/bin/mongod\n')
    const given = await loadSettings({ mongodbUri: 'x', config: yaml }, {})
    const { folder: path, cacheGb, keepFree, mongod } = given.scratch
    assert.deepEqual([path, cacheGb, keepFree, mongod], ['/large', '4', 20 * 2 ** 30, '/usr/bin/mongod'])
    for (const wrong of [{ scratchFolder: 'large' }, { scratchCache: '0.1' }, { scratchMongod: 'mongod' }])
      await assert.rejects(loadSettings({ mongodbUri: 'x', ...wrong }, {}), { code: 'SETTINGS_INVALID' })
  })

  it('are in the README as they are', async () => {
    const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
    const [, yaml = ''] = /^```yaml\n(.*?)^```$/ms.exec(readme) ?? []
    const config = await file(yaml.replace('mongodb-uri-file: /run/secrets/pbm-uri', 'mongodb-uri: x'))
    const { mongodbUri, logPath, logLevel } = await loadSettings({ config }, {})
    assert.deepEqual([mongodbUri, logPath, logLevel], ['x', '/var/log/pbm-agent.log', 'I'])
  })

  it('reads the URI from a file of its own', async () => {
    const path = await file('mongodb://u:p@h/\n')
    assert.equal((await loadSettings({}, { PBM_MONGODB_URI_FILE: path })).mongodbUri, 'mongodb://u:p@h/')
    await assert.rejects(loadSettings({}, { PBM_MONGODB_URI_FILE: join(folder, 'none') }), { code: 'FILE_UNREADABLE' })
    await assert.rejects(loadSettings({}, {}), { code: 'URI_MISSING' })
  })

  it('refuses wrong values and names where they stand', async () => {
    const wrong: [string, RegExp][] = [
      ['log:\n  level: info\n', /log\.level in .*agent\.yaml: "info" is no log level/],
      ['log:\n  colour: red\n', /unknown key log\.colour/],
      ['storage: {}\n', /unknown key storage/],
      ['- a\n', /not a list of keys/],
      ['a: [\n', /agent\.yaml/],
      ['mongodb-uri: *other\n', /agent\.yaml: Unresolved alias/],
      ['log:\n  json: perhaps\n', /neither true nor false/],
      ['backup:\n  dump-parallel-collections: 0\n', /whole number from 1/],
    ]
    for (const [content, message] of wrong) {
      const config = await file(content)
      await assert.rejects(
        loadSettings({ config, mongodbUri: 'x' }, {}),
        { code: 'SETTINGS_INVALID', message },
        content,
      )
    }
    await assert.rejects(loadSettings({ mongodbUri: 'x' }, { LOG_LEVEL: 'i' }), /LOG_LEVEL: "i"/)
    await assert.rejects(loadSettings({ mongodbUri: 'x', stopGrace: '-1' }, {}), /--stop-grace/)
  })

  it('says where a file is no YAML, and shows nothing of it: the URI has a password', async () => {
    const wrong: [string, RegExp][] = [
      ['mongodb-uri: mongodb://u:hush: hush@h/\n', /agent\.yaml: line 1, column 14: Nested mappings are not allowed/],
      ['log:\n  level: D\nmongodb-uri: "mongodb://u:hush@h/\n', /agent\.yaml: line 4, column 1: Missing closing/],
      ['log: {level: D}\nmongodb-uri: mongodb://u:hush@h/\n  x: 1', /agent\.yaml: line 2, column \d+: /],
    ]
    for (const [content, message] of wrong) {
      const config = await file(content)
      await assert.rejects(loadSettings({ config }, {}), (error: Error) => {
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hush/)
        return true
      })
    }
  })

  it('gives running work no more time than can be waited for at once', async () => {
    const { stopGrace } = await loadSettings({ mongodbUri: 'x', stopGrace: '99999999' }, {})
    assert.equal(stopGrace, 2_147_483)
  })

  it('takes an empty file', async () => {
    assert.equal((await loadSettings({ config: await file(''), mongodbUri: 'x' }, {})).mongodbUri, 'x')
  })

  it('serve metrics where they are told to, and nowhere else', async () => {
    const metrics = async (flags: object, env: object = {}) =>
      (await loadSettings({ mongodbUri: 'x', ...flags }, { ...env })).metrics
    assert.equal(await metrics({}), undefined)
    const files = { tlsCert: undefined, tlsKey: undefined, users: undefined }
    assert.deepEqual(await metrics({ metricsListen: '127.0.0.1:9216' }), {
      listen: { host: '127.0.0.1', port: 9216 },
      ...files,
    })
    assert.deepEqual((await metrics({}, { PBM_METRICS_LISTEN: ':0' }))?.listen, { host: undefined, port: 0 })
    const config = await file('metrics:\n  listen: "[::1]:9216"\n  tls-cert: /c\n  tls-key: /k\n  users: /u\n')
    assert.deepEqual(await metrics({ config }), {
      listen: { host: '::1', port: 9216 },
      ...{ tlsCert: '/c', tlsKey: '/k', users: '/u' },
    })
    for (const metricsListen of ['9216', '127.0.0.1', 'a b:1', '::1:9216', 'h:99999', 'http://h:1'])
      await assert.rejects(metrics({ metricsListen }), /--metrics-listen: .* is no address with a port/, metricsListen)
    await assert.rejects(metrics({ metricsUsers: '/u' }), /--metrics-users: metrics are not served/)
    await assert.rejects(
      metrics({ metricsListen: ':1', metricsTlsKey: '/k' }),
      /--metrics-tls-key: .* only given together/,
    )
  })

  it('takes folders and programs that the configuration may name as lists, absolute ones alone', async () => {
    const access = async (flags: object, env: object = {}) =>
      (await loadSettings({ mongodbUri: 'mongodb://h', ...flags }, { ...env })).localAccess
    assert.deepEqual(await access({}), DEFAULT_LOCAL_ACCESS)
    assert.deepEqual(await access({ allowFiles: ['/a', '/b'], allowKeyCommand: ['/bin/key'] }), {
      folders: ['/a', '/b'],
      commands: ['/bin/key'],
    })
    const env = { PBM_ALLOW_FILES: '/a:/b', PBM_ALLOW_KEY_COMMAND: '/bin/key' }
    assert.deepEqual(await access({}, env), { folders: ['/a', '/b'], commands: ['/bin/key'] })
    await assert.rejects(
      access({}, { PBM_ALLOW_KEY_COMMAND: 'key' }),
      /PBM_ALLOW_KEY_COMMAND: "key" is no absolute path/,
    )
  })
})
