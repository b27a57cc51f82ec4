import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { type NamespaceMetadata, type PackedBytes, writeMetadataJson } from '../../archive/metadata.js'
import { Tally } from '../../archive/tally.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { optime } from '../../oplog/entry.js'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import { PluginError } from '../../plugin/errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { none } from '../../plugin-host/none.js'
import { openSnapshot } from '../data/snapshot.js'
import { verifySnapshot } from './verify.js'

const LIST = 'b/rs0/metadata.json'
const META = 'b/rs0/meta.pbm'
const OBJECT = 'b/rs0/shop.orders.flip'
const PIECE = 'b/rs0/oplog/19700101000140-1.19700101000140-9'

const documents = Buffer.concat([1, 2, 3].map((n) => raw({ _id: n, text: 'x'.repeat(n * 100) })))
const entries = Buffer.concat([1, 9].map((i) => raw({ ts: new Timestamp({ t: 100, i }), op: 'n', ns: '', o: { i } })))

/** A codec that can be seen at work. */
function flip(): CompressionPlugin & { decompressed: number } {
  const flipped = async function* (source: AsyncIterable<Uint8Array>) {
    for await (const bytes of source) yield Buffer.from(bytes.map((byte) => byte ^ 0xff))
  }
  const plugin = {
    ...{ ...none, name: 'flip', suffix: '.flip', decompressed: 0 },
    compress: flipped,
    decompress: async function* (source: AsyncIterable<Uint8Array>) {
      plugin.decompressed++
      yield* flipped(source)
    },
  }
  return plugin
}

const packedDocuments = Buffer.from(documents.map((byte) => byte ^ 0xff))

function tallied(bytes: Buffer): Tally {
  const tally = new Tally()
  tally.add(bytes)
  return tally
}

function namespace(packed: PackedBytes | undefined): NamespaceMetadata {
  const { size, crc } = tallied(documents)
  const names = { db: 'shop', collection: 'orders', collectionName: 'orders', type: 'collection' as const }
  return { ...names, indexes: [], size, crc, ...(packed === undefined ? {} : { packed }) }
}

function storedObject(name: string, objects: ReadonlyMap<string, Buffer>) {
  const { size, crc } = tallied(objects.get(name) ?? Buffer.alloc(0))
  return { name, size, crc: BigInt.asUintN(64, crc).toString(16).padStart(16, '0') }
}

/** A backup of one collection over buffers that a test may change. */
async function backupOf(
  packed: PackedBytes | undefined,
  options: { oplogCrc?: string; compression?: typeof none; knowsList?: boolean } = {},
) {
  const compression = options.compression ?? flip()
  const version = { version: '0.1', serverVersion: '6.0.5', toolVersion: 'pbmkit', concurrentCollections: 1 }
  const objects = new Map<string, Buffer>([
    [META, Buffer.from('as good as any')],
    [LIST, Buffer.from(writeMetadataJson({ ...version, namespaces: [namespace(packed)] }))],
    [compression === none ? OBJECT.replace('.flip', '') : OBJECT, compression === none ? documents : packedDocuments],
    [PIECE + compression.suffix, compression === none ? entries : Buffer.from(entries.map((byte) => byte ^ 0xff))],
  ])
  const find = (name: string) => {
    const found = objects.get(name)
    if (found === undefined) throw new PluginError('STORAGE_NOT_FOUND', `${name} is not there`)
    if (found.length === 0) throw new PluginError('STORAGE_EMPTY', `${name} is empty`)
    return found
  }
  const store = {
    read: async (name: string) => {
      const found = find(name)
      return (async function* () {
        for (let at = 0; at < found.length; at += 100) yield found.subarray(at, at + 100)
      })()
    },
    list: async function* ({ prefix }: { prefix: string }) {
      for (const [name, { length: size }] of objects) if (name.startsWith(prefix)) yield { name, size }
    },
  } as unknown as ObjectStore
  const backup = { name: 'b', pbm_version: '2.14.0' } as BackupDocument
  const crc = options.oplogCrc
  const replset = {
    ...{ name: 'rs0', dump_name: LIST, oplog_name: 'b/rs0/oplog' },
    ...(crc === undefined ? {} : { oplog_objects: [{ name: PIECE + compression.suffix, crc }] }),
    ...(options.knowsList === true ? { objects: [storedObject(LIST, objects), storedObject(META, objects)] } : {}),
  } as BackupReplset
  const open = () => openSnapshot(store, backup, replset, compression)
  const snapshot = await open()
  const told = { bytes: 0 }
  const onBytes = (bytes: number) => {
    told.bytes += bytes
  }
  const range = { start: optime({ t: 100, i: 1 }), end: optime({ t: 100, i: 9 }), exactEnds: true }
  const verify = () => verifySnapshot(store, snapshot, { ...range, width: 2, oplog: snapshot.oplog, onBytes })
  return { objects, open, snapshot, compression, told, verify }
}

const known = (): PackedBytes => {
  const { size, crc } = tallied(packedDocuments)
  return { size, crc }
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

describe('Verification of a backup', () => {
  it('compares objects as they are stored where their checksums are known', async () => {
    const { snapshot, compression, told, verify } = await backupOf(known())
    await verify()
    assert.equal((compression as ReturnType<typeof flip>).decompressed, 1, 'only the oplog')
    assert.equal(snapshot.bytesToVerify, packedDocuments.length)
    assert.equal(told.bytes, packedDocuments.length + entries.length)
  })

  it('decompresses where they are not', async () => {
    const { objects, compression, verify } = await backupOf(undefined)
    await verify()
    assert.equal((compression as ReturnType<typeof flip>).decompressed, 2)
    objects.set(OBJECT, changed(packedDocuments, 200))
    await assert.rejects(verify(), { code: 'BACKUP_DAMAGED', message: /shop\.orders\.flip .*checksum/ })
  })

  const damages: [string, (objects: Map<string, Buffer>) => unknown, string, RegExp][] = [
    [
      'altered',
      (all) => all.set(OBJECT, changed(packedDocuments, 200)),
      'BACKUP_DAMAGED',
      /flip is altered: .*checksum/,
    ],
    ['cut off', (all) => all.set(OBJECT, packedDocuments.subarray(0, -1)), 'BACKUP_DAMAGED', /flip is cut off/],
    ['longer', (all) => all.set(OBJECT, Buffer.concat([packedDocuments, entries])), 'BACKUP_DAMAGED', /is altered/],
    ['empty', (all) => all.set(OBJECT, Buffer.alloc(0)), 'BACKUP_DAMAGED', /flip is empty/],
    ['missing', (all) => all.delete(OBJECT), 'BACKUP_OBJECT_MISSING', /flip is missing/],
  ]
  for (const [what, damage, code, message] of damages) {
    it(`refuses an object that is ${what}`, async () => {
      const { objects, verify } = await backupOf(known())
      damage(objects)
      await assert.rejects(verify(), { code, message })
    })
  }

  it('takes the checksum of the documents for an object without a codec', async () => {
    const { objects, verify } = await backupOf(undefined, { compression: none })
    await verify()
    const name = OBJECT.replace('.flip', '')
    // As good a document as before.
    objects.set(name, changed(documents, documents.length - 10))
    await assert.rejects(verify(), { code: 'BACKUP_DAMAGED', message: /shop\.orders is altered: .*checksum/ })
  })

  it('finds an altered oplog by the checksum in the record of the backup', async () => {
    const altered = changed(entries, entries.length - 6)
    const without = await backupOf(undefined, { compression: none })
    without.objects.set(PIECE, altered)
    await without.verify()
    const { objects, verify } = await backupOf(undefined, { compression: none, oplogCrc: tallied(entries).crcText() })
    await verify()
    objects.set(PIECE, altered)
    await assert.rejects(verify(), { code: 'BACKUP_DAMAGED', message: /oplog\/.* was altered/ })
  })

  it('finds an altered list by the checksum in the record of the backup', async () => {
    const { objects, open, verify } = await backupOf(known(), { knowsList: true })
    await verify()
    const list = objects.get(LIST) ?? Buffer.alloc(0)
    for (const other of [
      Buffer.from(list.toString().replace('"orders"', '"border"')),
      Buffer.from(list.toString().replace('"type": "collection"', '"type": "view"      ')),
      Buffer.from(`${list.toString()} `),
    ]) {
      objects.set(LIST, other)
      await assert.rejects(open(), { code: 'BACKUP_DAMAGED', message: /metadata\.json is altered/ })
    }
    objects.set(LIST, list)
    objects.set(META, Buffer.from('as good as none'))
    await assert.rejects(verify(), { code: 'BACKUP_DAMAGED', message: /meta\.pbm is altered/ })
  })

  it('refuses oplog that the record of the backup does not know', async () => {
    const { objects, open } = await backupOf(known(), { oplogCrc: tallied(entries).crcText() })
    const name = `${PIECE}.flip`
    objects.set(name.replace('-9.flip', '-8.flip'), entries)
    await assert.rejects(open(), { code: 'BACKUP_DAMAGED', message: /is not in the record/ })
    objects.delete(name.replace('-9.flip', '-8.flip'))
    objects.set(`${PIECE.replace('140', '139')}.flip`, objects.get(name) ?? entries)
    objects.delete(name)
    await assert.rejects(open(), { code: /BACKUP_/ })
  })

  for (const packed of [known(), undefined]) {
    it(`gives the documents ${packed === undefined ? 'by their own checksum' : 'of an object with a known one'}`, async () => {
      const { snapshot } = await backupOf(packed)
      const read: Buffer[] = []
      await snapshot.readNamespaces(
        async (_namespace, bytes) => {
          for await (const chunk of bytes) read.push(chunk)
        },
        { width: 1 },
      )
      assert.deepEqual(Buffer.concat(read), documents)
    })
  }

  it('reads on where a codec stops at its own end mark', async () => {
    const compression = flip()
    const lazy: CompressionPlugin = {
      ...compression,
      decompress: async function* (source) {
        let size = 0
        for await (const bytes of compression.decompress(source)) {
          yield bytes.subarray(0, documents.length - size)
          size += bytes.length
          if (size >= documents.length) return
        }
      },
    }
    const whole = Buffer.concat([packedDocuments, Buffer.alloc(300)])
    const { objects, snapshot } = await backupOf({ size: whole.length, crc: tallied(whole).crc }, { compression: lazy })
    const read = () =>
      snapshot.readNamespaces(
        async (_namespace, bytes) => {
          for await (const _ of bytes);
        },
        { width: 1 },
      )
    objects.set(OBJECT, whole)
    await read()
    objects.set(OBJECT, changed(whole, whole.length - 1))
    await assert.rejects(read(), { code: 'BACKUP_DAMAGED', message: /is altered: .*checksum/ })
  })

  it('does not excuse the restore from looking: what was altered since is found', async () => {
    const { objects, snapshot, verify } = await backupOf(known())
    await verify()
    objects.set(OBJECT, changed(packedDocuments, 200))
    const reading = snapshot.readNamespaces(
      async (_namespace, bytes) => {
        for await (const _ of bytes);
      },
      { width: 1 },
    )
    await assert.rejects(reading, { code: 'BACKUP_DAMAGED', message: /shop\.orders\.flip/ })
  })
})
