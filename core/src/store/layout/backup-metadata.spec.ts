import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fixturesFolder } from '@pbmkit/conformance/testbed'
import { Long, Timestamp } from 'bson'
import type { BackupDocument } from '../../control/backup-document.js'
import { fromStorageJson, toStorageJson, withChecksum } from './backup-metadata.js'

const fixtures = fixturesFolder()
const written = fixtures === undefined ? [] : globSync('*/storage/*.pbm.json', { cwd: fixtures }).sort()

function fixture(name: string): string {
  return readFileSync(join(fixtures ?? '', name), 'utf8')
}

/** Of a backup as PBM 2.15 describes one. */
const DOCUMENT: BackupDocument = {
  type: 'logical',
  opid: '6a0000000000000000000001',
  name: '2031-02-03T04:05:06Z',
  replsets: [
    {
      name: 'rs0',
      node: 'a:27017',
      status: 'done',
      dump_name: '2031-02-03T04:05:06Z/rs0/metadata.json',
      oplog_name: '2031-02-03T04:05:06Z/rs0/oplog',
      start_ts: 1927857906,
      last_transition_ts: 1927857908,
      size: 10,
      size_uncompressed: 20,
      first_write_ts: new Timestamp({ t: 1927857906, i: 1 }),
      last_write_ts: new Timestamp({ t: 1927857907, i: 2 }),
      conditions: [{ timestamp: 1927857908, status: 'done' }],
    },
  ],
  compression: 's2',
  store: { type: 'filesystem', filesystem: { path: '/backups' } },
  size: 10,
  size_uncompressed: 20,
  mongodb_version: '6.0.5',
  fcv: '6.0',
  start_ts: 1927857906,
  last_transition_ts: 1927857908,
  first_write_ts: new Timestamp({ t: 1927857906, i: 1 }),
  last_write_ts: new Timestamp({ t: 1927857907, i: 2 }),
  hb: new Timestamp({ t: 1927857907, i: 1 }),
  status: 'done',
  conditions: [{ timestamp: 1927857908, status: 'done' }],
  n: [{ rs: 'rs0', n: ['a:27017'], ack: 'a:27017' }],
  pbm_version: '2.15.0',
  balancer: 'off',
}

describe('metadata of a backup on the storage', () => {
  const sharded = written.find((name) => name.startsWith('pbm-sharded'))
  it(`reads what PBM wrote${sharded === undefined ? ' (skipped: its backups are not at hand)' : ''}`, function () {
    if (sharded === undefined) return this.skip()
    const document = fromStorageJson(fixture(sharded))
    assert.deepEqual([document.status, document.type, document.shardRemap], ['done', 'logical', { cfg: 'config' }])
    assert.deepEqual(
      document.last_write_ts,
      new Timestamp({ t: document.last_write_ts.t, i: document.last_write_ts.i }),
    )
    const [s2] = document.replsets
    assert.equal(s2?.dump_name, '2026-11-22T04:01:00Z/s2/metadata.json')
    assert.equal(s2?.oplog_name, '2026-11-22T04:01:00Z/s2/oplog')
  })

  for (const name of written)
    it(`writes ${name} back byte for byte`, () => {
      const text = fixture(name)
      assert.equal(toStorageJson(fromStorageJson(text)), text)
    })

  it('reads what it writes', () => {
    assert.deepEqual(fromStorageJson(toStorageJson(DOCUMENT)), DOCUMENT)
    const replsets = DOCUMENT.replsets.map((replset) => ({
      ...replset,
      oplog_objects: [{ name: 'b/rs/oplog/1', crc: '00000000000000ff', storedCrc: '00000000000000fe' }],
      objects: [{ name: 'b/rs/metadata.json', size: 12, crc: '00000000000000ff' }],
      encryption: { type: 'aes-gcm', keyIds: ['a'], objects: 3 },
      transfer: { objects: 1, bytes: 2, millis: 3, retries: 0 },
    }))
    assert.deepEqual(fromStorageJson(toStorageJson({ ...DOCUMENT, replsets })), { ...DOCUMENT, replsets })
  })

  it('carries its own checksum, which PBM does not know', () => {
    const text = withChecksum(toStorageJson(DOCUMENT))
    assert.match(text, /\n\t"checksum": "[0-9a-f]{16}"\n\}$/)
    assert.deepEqual(fromStorageJson(text), DOCUMENT)
    assert.equal(withChecksum(text), text)
    const altered = [
      text.replace('"size": 10,', '"size": 11,'),
      text.replace('s2', 'lz4'),
      text.replace(/(?<="checksum": ").{16}/, '0123456789abcdef'),
      text.replace(/\n\t"checksum".*/, ',\n\t"checksum": 1'),
      JSON.stringify(JSON.parse(text)),
    ]
    for (const wrong of altered) {
      assert.throws(() => fromStorageJson(wrong), { code: 'BACKUP_METADATA_INVALID' }, wrong.slice(-80))
    }
  })

  it('writes what a control document holds: 64-bit integers, masked secrets, no progress', () => {
    const [replset] = DOCUMENT.replsets
    assert.ok(replset)
    const text = toStorageJson({
      ...DOCUMENT,
      size: Long.fromNumber(12) as unknown as number,
      layout: 'archive',
      error: 'a<b&c',
      store: { type: 's3', s3: { bucket: 'b', credentials: { 'access-key-id': 'AKIA', 'secret-access-key': 'hush' } } },
      replsets: [{ ...replset, iscs: true, progress: { phase: 'x' } as never }],
    })
    assert.match(text, /"size": 12,/)
    assert.match(text, /"layout": "archive"\n\}$/)
    assert.match(text, /"error": "a\\u003cb\\u0026c"/)
    assert.match(text, /"iscs": true/)
    assert.match(text, /"secret-access-key": "\*\*\*"/)
    assert.doesNotMatch(text, /AKIA|hush|progress/)
  })

  it('takes a store whose secrets are masked already as it is', () => {
    const store = { type: 's3', s3: { serverSideEncryption: { kmsKeyID: 'arn:aws:kms:1' }, pin: '***' } }
    const text = toStorageJson({ ...DOCUMENT, store: { type: 's3', s3: { pin: '1234' } } }, store)
    assert.deepEqual(JSON.parse(text).store, store)
  })

  it('takes nulls, missing keys, unknown keys and other letter cases', () => {
    const document = fromStorageJson(
      '{"NAME":"b","Type":"logical","replsets":null,"n":null,"what":{"is":"this"},"hb":{"t":7}}',
    )
    const unset = new Timestamp({ t: 1, i: 1 })
    const expected: Partial<BackupDocument> = {
      name: 'b',
      type: 'logical',
      replsets: [],
      n: [],
      hb: new Timestamp({ t: 7, i: 0 }),
      last_write_ts: unset,
      size: 0,
    }
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(document[key as keyof BackupDocument], value)
    assert.ok(!('what' in document) && !('nss' in document) && !('error' in document))
  })

  it('keeps what physical backups before 2.4.1 list in the metadata', () => {
    const file = { filename: 'collection-0.wt', offset: 0, length: 0, fileSize: 1, stgSize: 1, fmode: 384 }
    const text = JSON.stringify({ type: 'physical', replsets: [{ name: 'rs', files: [file], this_id: 'x' }] })
    const [replset] = fromStorageJson(text).replsets
    assert.deepEqual([replset?.files, replset?.this_id], [[file], 'x'])
    assert.deepEqual(fromStorageJson(toStorageJson(fromStorageJson(text))).replsets, [replset])
  })

  it('names the key whose value is wrong', () => {
    const wrong: [string, RegExp][] = [
      ['{"name":1}', /key name: expected a string, found 1/],
      ['{"replsets":[{"name":"a"},{"start_ts":"x"}]}', /key replsets\[1\]\.start_ts: expected an integer/],
      ['{"replsets":[{"conditions":[{"status":{}}]}]}', /key replsets\[0\]\.conditions\[0\]\.status/],
      ['{"hb":{"T":-1,"I":0}}', /key hb/],
      ['{"hb":{"T":1.5}}', /key hb\.T/],
      ['{"store":[]}', /key store/],
      ['{"shardRemap":{"a":1}}', /key shardRemap\.a/],
      ['{"replsets":[{"encryption":{"keyIds":"a"}}]}', /key replsets\[0\]\.encryption\.keyIds: expected an array/],
      ['{"replsets":[{"objects":[{"size":"1"}]}]}', /key replsets\[0\]\.objects\[0\]\.size/],
      ['{"nss":"*"}', /key nss: expected an array/],
      ['[]', /the whole document/],
      ['', /not JSON/],
      ['{"name":', /not JSON/],
    ]
    for (const [text, message] of wrong) {
      assert.throws(() => fromStorageJson(text), { code: 'BACKUP_METADATA_INVALID', message }, text)
    }
  })
})
