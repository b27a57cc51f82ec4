import assert from 'node:assert/strict'
import type { ListedFile } from '../../store/layout/file-list.js'
import type { FetchOptions } from './listed-files.js'
import { type Layer, plannedFiles } from './planned-files.js'

const WHOLE: ListedFile = { filename: 'a.wt', offset: 0, length: 0, fileSize: 100, mode: 0o600, storedSize: 1 }
const SAME = { ...WHOLE, offset: -1, length: -1 }
const part = (offset: number, length: number, fileSize = 100): ListedFile => ({ ...WHOLE, offset, length, fileSize })
const layers = (...lists: ListedFile[][]): Layer[] => lists.map((files) => ({ from: {} as FetchOptions, files }))
const pieces = (...lists: ListedFile[][]) =>
  plannedFiles(layers(...lists)).map(({ filename, pieces }) => [filename, ...pieces.map(({ file }) => file)])

describe('the files of a chain', () => {
  it('come from the backups that have something of them, in order', () => {
    assert.deepEqual(pieces([WHOLE], [SAME], [part(10, 20)], [part(15, 5)]), [
      ['a.wt', WHOLE, part(10, 20), part(15, 5)],
    ])
  })

  it('are those of the last list alone', () => {
    const other = { ...WHOLE, filename: 'b.wt' }
    assert.deepEqual(pieces([WHOLE, other], [SAME]), [['a.wt', WHOLE]])
    assert.deepEqual(pieces([WHOLE], [SAME, other]), [
      ['a.wt', WHOLE],
      ['b.wt', other],
    ])
  })

  it('need nothing of before one that is stored whole', () => {
    assert.deepEqual(pieces([WHOLE], [part(0, 10)], [WHOLE]), [['a.wt', WHOLE]])
    assert.deepEqual(pieces([], [WHOLE]), [['a.wt', WHOLE]])
  })

  it('may grow and shrink', () => {
    assert.deepEqual(pieces([WHOLE], [part(100, 60, 150)], [part(0, 64, 90)]).length, 1)
  })

  it('are refused where a list would have each piece compared with a thousand others', () => {
    const far = Array.from({ length: 1_001 }, (_, index) => part(index * 2, 1, 10_000))
    assert.throws(() => plannedFiles(layers(far)), { message: /more than 1000 places/ })
  })

  const BROKEN: Record<string, ListedFile[][]> = {
    'has nothing of one': [[], [SAME]],
    'has only a part': [[part(0, 64)], [SAME]],
    'has nothing of what came at the end': [[WHOLE], [{ ...SAME, fileSize: 150 }]],
    'has something open in between': [[WHOLE], [part(120, 30, 150)]],
    'lost what grows again': [[WHOLE], [{ ...SAME, fileSize: 50 }], [SAME]],
  }
  for (const [what, lists] of Object.entries(BROKEN)) {
    it(`are refused where the chain ${what}`, () => {
      assert.throws(() => plannedFiles(layers(...lists)), { code: 'FILE_LIST_INVALID' })
    })
  }
})
