import assert from 'node:assert/strict'
import { Double, Int32, Long, Timestamp } from 'bson'
import { PbmError } from '../errors.js'
import type { PluginHost } from '../plugin/host.js'
import { PluginHost as RealHost } from '../plugin/host.js'
import { type CompressionPlugin, PluginError, type StoragePlugin } from '../plugin/index.js'
import type { Config } from './config-document.js'
import { applySettings, parseSetting } from './config-keys.js'
import { maskConfig, sameStorage } from './config-mask.js'
import { parseConfig } from './config-parse.js'
import { configSchema } from './config-schema.js'
import { toWire } from './config-values.js'

const secret = { type: 'string', writeOnly: true }
const text = { type: 'string' }

const cloud: StoragePlugin = {
  kind: 'storage',
  name: 'cloud',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['bucket'],
    properties: {
      bucket: { ...text, identity: true },
      prefix: { ...text, identity: true },
      endpointUrlMap: { type: 'object', additionalProperties: text, identity: true },
      partSize: { type: 'integer', minimum: 5 },
      maxObjSizeGB: { type: 'number' },
      credentials: {
        type: 'object',
        additionalProperties: false,
        properties: {
          'access-key-id': secret,
          'secret-access-key': secret,
          type: { type: 'string', enum: ['key', 'role'] },
        },
      },
    },
  },
  open: () => Promise.reject(new PluginError('STORAGE_NOT_SUPPORTED', 'only a schema')),
  describe: () => 'cloud',
}

const codec = (name: string, levels?: CompressionPlugin['levels']): CompressionPlugin => ({
  kind: 'compression',
  name,
  apiVersion: 1,
  suffix: `.${name}`,
  ...(levels === undefined ? {} : { levels }),
  compress: (source) => source,
  decompress: (source) => source,
})

/** A host that has these plugins loaded and finds no other. */
class FilledHost extends RealHost {
  override async storage(type: string): Promise<StoragePlugin> {
    return type === 'cloud' ? cloud : super.storage(type)
  }

  override async compression(type: string): Promise<CompressionPlugin> {
    if (type === 'snappy') return codec('snappy')
    return type === 's2' || type === 'zstd' ? codec(type, { min: 1, max: 4, default: 2 }) : super.compression(type)
  }
}

const host: PluginHost = new FilledHost({ resolveFrom: 'file:///nowhere/main.js' })

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    (value) => assert.fail(`must be refused, but gives ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof PbmError, String(error))
  assert.equal(error.code, 'CONFIG_INVALID')
  return error.message
}

const lines = (...all: string[]) => `${all.join('\n')}\n`
const STORAGE = ['storage:', '  type: cloud', '  cloud:', '    bucket: b']

describe('parseConfig', () => {
  it('reads every key of PBM, and ours', async () => {
    const config = await parseConfig(
      lines(
        ...STORAGE,
        'pitr: {enabled: true, oplogSpanMin: 0.5, oplogOnly: false, priority: {"h:1": 2}, compression: s2, compressionLevel: 3}',
        'backup:',
        '  oplogSpanMin: 10',
        '  priority:',
        '    host.example.net:27017: 2.5',
        '    127.0.0.1:27018: -1',
        '  timeouts: {startingStatus: 60, balancerStop: 0}',
        '  compression: zstd',
        '  compressionLevel: 4',
        '  numParallelCollections: 2',
        '  numParallelFiles: 3',
        '  layout: archive',
        'restore:',
        '  batchSize: 500',
        '  numInsertionWorkers: 10',
        '  numParallelCollections: 2',
        '  numParallelFiles: 1',
        '  numDownloadWorkers: 4',
        '  maxDownloadBufferMb: 100',
        '  downloadChunkMb: 32',
        '  indexCommitQuorum: 3',
        '  mongodLocation: /usr/bin/mongod',
        '  mongodLocationMap: {"host:27017": /opt/mongod}',
        '  fallbackEnabled: no',
        '  allowPartlyDone: yes',
        '  timeouts: {balancerStop: 30}',
        '  verify: false',
      ),
      host,
    )
    assert.deepEqual(config.backup?.priority, { 'host.example.net:27017': 2.5, '127.0.0.1:27018': -1 })
    assert.equal(config.restore?.indexCommitQuorum, '3')
    assert.equal(config.restore?.fallbackEnabled, false)
    assert.equal(config.pitr?.oplogSpanMin, 0.5)
    assert.ok(config.epoch.isZero())
  })

  it('reads scalars as the schema has them, and nothing as unset', async () => {
    const config = await parseConfig(
      lines('storage:', '  type: cloud', '  cloud: {bucket: 2024, prefix: on}', 'pitr:', 'backup: {compression: }'),
      host,
    )
    assert.deepEqual(config, {
      storage: { type: 'cloud', cloud: { bucket: '2024', prefix: 'on' } },
      backup: {},
      epoch: new Timestamp(0n),
    })
  })

  it('trims slashes of bucket and prefix', async () => {
    const { storage } = await parseConfig(
      lines('storage:', '  type: cloud', '  cloud: {bucket: /b/, prefix: //x/y//}'),
      host,
    )
    assert.deepEqual(storage.cloud, { bucket: 'b', prefix: 'x/y' })
  })

  const REFUSED: Record<string, [yaml: string[], ...expected: string[]]> = {
    'an unknown key': [
      ['storage:', '  type: cloud', '  cloud:', '    bucket: b', '    prefx: x'],
      'line 5: storage.cloud.prefx: unknown key; did you mean prefix?',
    ],
    'a key in the wrong case': [
      [...STORAGE, 'pitr:', '  Enabled: true'],
      'line 6: pitr.Enabled: unknown key; did you mean enabled?',
    ],
    'a key in the wrong place': [
      [...STORAGE, '  maxObjSizeGB: 3'],
      'line 5: storage.maxObjSizeGB: unknown key; it belongs at storage.cloud.maxObjSizeGB',
    ],
    'a block of another storage': [
      [...STORAGE, '  other: {}'],
      'line 5: storage.other: this block is not for storage.type cloud',
    ],
    'an internal key': [[...STORAGE, 'profile: true'], 'line 5: profile: unknown key'],
    'a key that stands twice': [[...STORAGE, '  type: cloud'], 'line 5: type: stands here a second time'],
    'a missing storage': [['pitr: {enabled: true}'], 'storage: is missing'],
    'a missing type': [['storage:', '  cloud: {bucket: b}'], 'line 1: storage.type: is missing'],
    'a missing option': [
      ['storage:', '  type: cloud', '  cloud:', '    prefix: x'],
      'line 3: storage.cloud.bucket: is missing',
    ],
    'missing options': [['storage:', '  type: cloud'], 'line 1: storage.cloud: is missing'],
    'a text for a number': [
      [...STORAGE, '    partSize: big'],
      'line 5: storage.cloud.partSize: must be a whole number, not "big"',
    ],
    'a fraction for a whole number': [
      [...STORAGE, 'restore: {batchSize: 1.5}'],
      'line 5: restore.batchSize: must be a whole number',
    ],
    'a number too small': [
      [...STORAGE, '    partSize: 4'],
      'line 5: storage.cloud.partSize: must be at least 5, not 4',
    ],
    'a text for a switch': [
      [...STORAGE, 'pitr: {enabled: maybe}'],
      'line 5: pitr.enabled: must be true or false, not "maybe"',
    ],
    'an unknown compression': [
      [...STORAGE, 'backup: {compression: zip}'],
      'line 5: backup.compression: must be none, gzip, pgzip, snappy, lz4, s2 or zstd',
    ],
    'an unknown layout': [
      [...STORAGE, 'backup: {layout: tar}'],
      'line 5: backup.layout: must be pbm or archive, not "tar"',
    ],
    'a level out of range': [
      [...STORAGE, 'backup: {compression: zstd, compressionLevel: 9}'],
      'backup.compressionLevel: zstd takes 1 to 4, not 9',
    ],
    'a level of the default': [
      [...STORAGE, 'backup: {compressionLevel: 9}'],
      'backup.compressionLevel: s2 takes 1 to 4, not 9',
    ],
    'a level of pitr under the compression of backup': [
      [...STORAGE, 'backup: {compression: snappy}', 'pitr: {compressionLevel: 1}'],
      'pitr.compressionLevel: snappy has no levels',
    ],
    'a codec that is missing': [
      [...STORAGE, 'pitr: {compression: lz4}'],
      'line 5: pitr.compression:',
      'npm install @pbmkit/compression-lz4',
    ],
    'a storage that is missing': [
      ['storage:', '  type: s3'],
      'line 2: storage.type:',
      'npm install @pbmkit/storage-s3',
    ],
    'a commit quorum out of range': [
      [...STORAGE, 'restore: {indexCommitQuorum: 51}'],
      'restore.indexCommitQuorum: must be majority, votingMembers or a number from 1 to 50',
    ],
    'a mapping where a value should be': [
      [...STORAGE, 'backup: {compression: {a: 1}}'],
      'backup.compression: must be a text',
    ],
    'a value where a mapping should be': [[...STORAGE, 'backup: 5'], 'line 5: backup: must be a mapping'],
    'a priority that is no number': [
      [...STORAGE, 'backup: {priority: {"h:1": high}}'],
      'backup.priority.h:1: must be a number, not "high"',
    ],
    'broken YAML': [['storage:', '  type: [cloud'], 'invalid YAML: line 3'],
    'a tab': [['storage:', '\ttype: cloud'], 'invalid YAML: line 2'],
    nothing: [['# only a comment'], 'it is empty'],
    'a list': [['- a'], 'must be a mapping'],
    'two documents': [[...STORAGE, '---', 'a: 1'], 'invalid YAML'],
    'an alias': [['x: &x {a: 1}', 'y: *x'], 'aliases are not taken'],
  }
  for (const [what, [yaml, ...expected]] of Object.entries(REFUSED)) {
    it(`refuses ${what}`, async () => {
      const message = await refusal(parseConfig(lines(...yaml), host))
      for (const part of expected) assert.ok(message.includes(part), message)
    })
  }

  it('tells all faults at once, in the order of the file', async () => {
    const yaml = lines(
      'storage:',
      '  type: cloud',
      '  cloud: {buket: b}',
      'backup: {compresion: s2, numParallelFiles: -1}',
      'pitr: {enabled: 3}',
    )
    const message = await refusal(parseConfig(yaml, host))
    const at = [...message.matchAll(/^line (\d+)/gm)].map(([, line]) => Number(line))
    assert.deepEqual(at, [3, 3, 4, 4, 5], message)
  })

  it('shows no secret in a fault', async () => {
    for (const value of [
      '[s3cr3t]',
      '{a: s3cr3t}',
      '"s3cr3t" "s3cr3t"',
      '*s3cr3t',
      '\n  s3cr3t',
      '%s3cr3t',
      '@s3cr3t',
    ]) {
      const yaml = lines(...STORAGE, '    credentials:', `      secret-access-key: ${value}`, '      type: nonsense')
      const message = await refusal(parseConfig(yaml, host))
      assert.ok(!message.includes('s3cr3t'), message)
    }
  })
})

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
    'a type without its options': [['storage.type=nonsense'], 'npm install @pbmkit/storage-nonsense'],
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
      assert.throws(() => parseSetting(assignment), { code: 'CONFIG_INVALID' })
    })
  }
})

describe('showing and comparing a configuration', () => {
  const epoch = new Timestamp(1n)

  it('masks by the schema', async () => {
    const storage = {
      type: 'cloud',
      cloud: { bucket: 'key-bucket', credentials: { 'access-key-id': 'AK', 'secret-access-key': '', type: 'key' } },
    }
    const masked = await maskConfig({ storage, epoch }, host)
    assert.deepEqual(masked.storage.cloud, {
      bucket: 'key-bucket',
      credentials: { 'access-key-id': '***', 'secret-access-key': '', type: 'key' },
    })
  })

  it('masks by names what no schema describes', async () => {
    const s3 = {
      bucket: 'b',
      credentials: { 'secret-access-key': 'x', vault: { server: 'v' } },
      serverSideEncryption: { sseCustomerKey: 'k', sseAlgorithm: 'a' },
    }
    const masked = await maskConfig({ storage: { type: 's3', s3 }, epoch }, host)
    assert.deepEqual(masked.storage.s3, {
      bucket: 'b',
      credentials: { 'secret-access-key': '***', vault: { server: '***' } },
      serverSideEncryption: { sseCustomerKey: '***', sseAlgorithm: 'a' },
    })
    const both = await maskConfig(
      {
        storage: { type: 'cloud', cloud: { bucket: 'b', newToken: 'x' }, azure: { credentials: { key: 'x' } } },
        epoch,
      },
      host,
    )
    assert.deepEqual(both.storage, {
      type: 'cloud',
      cloud: { bucket: 'b', newToken: '***' },
      azure: { credentials: { key: '***' } },
    })
  })

  const base = { bucket: 'b', prefix: 'p', credentials: { 'access-key-id': '1' } }
  const PAIRS: [string, object, boolean][] = [
    ['other credentials', { ...base, credentials: { 'access-key-id': '2' } }, true],
    ['outer slashes', { ...base, bucket: '/b/', prefix: 'p/' }, true],
    ['an empty map', { ...base, endpointUrlMap: {} }, true],
    ['another bucket', { ...base, bucket: 'c' }, false],
    ['no prefix', { bucket: 'b' }, false],
    ['an endpoint for a node', { ...base, endpointUrlMap: { 'h:1': 'x' } }, false],
  ]
  for (const [what, options, same] of PAIRS) {
    it(`takes a storage with ${what} for ${same ? 'the same' : 'another'}`, async () => {
      assert.equal(await sameStorage({ type: 'cloud', cloud: base }, { type: 'cloud', cloud: options }, host), same)
    })
  }

  it('writes the types that PBM writes', () => {
    const config = {
      storage: { type: 'cloud', cloud: { partSize: 10, maxObjSizeGB: 1 } },
      backup: { oplogSpanMin: 10, compressionLevel: 3, priority: { 'h:1': 1 }, timeouts: { startingStatus: 60 } },
      newer: 5,
    }
    const wire = toWire(config, configSchema(cloud)) as typeof config
    assert.deepEqual(wire.backup, {
      oplogSpanMin: new Double(10),
      compressionLevel: new Int32(3),
      priority: { 'h:1': new Double(1) },
      timeouts: { startingStatus: Long.fromNumber(60) },
    })
    assert.deepEqual(wire.storage.cloud, { partSize: new Int32(10), maxObjSizeGB: new Double(1) })
    assert.equal(wire.newer, 5)
  })
})
