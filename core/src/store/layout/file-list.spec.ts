import assert from 'node:assert/strict'
import { serialize } from 'bson'
import { bodyOf } from '../../plugin-kit/streams.js'
import { decodeFileList, encodeFileList, fileObject, type ListedFile, readEntry } from './file-list.js'

const file: ListedFile = {
  ...{ filename: 'shop/collection-1.wt', offset: 0, length: 0, fileSize: 5_000_000_000, mode: 0o600 },
  ...{ storedSize: 77, crc: '0123456789abcdef', storedCrc: 'fedcba9876543210' },
}

async function read(bytes: Uint8Array): Promise<ListedFile[]> {
  const found: ListedFile[] = []
  for await (const entry of decodeFileList(bodyOf(bytes))) found.push(entry)
  return found
}

describe('the list of files', () => {
  it('is read as it was written', async () => {
    const files = [file, { ...file, filename: 'storage.bson', offset: 4096, length: 12 }]
    assert.deepEqual(await read(encodeFileList(files)), files)
  })

  it('leads to objects as PBM names them', () => {
    assert.equal(fileObject('b', 'rs0', file, '.s2'), 'b/rs0/shop/collection-1.wt.s2')
    const part = { ...file, offset: 4096, length: 12 }
    assert.equal(fileObject('b', 'rs0', part, '.zst'), 'b/rs0/shop/collection-1.wt.zst.4096-12')
    assert.equal(fileObject('b', 'rs0', { ...file, object: 'pbmkit.namespaces/3' }, ''), 'b/rs0/pbmkit.namespaces/3')
  })

  it('of an older PBM may have slashes before its names', () => {
    assert.equal(readEntry({ filename: '/journal/WiredTigerLog.1' }).filename, 'journal/WiredTigerLog.1')
  })

  it('never leads out of the dbPath, nor of its folder on the storage', async () => {
    const names = ['../x', 'a/../../x', '', 'a//b', 'a/./b', 'a\0b', 5, null]
    for (const filename of names) {
      const bytes = serialize({ filename, offset: 0, length: 0, fileSize: 1, stgSize: 1, fmode: 384 })
      await assert.rejects(read(bytes), { code: 'FILE_LIST_INVALID' }, JSON.stringify(filename))
    }
    const broken = Buffer.from(serialize({ filename: 'abc' }))
    broken.writeInt32LE(99, 14)
    await assert.rejects(read(broken), { code: 'FILE_LIST_INVALID' })
    await assert.rejects(read(serialize({ ...file, more: 'x'.repeat(70_000) })), { code: 'FILE_LIST_INVALID' })
    assert.throws(() => readEntry({ filename: 'a', object: '../../other/secret' }), { code: 'FILE_LIST_INVALID' })
    assert.throws(() => readEntry({ filename: 'a', fileSize: -7 }), { code: 'FILE_LIST_INVALID' })
    assert.throws(() => readEntry({ filename: 'a', length: 'many' }), { code: 'FILE_LIST_INVALID' })
  })
})
