import { BSON, Int32, Long } from 'bson'
import { PbmError } from '../errors.js'

/** The constants and small documents of the mongodump archive (PBM: archive-and-oplog.md §1.1). */
export const ARCHIVE_MAGIC = 0x8199e26d
export const TERMINATOR = 0xffffffff
export const ARCHIVE_VERSION = '0.1'

export interface ArchiveHeader {
  readonly concurrentCollections: number
  readonly version: string
  readonly serverVersion: string
  readonly toolVersion: string
}

/** What heads each block of the body. */
export interface BlockHeader {
  readonly db: string
  readonly collection: string
  /** The namespace ends with this block, which holds no documents. */
  readonly eof: boolean
  /** Signed; 0 unless `eof`. */
  readonly crc: bigint
}

export function terminator(): Buffer {
  return Buffer.from([0xff, 0xff, 0xff, 0xff])
}

export function writeHeader(header: ArchiveHeader): Buffer {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(ARCHIVE_MAGIC)
  const document = BSON.serialize({
    concurrent_collections: new Int32(header.concurrentCollections),
    version: header.version,
    server_version: header.serverVersion,
    tool_version: header.toolVersion,
  })
  return Buffer.concat([magic, document])
}

export function writePreludeEntry(entry: { db: string; collection: string; metadata: string; type: string }): Buffer {
  const { db, collection, metadata, type } = entry
  return Buffer.from(BSON.serialize({ db, collection, metadata, size: new Int32(0), type }))
}

export function writeBlockHeader(header: BlockHeader): Buffer {
  const { db, collection, eof, crc } = header
  return Buffer.from(BSON.serialize({ db, collection, EOF: eof, CRC: Long.fromBigInt(crc) }))
}

export function readHeader(bytes: Buffer): ArchiveHeader {
  const document = decode(bytes, 'header')
  return {
    concurrentCollections: Number(document.concurrent_collections ?? 1),
    version: String(document.version ?? ''),
    serverVersion: String(document.server_version ?? ''),
    toolVersion: String(document.tool_version ?? ''),
  }
}

export function readPreludeEntry(bytes: Buffer) {
  const { db, collection, metadata, type } = decode(bytes, 'list of namespaces')
  if (typeof db !== 'string' || typeof collection !== 'string') {
    throw new PbmError('ARCHIVE_CORRUPT', 'The archive lists a namespace without a name')
  }
  return {
    db,
    collection,
    metadata: typeof metadata === 'string' ? metadata : '',
    type: typeof type === 'string' ? type : '',
  }
}

/** As strict as mongorestore: a block that is headed by anything else is damage, not an extension. */
export function readBlockHeader(bytes: Buffer): BlockHeader {
  const document = decode(bytes, 'block header')
  const { db, collection, EOF: eof, CRC: crc } = document
  const known =
    typeof db === 'string' &&
    typeof collection === 'string' &&
    typeof eof === 'boolean' &&
    typeof crc === 'bigint' &&
    Object.keys(document).length === 4
  if (!known) throw new PbmError('ARCHIVE_CORRUPT', 'A block of the archive does not begin with a block header')
  return { db, collection, eof, crc }
}

function decode(bytes: Buffer, what: string): BSON.Document {
  try {
    return BSON.deserialize(bytes, { useBigInt64: true })
  } catch (cause) {
    throw new PbmError('ARCHIVE_CORRUPT', `The ${what} of the archive is not BSON`, { cause })
  }
}
