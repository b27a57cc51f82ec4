import assert from 'node:assert/strict'
import { type FileLayout, isServerPath, leadsToData } from './layout.js'

const PLAIN = { directoryPerDB: false, directoryForIndexes: false }
const PER_DB = { ...PLAIN, directoryPerDB: true }
const FOR_INDEXES = { ...PLAIN, directoryForIndexes: true }
const BOTH = { directoryPerDB: true, directoryForIndexes: true }
const ALL = [PLAIN, PER_DB, FOR_INDEXES, BOTH]

describe('the files of a server', () => {
  const fits = (path: string) => ALL.filter((layout) => isServerPath(path, layout))

  it('are those at the top, in any layout', () => {
    const names = ['WiredTiger', 'WiredTiger.backup', 'storage.bson', 'sizeStorer.wt', 'collection-1--2.wt']
    for (const path of [...names, 'journal/WiredTigerLog.0000000001']) assert.deepEqual(fits(path), ALL, path)
  })

  it('are in the folders that its layout has, and in no others', () => {
    const cases: [string, readonly FileLayout[]][] = [
      ['shop/collection-1.wt', [PER_DB]],
      ['journal/collection-1.wt', [PER_DB]],
      ['.230.151.165_2/collection-1.wt', [PER_DB]],
      ['collection/1.wt', [PER_DB, FOR_INDEXES]],
      ['index/1.wt', [PER_DB, FOR_INDEXES]],
      ['shop/index/1.wt', [BOTH]],
      ['index/index/1.wt', [BOTH]],
      ['shop/other/1.wt', []],
      ['a/b/index/1.wt', []],
    ]
    for (const [path, layouts] of cases) assert.deepEqual(fits(path), layouts, path)
  })

  it('are never what others read there', () => {
    const homes = ['.bashrc', '.ssh/authorized_keys', '.x/1.wt', '.pbmkit/restore-h_1.json', 'mongod.lock', 'keyfile']
    const locks = ['.node_modules/bson/index.js', 'x/.y/1.wt', 'WiredTiger.config', 'WiredTiger.basecfg', 'mongod.conf']
    const odd = [
      'journal/evil.so',
      'diagnostic.data/x.wt',
      'x/1.wt/..',
      '.wt',
      'x/.wt',
      '',
      '/x.wt',
      'x//1.wt',
      '../1.wt',
    ]
    for (const path of [...homes, ...locks, ...odd]) assert.deepEqual(fits(path), [], path)
  })

  it('are looked for where they can be', () => {
    const paths = ['shop', 'index', 'shop/index', '.pbmkit', 'diagnostic.data', 'shop/other', 'a/b/index']
    const led = (layout: FileLayout) => paths.filter((path) => leadsToData(path, layout))
    assert.deepEqual(led(PLAIN), [])
    assert.deepEqual(led(PER_DB), ['shop', 'index'])
    assert.deepEqual(led(FOR_INDEXES), ['index'])
    assert.deepEqual(led(BOTH), ['shop', 'index', 'shop/index'])
  })
})
