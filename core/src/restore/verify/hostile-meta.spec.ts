import assert from 'node:assert/strict'
import { serialize } from 'bson'
import fc from 'fast-check'
import { readMetadataJson } from '../../archive/metadata.js'
import { PbmError } from '../../errors.js'
import { differenceOf } from './cross-check.js'

const { namespaces } = readMetadataJson(
  '{"namespaces":[{"db":"shop","collection":"a","metadata":"{}","type":"collection","crc":5,"size":7}]}',
)
const META = Buffer.from(
  serialize({
    specifications: [{ db: 'shop', name: 'a', type: 'collection', crc: 5, size: 7, indexes: [], options: {} }],
  }),
)

describe('A list beside the list of namespaces that somebody has changed', () => {
  it('says the same, differs, or is refused in words, whatever its bytes', async () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(flips, fc.nat(), async (changes, cut) => {
        const bytes = Buffer.from(META)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        try {
          await differenceOf(namespaces, cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes)
        } catch (error) {
          assert.ok(error instanceof PbmError, (error as Error).stack)
          assert.match(error.code, /^(BACKUP_DAMAGED|BSON_)/)
        }
      }),
      { numRuns: 500 },
    )
  })
})
