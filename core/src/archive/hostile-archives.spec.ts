import assert from 'node:assert/strict'
import { BSON } from 'bson'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { demultiplex } from './demultiplex.js'
import { readArchive } from './reader.js'
import { type ArchiveSource, writeArchive } from './writer.js'

const header = { concurrentCollections: 4, version: '0.1', serverVersion: '6.0.5', toolVersion: 'test' }
const names = ['a', 'b', 'c']

function source(collection: string): ArchiveSource {
  const metadata = `{"indexes":[],"uuid":"1f86082d9fb24665a77e50610a3ed58d","collectionName":"${collection}","type":"collection"}`
  return {
    ...{ db: 't', collection, bodyCollection: collection, metadata, type: 'collection' },
    documents: async function* () {
      for (const _id of [1, 2, 3]) yield Buffer.from(BSON.serialize({ _id, text: collection.repeat(9) }))
    },
  }
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** What comes out of each namespace; undefined where it was refused in words. */
async function read(bytes: Buffer, chunk: number): Promise<Map<string, string> | undefined> {
  const found = new Map<string, string>()
  try {
    const archive = await readArchive(inChunks(bytes, chunk))
    await demultiplex(archive, async ({ collection }, documents) => {
      const parts: Buffer[] = []
      for await (const part of documents) parts.push(Buffer.from(part))
      found.set(collection, Buffer.concat(parts).toString('hex'))
    })
    return found
  } catch (error) {
    assert.ok(error instanceof PbmError, (error as Error).stack)
    assert.match(error.code, /^(ARCHIVE|BSON|METADATA)_/)
    return undefined
  }
}

describe('An archive that somebody has changed', () => {
  let valid: Buffer
  let whole: Map<string, string> | undefined
  before(async () => {
    const parts: Buffer[] = []
    for await (const part of writeArchive(header, names.map(source))) parts.push(part)
    valid = Buffer.concat(parts)
    whole = await read(valid, valid.length)
    assert.equal(whole?.size, names.length)
  })

  const chunks = fc.integer({ min: 1, max: 2000 })

  it('is read or refused in words, whatever its bytes', async () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(flips, chunks, async (changes, chunk) => {
        const bytes = Buffer.from(valid)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        await read(bytes, chunk)
      }),
      { numRuns: 500 },
    )
  })

  it('is refused wherever it is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), chunks, async (length, chunk) => {
        assert.equal(await read(valid.subarray(0, length % valid.length), chunk), undefined)
      }),
      { numRuns: 200 },
    )
  })

  it('is no archive where it is anything', async () => {
    const anything = fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.concat([valid.subarray(0, 4), bytes]))
    await fc.assert(
      fc.asyncProperty(anything, chunks, async (bytes, chunk) => void (await read(bytes, chunk))),
      { numRuns: 300 },
    )
  })
})
