import assert from 'node:assert/strict'
import type { ListedFile } from '../../store/layout/file-list.js'
import { refuseUnfitFiles } from './unfit-files.js'

const LAYOUT = { directoryPerDB: true, directoryForIndexes: false }
const file: ListedFile = { filename: 'a.wt', offset: 0, length: 0, fileSize: 100, mode: 0o600, storedSize: 1 }

describe('a list of files that a storage has', () => {
  it('is taken where each file is whole, in parts too', () => {
    refuseUnfitFiles(
      [file, { ...file, filename: 'storage.bson', length: 100 }, { ...file, filename: 'shop/a.wt' }],
      LAYOUT,
    )
    refuseUnfitFiles(
      [
        { ...file, length: 40 },
        { ...file, offset: 40, length: 61 },
      ],
      LAYOUT,
    )
  })

  const part = { ...file, length: 40 }
  const UNFIT: Record<string, ListedFile[]> = {
    'a name that no server has': [{ ...file, filename: '.ssh/authorized_keys' }],
    'a folder that its server makes none of': [{ ...file, filename: 'shop/index/a.wt' }],
    'a file that is in another backup': [{ ...file, offset: -1, length: -1 }],
    'a part alone': [part],
    'a hole between parts': [part, { ...part, offset: 60 }],
    'parts over each other': [part, { ...file, offset: 30, length: 70 }],
    'a part beyond the end': [
      { ...file, length: 100 },
      { ...part, offset: 2 ** 50 },
    ],
    'a whole file that begins later': [{ ...file, offset: 1 }],
    'a file twice': [file, file],
    'a file whole and in parts': [file, part],
    'two sizes': [part, { ...file, offset: 40, length: 60, fileSize: 101 }],
    'a size that no file has': [{ ...file, fileSize: 2 ** 50 }],
    'a file that is a folder too': [file, { ...file, filename: 'a.wt/b.wt' }],
  }
  for (const [what, files] of Object.entries(UNFIT)) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => refuseUnfitFiles(files, LAYOUT), { code: 'FILE_LIST_INVALID' })
    })
  }
})
