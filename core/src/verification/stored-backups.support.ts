import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import { Timestamp } from 'bson'
import { type NamespaceMetadata, writeDefinition, writeMetadataJson, writeMetaPbm } from '../archive/metadata.js'
import { Tally } from '../archive/tally.js'
import { writeArchive } from '../archive/writer.js'
import type { BackupDocument, BackupReplset } from '../control/backup-document.js'
import type { Ciphers } from '../encryption/ciphers.js'
import { signRecord } from '../encryption/record-signature.js'
import { chunkMethod, sealedStore, storeOf } from '../encryption/sealed-store.js'
import { raw } from '../oplog/replay/oplog-entries.support.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { PluginHost } from '../plugin-host/host.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { toStorageJson, withChecksum } from '../store/layout/backup-metadata.js'
import { chunkChecksumName } from '../store/layout/chunk-checksum.js'
import { encodeFileList, fileObject, type ListedFile } from '../store/layout/file-list.js'
import {
  archiveDumpName,
  archiveOplogName,
  backupMetadataName,
  filelistName,
  metaPbmName,
  namespaceListName,
  oplogChunkName,
  oplogFolder,
  pitrChunkName,
} from '../store/layout/names.js'
import { ARCHIVE_LAYOUT_VERSION } from '../store/layout/pbm-version.js'
import { bound } from '../store/open-store.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { PBM_COMPATIBLE_VERSION, TOOL_VERSION } from '../version.js'

export interface StoredBackup {
  readonly name: string
  readonly kind: 'folder' | 'archive' | 'physical'
  readonly compression: string
  /** Sealed with the ciphers. */
  readonly ciphers?: Ciphers
}

export const RS = 'rs0'
export const at = (t: number, i = 1): Timestamp => new Timestamp({ t, i })
export const FIRST = 1_764_500_000

/** Writes backups and chunks as agents do, in memory and without a server. */
export class StoredBackups {
  readonly store = new FaultyStore()
  readonly #host: PluginHost
  readonly #random: Random

  constructor(host: PluginHost, seed = 1) {
    this.#host = host
    this.#random = seededRandom(seed)
    this.store.chunkBytes = 64 * 1024
  }

  async backup({ name, kind, compression, ciphers }: StoredBackup): Promise<void> {
    const plugin = await this.#host.compression(compression)
    const method = await ciphers?.current()
    const encryption = method === undefined ? {} : { encryption: { type: method.name, keyIds: [] } }
    const times = {
      start_ts: FIRST,
      last_transition_ts: FIRST + 9,
      first_write_ts: at(FIRST),
      last_write_ts: at(FIRST + 9),
    }
    const replset: BackupReplset = {
      ...{ name: RS, node: 'here:27017', status: 'done', conditions: [], size: 1, size_uncompressed: 1 },
      ...times,
      ...encryption,
    }
    const backup: BackupDocument = {
      ...{ name, type: kind === 'physical' ? 'physical' : 'logical', opid: '0'.repeat(24), status: 'done' },
      ...{ compression, store: { type: 'filesystem' }, size: 1, size_uncompressed: 1, fcv: '8.0', n: [] },
      ...{ mongodb_version: '8.0.4', conditions: [], hb: at(FIRST + 9), balancer: 'off' },
      pbm_version: kind === 'archive' ? ARCHIVE_LAYOUT_VERSION : PBM_COMPATIBLE_VERSION,
      replsets: [replset],
      ...times,
    }
    const store = storeOf(bound(this.store), ciphers, backup)
    const writing = { store, name, plugin, sealed: method !== undefined }
    if (kind === 'folder') await this.#folder(replset, writing)
    else if (kind === 'archive') await this.#archive(replset, writing)
    else await this.#physical(replset, writing)
    const text = toStorageJson(backup)
    const signature = await signRecord(store, method, name, text)
    const signed = signature === undefined ? text : toStorageJson({ ...backup, signature })
    this.store.put(backupMetadataName(name), withChecksum(signed))
  }

  /** An unbroken line of chunks from the end of the backups on. */
  async chunks(compression: string, count: number, ciphers?: Ciphers): Promise<string[]> {
    const plugin = await this.#host.compression(compression)
    const method = (await ciphers?.current())?.name
    const store = ciphers === undefined ? this.store : sealedStore(bound(this.store), ciphers, chunkMethod)
    const names: string[] = []
    for (let n = 0; n < count; n++) {
      const [start, end] = [at(FIRST + 9 + n * 10), at(FIRST + 19 + n * 10)]
      const object = pitrChunkName(RS, start, end, plugin.suffix, method)
      const { plain, packed } = await this.#save(store, object, plugin, this.#entries(start.t, end.t))
      const sums = { size: packed.size, crc: plain.crcText(), storedCrc: packed.crcText() }
      if (method === undefined) this.store.put(chunkChecksumName(object, sums), 'x')
      names.push(object)
    }
    return names
  }

  #documents(count: number): Buffer {
    const random = this.#random
    return Buffer.concat(
      Array.from({ length: count }, (_, n) => raw({ _id: n, text: `${random(1e9)} `.repeat(3), on: true })),
    )
  }

  /** One each second, both ends inclusive. */
  #entries(from: number, to: number): Buffer {
    const seconds = Array.from({ length: to - from + 1 }, (_, n) => from + n)
    // The same from the same second: neighbours share an entry.
    return Buffer.concat(
      seconds.map((t) => raw({ ts: at(t), op: 'i', ns: 'shop.orders', o: { _id: t, text: `${t} `.repeat(9) } })),
    )
  }

  async #save(store: Pick<FaultyStore, 'save'>, object: string, plugin: CompressionPlugin, bytes: Buffer) {
    const [plain, packed] = [new Tally(), new Tally()]
    plain.add(bytes)
    const { size } = await store.save(object, packed.through(plugin.compress(bodyOf(bytes), {})))
    return { plain, packed, size }
  }

  async #list(store: Pick<FaultyStore, 'save'>, name: string, bytes: Buffer) {
    await store.save(name, bodyOf(bytes))
    const tally = new Tally()
    tally.add(bytes)
    return { name, size: tally.size, crc: tally.crcText() }
  }

  async #folder(replset: BackupReplset, { store, name, plugin, sealed }: Writing): Promise<void> {
    const namespaces: NamespaceMetadata[] = []
    for (const collection of ['orders', 'items', 'empty']) {
      const documents = this.#documents(collection === 'empty' ? 0 : 40)
      const hidden = sealed
        ? { object: `${name}/${RS}/pbmkit.namespaces/${namespaces.length + 1}${plugin.suffix}` }
        : {}
      const object = hidden.object ?? `${name}/${RS}/shop.${collection}${plugin.suffix}`
      const uuid = String(namespaces.length).padStart(32, '0')
      const about = { db: 'shop', collection, collectionName: collection, type: 'collection' as const, uuid }
      if (documents.length === 0) {
        namespaces.push({ ...about, indexes: [], crc: 0n, size: 0, count: 0 })
        continue
      }
      const { plain, packed } = await this.#save(store, object, plugin, documents)
      const sums = { crc: plain.crc, size: plain.size, packed: { size: packed.size, crc: packed.crc } }
      namespaces.push({ ...about, indexes: [], ...sums, count: 40, ...hidden })
    }
    const metadata = { ...HEADER, namespaces }
    replset.dump_name = namespaceListName(name, RS)
    replset.objects = [
      await this.#list(store, metaPbmName(name, RS), writeMetaPbm(metadata, PBM_COMPATIBLE_VERSION, '8.0')),
      await this.#list(store, replset.dump_name, Buffer.from(writeMetadataJson(metadata))),
    ]
    replset.oplog_name = oplogFolder(name, RS)
    const object = oplogChunkName(name, RS, at(FIRST), at(FIRST + 9), plugin.suffix)
    const { plain, packed } = await this.#save(store, object, plugin, this.#entries(FIRST, FIRST + 9))
    replset.oplog_objects = [{ name: object, crc: plain.crcText(), storedCrc: packed.crcText() }]
    if (replset.encryption !== undefined) replset.encryption.objects = 2
  }

  async #archive(replset: BackupReplset, { store, name, plugin }: Writing): Promise<void> {
    const definition = (collection: string) =>
      writeDefinition({
        indexes: [],
        collectionName: collection,
        type: 'collection',
        options: undefined,
        uuid: undefined,
      })
    const sources = ['orders', 'items'].map((collection) => {
      const documents = this.#documents(40)
      const about = { db: 'shop', collection, bodyCollection: collection, type: 'collection' }
      return { ...about, metadata: definition(collection), documents: () => once(documents) }
    })
    const parts: Buffer[] = []
    for await (const part of writeArchive(HEADER, sources)) parts.push(part)
    replset.dump_name = archiveDumpName(name, RS, plugin.suffix)
    const dump = await this.#save(store, replset.dump_name, plugin, Buffer.concat(parts))
    replset.objects = [{ name: replset.dump_name, size: dump.packed.size, crc: dump.packed.crcText() }]
    replset.oplog_name = archiveOplogName(name, RS, plugin.suffix)
    const { plain, packed } = await this.#save(store, replset.oplog_name, plugin, this.#entries(FIRST, FIRST + 9))
    replset.oplog_objects = [{ name: replset.oplog_name, crc: plain.crcText(), storedCrc: packed.crcText() }]
  }

  async #physical(replset: BackupReplset, { store, name, plugin, sealed }: Writing): Promise<void> {
    const files: ListedFile[] = []
    for (const filename of ['WiredTiger', 'collection-0-1.wt', 'journal/WiredTigerLog.0000000001']) {
      const bytes = Buffer.concat([this.#documents(30), Buffer.alloc(4096)])
      const hidden = sealed ? { object: `pbmkit.namespaces/${files.length}` } : {}
      const file = { filename, offset: 0, length: 0, fileSize: bytes.length, mode: 0o600, storedSize: 0, ...hidden }
      const { plain, packed, size } = await this.#save(store, fileObject(name, RS, file, plugin.suffix), plugin, bytes)
      files.push({ ...file, storedSize: size, crc: plain.crcText(), storedCrc: packed.crcText() })
    }
    replset.objects = [await this.#list(store, filelistName(name, RS), encodeFileList(files))]
  }
}

interface Writing {
  readonly store: Pick<FaultyStore, 'save'>
  readonly name: string
  readonly plugin: CompressionPlugin
  readonly sealed: boolean
}

const HEADER = { concurrentCollections: 1, version: '0.1', serverVersion: '8.0.4', toolVersion: TOOL_VERSION }

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
