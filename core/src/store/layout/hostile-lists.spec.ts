import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../../errors.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { refuseUnfitFiles } from '../../restore/physical/unfit-files.js'
import { parsePartName } from '../wrappers/parts.js'
import { decodeFileList, encodeFileList, fileObject, type ListedFile, readEntry } from './file-list.js'
import {
  isNamedAfter,
  isSafeBackupName,
  parseBackupMetadataName,
  parseOplogChunkName,
  parsePitrChunkName,
  parseTimestampText,
} from './names.js'

const file: ListedFile = { filename: 'a.wt', offset: 0, length: 0, fileSize: 9, mode: 0o600, storedSize: 9 }
const LAYOUT = { directoryPerDB: true, directoryForIndexes: false }
const LIST = [file, { ...file, filename: 'shop/b.wt', crc: '0'.repeat(16), object: 'pbmkit.namespaces/1' }]

/** As a restore and a look at the storage read it. */
async function readList(bytes: Buffer): Promise<void> {
  const files: ListedFile[] = []
  try {
    for await (const one of decodeFileList(bodyOf(bytes))) files.push(one)
    refuseUnfitFiles(files, LAYOUT)
  } catch (error) {
    assert.ok(error instanceof PbmError, (error as Error).stack)
    assert.match(error.code, /^(FILE_LIST|BSON)_/)
    return
  }
  for (const { filename } of files) assert.doesNotMatch(filename, /(^|\/)\.|^\/|\0|mongod\.lock/)
}

const names = fc.oneof(
  fc.string(),
  fc.constantFrom(
    'a.wt',
    '../x.wt',
    '/a.wt',
    '.a.wt',
    'journal/WiredTigerLog.1',
    'x/index/1.wt',
    'WiredTiger',
    'x/.y/1.wt',
  ),
)
const numbers = fc.oneof(fc.integer(), fc.double(), fc.constantFrom<unknown>(-1, 0, 2 ** 53, 'x', null, {}, undefined))
const entries = fc.record(
  {
    ...{ filename: fc.oneof(names, numbers), object: fc.oneof(names, numbers), offset: numbers, length: numbers },
    ...{ fileSize: numbers, fmode: numbers, stgSize: numbers, crc: fc.anything(), stgCrc: fc.anything() },
  },
  { requiredKeys: [] },
)

describe('A list of files that somebody has changed', () => {
  it('names files of a server or is refused, whatever its bytes', async () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 })
    await readList(encodeFileList(LIST))
    await fc.assert(
      fc.asyncProperty(flips, fc.nat(), fc.uint8Array({ maxLength: 60 }), async (changes, cut, more) => {
        const bytes = Buffer.concat([encodeFileList(LIST), more])
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        await readList(cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes)
      }),
      { numRuns: 500 },
    )
  })

  it('names files of a server or is refused, whatever its entries', () => {
    fc.assert(
      fc.property(fc.array(entries, { minLength: 1, maxLength: 4 }), (all) => {
        try {
          const files = all.map((one) => readEntry(one))
          refuseUnfitFiles(files, LAYOUT)
          for (const one of files) assert.match(fileObject('b', 'rs0', one, ''), /^b\/rs0\/(?!.*\.\.\/)/)
        } catch (error) {
          assert.equal((error as PbmError).code, 'FILE_LIST_INVALID', (error as Error).stack)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('A name of an object that somebody has chosen', () => {
  const segments = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'pbmPitr',
      'rs0',
      '20310203',
      '20310203040506-1',
      'oplog',
      'oplog-aes-gcm',
      's2',
      '..',
      '.pbm.json',
      'pbmpart',
      '0',
    ),
  )
  const objects = fc
    .array(fc.tuple(segments, fc.constantFrom('/', '.', '-', '')), { maxLength: 9 })
    .map((parts) => parts.flat().join(''))

  it('means what it says, or nothing', () => {
    fc.assert(
      fc.property(objects, (object) => {
        parsePitrChunkName(object)
        parseOplogChunkName(object)
        parseTimestampText(object)
        parsePartName(object)
        const backup = parseBackupMetadataName(object)
        if (backup !== undefined) assert.ok(object.endsWith(`${backup}.pbm.json`))
        if (!isSafeBackupName(object)) return
        assert.ok(!isNamedAfter(object, 'pbmPitr/rs0/x') && !isNamedAfter(object, '.pbm.restore/x/cluster.done'))
        assert.ok(!object.includes('/') && object !== '..')
      }),
      { numRuns: 1000 },
    )
  })
})
