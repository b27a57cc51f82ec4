import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { readMetadataJson, readMetadataJsonGently } from './metadata.js'

const definition =
  '{"options":{"capped":true},"indexes":[{"v":{"$numberInt":"2"},"key":{"a":1},"name":"a_1"}],"uuid":"x"}'
const VALID = JSON.stringify({
  namespaces: [
    { db: 'shop', collection: 'a', metadata: definition, type: 'collection', crc: { $numberLong: '-5' }, size: 7 },
    {
      db: 'shop',
      collection: 'v',
      metadata: definition,
      packed_size: 5,
      packed_crc: 6,
      object: 'x',
      buckets_uuid: 'y',
    },
  ],
})

async function readBoth(text: string): Promise<void> {
  let found: unknown
  try {
    found = readMetadataJson(text)
  } catch (error) {
    assert.ok(error instanceof PbmError, String(error))
    await assert.rejects(readMetadataJsonGently(text), { code: error.code })
    return
  }
  assert.deepEqual(await readMetadataJsonGently(text), found)
}

describe('A list of namespaces that somebody has changed', () => {
  it('is read or refused, whatever the text', async () => {
    await readBoth(VALID)
    const pieces = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '"$oid"',
        '"$date":1',
        '{"$numberLong":"x"}',
        '{"$binary":1}',
        '{"$code":"a","$scope":1}',
        '\\u0000',
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.nat(VALID.length), fc.nat(12), pieces, async (from, length, middle) => {
        await readBoth(VALID.slice(0, from) + middle + VALID.slice(from + length))
      }),
      { numRuns: 500 },
    )
  })

  it('is read or refused, whatever the definitions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.json(), async (options, index) => {
        const metadata = `{"options":${options},"indexes":[${index}]}`
        await readBoth(JSON.stringify({ namespaces: [{ db: 'a', collection: 'b', metadata }] }))
      }),
      { numRuns: 300 },
    )
  })

  it('is refused with a definition that is longer than any', async () => {
    const metadata = `{"uuid":"${'x'.repeat(5 * 1024 * 1024)}"}`
    await assert.rejects(
      readMetadataJsonGently(JSON.stringify({ namespaces: [{ db: 'a', collection: 'b', metadata }] })),
      {
        code: 'METADATA_INVALID',
        message: /the definition of "b" is longer/,
      },
    )
  })
})
