import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { cloud, host, refusal } from './config.support.js'
import { schemaFaults } from './faults.js'
import { parseConfig } from './parse.js'

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

  it('keeps the blocks of storages that are not in use, as PBM does, whole or not', async () => {
    const yaml = lines(
      'name: main',
      'profile: true',
      'storage:',
      '  type: cloud',
      '  cloud: {bucket: b}',
      '  minio: {endpoint: h, partSize: 5, credentials: {access-key-id: 17k}}',
    )
    const { epoch: _, ...config } = await parseConfig(yaml, host)
    const minio = { endpoint: 'h', partSize: 5, credentials: { 'access-key-id': '17k' } }
    assert.deepEqual(config, { name: 'main', storage: { type: 'cloud', cloud: { bucket: 'b' }, minio } })
  })

  it('judges a block beside by its own plugin', async () => {
    const yaml = (block: string) => lines('storage:', '  type: minimal', `  cloud: ${block}`)
    const twoStorages = Object.assign(Object.create(host) as typeof host, {
      storage: async (type: string) =>
        type === 'minimal' ? { ...cloud, name: 'minimal', optionsSchema: { type: 'object' } } : host.storage(type),
    })
    const { storage } = await parseConfig(yaml('{partSize: 7}'), twoStorages)
    assert.deepEqual(storage, { type: 'minimal', cloud: { partSize: 7 } })
    assert.match(await refusal(parseConfig(yaml('{partsize: 7}'), twoStorages)), /did you mean partSize/)
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
    'two documents': [[...STORAGE, '---', 'a: 1'], 'invalid YAML: line 5: a second document begins here'],
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

  it('shows nothing that was put where the place of a key belongs', () => {
    const properties = {
      recipients: { type: 'array', items: { type: 'string', pattern: '^age1' } },
      keyCommand: { type: 'array' },
    }
    const age = { recipients: ['s3cr3t'], keyCommand: 's3cr3t' }
    const options = { type: 'object', properties }
    const whole = { type: 'object', properties: { encryption: { type: 'object', properties: { age: options } } } }
    const told = [
      ['encryption.age.recipients.0', 'must be: ^age1; not shown here, since it may be a key'],
      ['encryption.age.keyCommand', 'must be a list; not shown here, since it may be a key'],
    ]
    for (const faults of [
      schemaFaults(age, options, ['encryption', 'age']),
      schemaFaults({ encryption: { age } }, whole),
    ])
      assert.deepEqual(
        faults.map(({ path, text }) => [path.join('.'), text]),
        told,
      )
  })

  it('shows no secret where a colon lacks its blank, nor where a line is no YAML', async () => {
    const broken = [
      lines(...STORAGE, '    credentials:', '      secret-access-key:hunter2'),
      lines(...STORAGE, '    credentials: >secret-access-key: hunter2'),
      lines(...STORAGE, '    credentials: >', '    secret-access-key: hunter2', 'x'),
      lines(...STORAGE, '    credentials: secret-access-key: hunter2'),
    ]
    for (const yaml of broken) assert.doesNotMatch(await refusal(parseConfig(yaml, host)), /hunter2/)
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
