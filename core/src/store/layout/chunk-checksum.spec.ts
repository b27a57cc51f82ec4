import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { chunkChecksumName, chunkChecksumPrefix, parseChunkChecksumName } from './chunk-checksum.js'
import { parsePitrChunkName, pitrChunkName } from './names.js'

const START = new Timestamp({ t: 1_764_500_000, i: 3 })
const END = new Timestamp({ t: 1_764_500_600, i: 1 })
const CHUNK = pitrChunkName('rs0', START, END, '.zst')
const SUMS = { size: 1234, crc: '00000000000000ff', storedCrc: 'fedcba9876543210' }

describe('the checksums beside a chunk', () => {
  it('are all in the name of an object, and read from it', () => {
    const name = chunkChecksumName(CHUNK, SUMS)
    assert.equal(
      name,
      'pbmPitr/rs0/20251130/pbmkit.sums/20251130105320-3.20251130110320-1.1234-00000000000000ff-fedcba9876543210',
    )
    assert.ok(name.startsWith(chunkChecksumPrefix(CHUNK)))
    assert.deepEqual(parseChunkChecksumName(name), { rs: 'rs0', start: START, end: END, ...SUMS })
  })

  it('are no chunk for PBM, nor for us', () => {
    const name = chunkChecksumName(CHUNK, SUMS)
    // PBM: the third part of the file's name has to be `oplog`.
    assert.notEqual(name.slice(name.lastIndexOf('/') + 1).split('.')[2], 'oplog')
    assert.equal(parsePitrChunkName(name), undefined)
  })

  it('are not read from what is not called so', () => {
    const name = chunkChecksumName(CHUNK, SUMS)
    const others = [
      ...[
        CHUNK,
        'pbmPitr/rs0/20251130/pbmkit.keys/00',
        name.replace('pbmPitr', 'other'),
        name.replace('.sums', '.keys'),
      ],
      ...[`${name}0`, name.replace('1234', '-1'), name.replace('20251130105320-3', 'x'), ''],
    ]
    for (const other of others) assert.equal(parseChunkChecksumName(other), undefined, other)
  })
})
