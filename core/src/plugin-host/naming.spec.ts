import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import {
  candidatePackages,
  compressionBySuffix,
  isLegalPluginName,
  missingPluginHint,
  OWN_PLUGINS,
  pluginOfPackage,
} from './naming.js'

describe('plugin names', () => {
  const SUFFIXES = {
    'a.gz': 'gzip',
    'a.lz4': 'lz4',
    'a.snappy': 'snappy',
    'a.s2': 's2',
    'a.zst': 'zstd',
    a: 'none',
    'a.gz.x': 'none',
    gz: 'none',
  }
  for (const [name, method] of Object.entries(SUFFIXES)) {
    it(`reads the compression of ${name} as ${method}`, () => {
      assert.equal(compressionBySuffix(name), method)
    })
  }

  it('names the candidates of a short name and of a package', () => {
    assert.deepEqual(candidatePackages('storage', 's3'), ['@pbmkit/storage-s3', 'pbmkit-storage-s3'])
    assert.deepEqual(candidatePackages('storage', '@acme/x'), ['@acme/x'])
    assert.deepEqual(candidatePackages('compression', 'pbmkit-compression-x'), ['pbmkit-compression-x'])
  })

  it('knows the plugin in the name of a package', () => {
    assert.deepEqual(pluginOfPackage('@pbmkit/storage-s3'), { kind: 'storage', name: 's3' })
    assert.deepEqual(pluginOfPackage('pbmkit-compression-x-y'), { kind: 'compression', name: 'x-y' })
    assert.deepEqual(pluginOfPackage('@acme/pbmkit-storage-x'), { kind: 'storage', name: '@acme/pbmkit-storage-x' })
    assert.equal(pluginOfPackage('@pbmkit/core'), undefined)
    assert.equal(pluginOfPackage('mongodb'), undefined)
  })

  it('knows all plugins of this project', () => {
    const folders = readdirSync(new URL('../../../plugins/', import.meta.url)).filter((name) => !/^framing-/.test(name))
    const known = Object.entries(OWN_PLUGINS).flatMap(([kind, names]) => names.map((name) => `${kind}-${name}`))
    assert.deepEqual(known.sort(), folders.sort())
  })

  it('tells to install what there is, and asks about a name that is none of this project', () => {
    assert.equal(missingPluginHint('storage', 's3'), 'npm install @pbmkit/storage-s3')
    assert.equal(missingPluginHint('storage', '@acme/x'), 'npm install @acme/x')
    const hint = missingPluginHint('encryption', 'rot13')
    assert.equal(
      hint,
      'is the name right? There are aes-gcm, age; of another maker: npm install pbmkit-encryption-rot13',
    )
  })

  it('takes only what npm takes', () => {
    for (const name of ['s3', '@acme/x', 'pbmkit-storage-x', 'a.b_c-d']) assert.ok(isLegalPluginName(name), name)
    for (const name of ['', '..', '.x', '_x', 'a/b', '@a', 'a:b', 'x'.repeat(215)])
      assert.ok(!isLegalPluginName(name), name)
  })
})
