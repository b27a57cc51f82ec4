import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import { compressionBySuffix } from '../../plugin-host/naming.js'
import * as names from './names.js'
import { FALLBACK_FOLDER, planNamespaceObjects } from './namespace-objects.js'
import { comparePbmMajorMinor, hasFilelistFile, isLegacyArchive, isLegacyBackupOplog } from './pbm-version.js'

const timestamps = fc
  .record({ t: fc.integer({ min: 0, max: 0xffffffff }), i: fc.integer({ min: 0, max: 0xffffffff }) })
  .map((parts) => new Timestamp(parts))
const suffixes = fc.constantFrom('', '.gz', '.s2', '.zst', '.lz4', '.snappy', '.own')

describe('names on the storage', () => {
  it('writes timestamps as PBM does', () => {
    const timestamp = new Timestamp({ t: 1644242765, i: 18 })
    assert.equal(names.timestampText(timestamp), '20220207140605-18')
    assert.equal(
      names.pitrChunkName('rs1', timestamp, new Timestamp({ t: 1644243413, i: 1 }), '.snappy'),
      'pbmPitr/rs1/20220207/20220207140605-18.20220207141653-1.oplog.snappy',
    )
  })

  it('names a sealed chunk so that PBM does not take it for one: the third part is not `oplog`', () => {
    const timestamp = new Timestamp({ t: 1644242765, i: 18 })
    const name = names.pitrChunkName('rs1', timestamp, timestamp, '.s2', 'age')
    assert.equal(name, 'pbmPitr/rs1/20220207/20220207140605-18.20220207140605-18.oplog-age.s2')
    assert.equal(compressionBySuffix(name), 's2')
  })

  it('reads back every chunk name it writes', () => {
    fc.assert(
      fc.property(timestamps, timestamps, suffixes, (start, end, suffix) => {
        const chunk = names.parseOplogChunkName(names.oplogChunkName('b', 'rs0', start, end, suffix))
        assert.deepEqual(chunk, { start, end, suffix })
        const pitr = names.parsePitrChunkName(names.pitrChunkName('rs.0', start, end, suffix))
        assert.deepEqual(pitr, { replset: 'rs.0', start, end, suffix })
        const sealed = names.parsePitrChunkName(names.pitrChunkName('rs.0', start, end, suffix, 'aes-gcm'))
        assert.deepEqual(sealed, { replset: 'rs.0', start, end, suffix, encryption: 'aes-gcm' })
      }),
    )
  })

  it('takes a missing increment in a PITR name only', () => {
    const file = '20220207140605.20220207141653.oplog'
    assert.deepEqual(names.parsePitrChunkName(`pbmPitr/rs/any/${file}`)?.start, new Timestamp({ t: 1644242765, i: 0 }))
    assert.equal(names.parseOplogChunkName('20220207140605.20220207141653'), undefined)
  })

  it('refuses what is no chunk', () => {
    for (const name of ['', 'a', 'pbmPitr/rs', 'pbmPitr//d/x.y.oplog', 'pbmPitr/rs/20221399/20221399250000-1.x.oplog'])
      assert.equal(names.parsePitrChunkName(name), undefined)
    for (const name of ['20221301000000-1.20220101000000-1', '20220101000000-.20220101000000-1', '.'])
      assert.equal(names.parseOplogChunkName(name), undefined)
  })

  it('finds the backup of a metadata object at any depth', () => {
    assert.equal(names.parseBackupMetadataName('2026-11-22T03:18:17Z.pbm.json'), '2026-11-22T03:18:17Z')
    assert.equal(names.parseBackupMetadataName('copy/of/b.pbm.json'), 'b')
    assert.equal(names.parseBackupMetadataName('.pbm.json'), undefined)
    assert.equal(names.parseBackupMetadataName('b/rs/metadata.json'), undefined)
  })

  it('never lets a strange backup name reach other objects', () => {
    for (const name of [
      '',
      '.',
      '..',
      '/',
      'a/..',
      'a//b',
      '/a',
      'a/',
      '2026-11-22T03:18:17Z/rs0',
      'pbmPitr',
      'PBMPITR',
      'pbmPitr/rs0',
      '.pbm.restore',
      '.PBM.Restore',
      '.pbm.init',
      '.pbmkit.storage',
      'pbmkit-keys',
      7,
      null,
      { a: 2 },
      'a\u001b[2J',
      'a\nb',
      'a\0',
      '\u202ea',
    ])
      assert.equal(names.isSafeBackupName(name), false, JSON.stringify(name))
    for (const name of ['2026-11-22T03:18:17Z', 'any string', 'é'])
      assert.equal(names.isSafeBackupName(name), true, name)
  })

  it('knows the suffix of each compression of PBM', () => {
    assert.equal(names.suffixOfCompression('pgzip'), '.gz')
    assert.equal(names.suffixOfCompression('none'), '')
    assert.equal(names.suffixOfCompression('brotli'), undefined)
  })
})

describe('objects of namespaces', () => {
  const plan = (collections: string[], suffix = '.s2', maxSegmentBytes: number | undefined = 255) =>
    planNamespaceObjects({
      backup: 'b',
      replset: 'rs',
      suffix,
      namespaces: collections.map((collection) => ({ db: 'shop', collection })),
      maxSegmentBytes,
    })

  it('shows no name where names are hidden', () => {
    const namespaces = ['orders', 'metadata.json', 'a/../b'].map((collection) => ({ db: 'shop', collection }))
    const hidden = planNamespaceObjects({ backup: 'b', replset: 'rs', suffix: '.s2', namespaces, hidden: true })
    assert.deepEqual(
      hidden.map(({ object, fallback }) => [object, fallback]),
      [1, 2, 3].map((number) => [`b/rs/${FALLBACK_FOLDER}/${number}.s2`, true]),
    )
  })

  it('keeps the natural name wherever it can', () => {
    assert.deepEqual(
      plan(['orders', 'system.buckets.ts', 'weird/na me%é:x?&#']).map(({ object }) => object),
      ['b/rs/shop.orders.s2', 'b/rs/shop.ts.s2', 'b/rs/shop.weird/na me%é:x?&#.s2'],
    )
  })

  it('falls back for path tricks, long names and clashes', () => {
    const tricks = ['/../x', 'a//b', 'a/', 'a/.', 'x'.repeat(250), 'a.pbm.json', 'a.tmp', 'a.pbmpart.1']
    assert.deepEqual(
      plan(tricks, '').map(({ object }) => object),
      tricks.map((_, index) => `b/rs/${FALLBACK_FOLDER}/${index + 1}`),
    )
    assert.deepEqual(
      plan(['a', 'a/b'], '').map(({ fallback }) => fallback),
      [false, true],
    )
    assert.deepEqual(
      plan(['a/b', 'a'], '').map(({ fallback }) => fallback),
      [false, true],
    )
    const [reserved] = planNamespaceObjects({
      backup: 'b',
      replset: 'rs',
      suffix: '',
      namespaces: [{ db: 'metadata', collection: 'json' }],
    })
    assert.equal(reserved?.fallback, true)
  })

  it('falls back where names differ in case or Unicode form only and the storage forgets that', () => {
    const collections = ['A', 'a', 'b', 'Über', 'u\u0308ber', 'a/x', 'A/y']
    const namespaces = collections.map((collection) => ({ db: 'shop', collection }))
    const of = (ignoresCase: boolean) =>
      planNamespaceObjects({ backup: 'b', replset: 'rs', suffix: '', namespaces, ignoresCase })
    assert.deepEqual(
      of(true).map(({ fallback }) => fallback),
      [false, true, false, false, true, true, true],
    )
    assert.deepEqual(
      of(false).map(({ fallback }) => fallback),
      [false, false, false, false, false, true, true],
    )
    const [reserved] = planNamespaceObjects({
      ...{ backup: 'b', replset: 'rs', suffix: '', ignoresCase: true },
      namespaces: [{ db: 'Metadata', collection: 'JSON' }],
    })
    assert.equal(reserved?.fallback, true)
  })

  it('gives every namespace an object of its own that no path cleaning changes', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '/',
      'a',
      'b',
      'é',
      '.s2',
      'system.buckets.',
      'metadata',
      '.json',
      'oplog',
      '\ud800',
    )
    const collection = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(fc.uniqueArray(collection, { maxLength: 12 }), suffixes, (collections, suffix) => {
        const objects = plan(collections, suffix).map(({ object }) => object)
        assert.equal(new Set(objects).size, objects.length)
        for (const object of objects) {
          assert.ok(object.startsWith('b/rs/'))
          assert.ok(object.split('/').every(names.isSafeSegment), object)
          assert.ok(!objects.some((other) => other.startsWith(`${object}/`)), object)
        }
      }),
    )
  })
})

describe('version gates', () => {
  it('follow PBM', () => {
    const legacy = ['1.8.1', 'v1.6.0', '', 'nonsense']
    assert.deepEqual(legacy.map(isLegacyArchive), [true, true, true, true])
    assert.deepEqual(['2.0.0', '2.3.9', '2.4.0', 'v2.15.0'].map(isLegacyArchive), [false, false, false, false])
    assert.deepEqual(['2.3.9', '2.4.0-beta'].map(isLegacyBackupOplog), [true, false])
    assert.deepEqual(['2.4.0', '2.4.1-dev', 'v2.15.0+x'].map(hasFilelistFile), [false, true, true])
    assert.ok(comparePbmMajorMinor('1.9.9', '1.10.0') < 0)
    assert.equal(comparePbmMajorMinor('v2.15.0', '2.15.7'), 0)
    assert.ok(comparePbmMajorMinor('', '0.1') < 0)
  })
})
