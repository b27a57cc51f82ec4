import assert from 'node:assert/strict'
import { BSON } from 'bson'
import { PbmError } from '../errors.js'
import { createCrc64 } from './crc64.js'
import { demultiplex } from './demultiplex.js'
import { terminator, writeBlockHeader, writeHeader, writePreludeEntry } from './format.js'
import { readMetadataJson, writeMetadataJson } from './metadata.js'
import { type ArchiveEvent, readArchive } from './reader.js'
import { type ArchiveSource, writeArchive } from './writer.js'

/** The definition of the worked example (PBM: archive-and-oplog.md §1.6, §1.7). */
const definition =
  '{"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"uuid":"1f86082d9fb24665a77e50610a3ed58d","collectionName":"c","type":"collection"}'
const first = Buffer.from('17000000105f696400010000000261000200000078 0000'.replace(' ', ''), 'hex')
const second = Buffer.from('17000000105f69640002000000026100020000007900 00'.replace(' ', ''), 'hex')
const header = {
  concurrentCollections: 4,
  version: '0.1',
  serverVersion: '6.0.5',
  toolVersion: 'built-without-version-string',
}

async function* of(...buffers: Buffer[]): AsyncGenerator<Buffer> {
  yield* buffers
}

async function join(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

function source(collection: string, ...documents: Buffer[]): ArchiveSource {
  const metadata = definition.replace('"c"', `"${collection}"`)
  return {
    db: 't',
    collection,
    bodyCollection: collection,
    metadata,
    type: 'collection',
    documents: () => of(...documents),
  }
}

async function events(bytes: Buffer, chunk = bytes.length): Promise<ArchiveEvent[]> {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk))
  const found: ArchiveEvent[] = []
  for await (const event of (await readArchive(of(...chunks))).events) found.push(event)
  return found
}

function code(expected: string) {
  return (error: unknown) => error instanceof PbmError && error.code === expected
}

describe('CRC-64 of archives', () => {
  const vectors: [string, string][] = [
    ['', '0000000000000000'],
    ['313233343536373839', '995dc9bbdf1939fa'],
    ['0500000000', '75a4d714bd995f96'],
    ['0c0000001061000100000000', '23ccbc01ac334b50'],
  ]
  for (const [input, expected] of vectors) {
    it(`of ${input === '' ? 'nothing' : input} is ${expected}`, async () => {
      const crc = createCrc64()
      crc.update(Buffer.from(input, 'hex'))
      assert.equal(BigInt.asUintN(64, crc.digest()), BigInt(`0x${expected}`))
    })
  }

  it('goes on after a digest', async () => {
    const crc = createCrc64()
    crc.update(Buffer.from('12345'))
    crc.digest()
    crc.update(Buffer.from('6789'))
    assert.equal(BigInt.asUintN(64, crc.digest()), 0x995dc9bbdf1939fan)
  })
})

describe('the mongodump archive', () => {
  it('is written as mongodump writes it', async () => {
    const bytes = await join(writeArchive(header, [source('c', first, second)]))
    const entry = writePreludeEntry({ db: 't', collection: 'c', metadata: definition, type: 'collection' })
    const at = 4 + 123 + entry.length
    assert.equal(bytes.subarray(0, 8).toString('hex'), '6de299817b000000')
    assert.equal(bytes.subarray(at, at + 4).toString('hex'), 'ffffffff')
    const body = bytes.subarray(at + 4)
    const head = '34000000026462000200000074000' + '2636f6c6c656374696f6e00020000006300'
    const begin = `${head}08454f4600001243524300000000000000000000`
    const end = `${head}08454f460001124352430091367c3844f30ffc00`
    const stop = 'ffffffff'
    assert.equal(body.toString('hex'), begin + first.toString('hex') + second.toString('hex') + stop + end + stop)
  })

  it('is read back whatever the chunks', async () => {
    const bytes = await join(writeArchive(header, [source('c', first, second), source('d'), source('e', second)]))
    for (const chunk of [1, 3, 7, 64, bytes.length]) {
      const found = await events(bytes, chunk)
      const documents = found.flatMap((event) => (event.kind === 'documents' ? [event.documents] : []))
      assert.deepEqual(Buffer.concat(documents), Buffer.concat([first, second, second]))
      assert.deepEqual(
        found.flatMap((event) => (event.kind === 'end' ? [[event.namespace.collection, event.bytes]] : [])),
        [
          ['c', 46],
          ['d', 0],
          ['e', 23],
        ],
      )
    }
  })

  it('gives interleaved namespaces a stream each', async () => {
    const block = (collection: string, documents: Buffer[], crc?: bigint) => [
      writeBlockHeader({ db: 't', collection, eof: crc !== undefined, crc: crc ?? 0n }),
      ...documents,
      terminator(),
    ]
    const crcOf = async (...documents: Buffer[]) => {
      const crc = createCrc64()
      for (const document of documents) crc.update(document)
      return crc.digest()
    }
    const prelude = ['a', 'b'].map((collection) =>
      writePreludeEntry({ db: 't', collection, metadata: '', type: 'collection' }),
    )
    const bytes = Buffer.concat([
      ...[writeHeader(header), ...prelude, terminator()],
      ...block('a', [first]),
      ...block('b', [second]),
      ...block('a', [second]),
      ...block('b', [], await crcOf(second)),
      ...block('a', [], await crcOf(first, second)),
    ])
    const found = new Map<string, Buffer>()
    await demultiplex(await readArchive(of(bytes)), async ({ collection }, documents) => {
      found.set(collection, await join(documents))
    })
    assert.deepEqual(found.get('a'), Buffer.concat([first, second]))
    assert.deepEqual(found.get('b'), second)
  })

  it('passes the error of a consumer on, and ends', async () => {
    const bytes = await join(writeArchive(header, [source('c', first), source('d', second)]))
    const failing = demultiplex(await readArchive(of(bytes)), async () => {
      throw new Error('disk full')
    })
    await assert.rejects(failing, /disk full/)
  })

  it('is refused when it is damaged, cut short or continued', async () => {
    const good = await join(writeArchive(header, [source('c', first, second)]))
    const body = good.length - 56 - 4 - 46 - 56
    const damaged = Buffer.from(good)
    damaged[damaged.indexOf(second) + 18] = 0x7a
    await assert.rejects(events(damaged), code('ARCHIVE_CRC'))
    for (let end = 4; end < good.length; end += 5) {
      await assert.rejects(events(good.subarray(0, end)), (error: unknown) => error instanceof PbmError)
    }
    await assert.rejects(events(Buffer.concat([good, Buffer.from([1])])), code('ARCHIVE_TRUNCATED'))
    await assert.rejects(events(Buffer.concat([good, terminator()])), code('ARCHIVE_CORRUPT'))
    await assert.rejects(events(Buffer.concat([good, good.subarray(body)])), code('ARCHIVE_CORRUPT'))
    await assert.rejects(events(Buffer.from('not an archive')), code('ARCHIVE_CORRUPT'))
    const strange = Buffer.from(BSON.serialize({ db: 't', collection: 'c', EOF: false, CRC: 0, extra: 1 }))
    await assert.rejects(events(Buffer.concat([good, strange, terminator()])), code('ARCHIVE_CORRUPT'))
  })
})

describe('metadata.json', () => {
  it('comes back as it was written, with what is ours in it', () => {
    const text = writeMetadataJson({
      ...header,
      namespaces: [
        {
          db: 'shop',
          collection: 'a<b>&',
          collectionName: 'a<b>&',
          type: 'collection',
          options: Buffer.from(
            BSON.serialize(
              new Map<string, unknown>([
                ['z', 1],
                ['1', { $regex: 'x' }],
              ]),
            ),
          ),
          indexes: [Buffer.from(BSON.serialize({ v: 2, key: { b: 1, 1: -1 }, name: 'x', hidden: true }))],
          uuid: '1f86082d9fb24665a77e50610a3ed58d',
          crc: -4622596222680016738n,
          size: 7200,
          packed: { size: 1234, crc: -77n },
          object: 'b/rs/pbmkit.namespaces/1',
        },
      ],
    })
    assert.equal(writeMetadataJson(readMetadataJson(text)), text)
    assert.match(text, /a\\u003cb\\u003e\\u0026/)
    assert.match(text, /-4622596222680016738/)
    assert.deepEqual(readMetadataJson(text).namespaces[0]?.packed, { size: 1234, crc: -77n })
  })

  it('takes plain numbers and missing fields', () => {
    const { namespaces } = readMetadataJson('{"namespaces":[{"db":"a","collection":"b","crc":-1,"size":5}]}')
    assert.equal(namespaces[0]?.crc, -1n)
    assert.equal(namespaces[0]?.size, 5)
    assert.equal(namespaces[0]?.type, 'collection')
  })

  it('is refused with what is wrong', () => {
    for (const text of [
      '',
      '[]',
      '{"namespaces":{}}',
      '{"namespaces":[{}]}',
      '{"namespaces":[{"db":"a","collection":"b","size":"x"}]}',
      '{"namespaces":[{"db":"a","collection":"b","packed_size":"x","packed_crc":1}]}',
    ]) {
      assert.throws(() => readMetadataJson(text), code('METADATA_INVALID'))
    }
  })
})
