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

  it('is read the same when its definitions are large', async () => {
    const key = '{"v":{"$numberInt":"2"},"key":{"a":{"$numberInt":"1"}},"name":"a_1"}'
    const many = (count: number, make: (at: number) => string) => Array.from({ length: count }, (_, at) => make(at))
    const nested = `{"deep":[{"x":{"$oid":"6b0268fcbcfde2227186d740"}},[1,"a",null]],"n":{"$numberLong":"5"},"e":{},"l":[]}`
    const options = `{${many(3_000, (at) => `"k${at}":${at % 7 === 0 ? nested : at}`)}}`
    const metadata = `{"options":${options},"indexes":[${many(600, () => key)}],"uuid":"x","type":"collection"}`
    await readBoth(JSON.stringify({ namespaces: [{ db: 'a', collection: 'b', metadata }] }))
    await readBoth(
      JSON.stringify({ namespaces: [{ db: 'a', collection: 'b', metadata: metadata.replace('"k1"', '"\\u0000"') }] }),
    )
  })

  it('is refused with numbers of more digits than there are', async () => {
    const crc = { $numberLong: '9'.repeat(5_000_000) }
    await assert.rejects(
      readMetadataJsonGently(JSON.stringify({ namespaces: [{ db: 'a', collection: 'b', metadata: '{}', crc }] })),
      { code: 'METADATA_INVALID' },
    )
  })
})
