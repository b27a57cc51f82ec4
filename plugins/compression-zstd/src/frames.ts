import { type ByteReader, corrupt } from '@pbmkit/core/plugin/kit'

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** The largest block that RFC 8878 allows. */
const LARGEST_BLOCK = 128 * 1024
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3
/** Blocks are handed on in pieces of about this size: each piece is a trip to a thread. */
const PIECE_BYTES = 256 * 1024

export interface Frame {
  /** The magic number and the header. */
  readonly head: Buffer
  readonly checksum: boolean
  /** Bytes of content, where the header tells. */
  readonly contentSize: number | undefined
}

/**
 * Goes to the next frame with content, past skippable ones, and reads its header; nothing at the end of the stream.
 * libzstd's streaming reader in Node stops silently behind a skippable frame: hence this walk.
 */
export async function nextFrame(reader: ByteReader): Promise<Frame | undefined> {
  while (!(await reader.atEnd())) {
    const magic = await reader.take(4)
    const number = magic.readUInt32LE()
    if (number === MAGIC) return await readHeader(reader, magic)
    if ((number & 0xfffffff0) !== SKIPPABLE_MAGIC) throw corrupt('Not a zstd stream: no frame starts where one must')
    await reader.skip((await reader.take(4)).readUInt32LE())
  }
  return undefined
}

/** RFC 8878 §3.1.1.1: a descriptor byte says which fields follow and how long they are. */
async function readHeader(reader: ByteReader, magic: Buffer): Promise<Frame> {
  const descriptor = await reader.take(1)
  const flags = descriptor.readUInt8()
  const singleSegment = (flags & 0x20) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3] ?? 0
  const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  const fields = await reader.take((singleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes)
  return {
    head: Buffer.concat([magic, descriptor, fields]),
    checksum: (flags & 4) !== 0,
    contentSize: contentSizeBytes === 0 ? undefined : contentSizeOf(fields.subarray(-contentSizeBytes)),
  }
}

function contentSizeOf(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE())
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0)
}

/** The bytes of one frame, its head first, up to its end and no further; only the lengths of its blocks are looked at. */
export async function* frameBytes(reader: ByteReader, { head, checksum }: Frame): AsyncGenerator<Buffer> {
  let pieces = [head]
  let held = head.length
  for (let last = false; !last; ) {
    const header = await reader.take(3)
    const fields = header.readUIntLE(0, 3)
    last = (fields & 1) === 1
    const kind = (fields >> 1) & 3
    const size = fields >> 3
    if (kind === BLOCK_RESERVED || (kind !== BLOCK_RLE && size > LARGEST_BLOCK)) {
      throw corrupt('The zstd stream is damaged: a block header is not of the format')
    }
    pieces.push(header, await reader.take(kind === BLOCK_RLE ? 1 : size))
    held += 3 + size
    if (held < PIECE_BYTES || last) continue
    yield Buffer.concat(pieces)
    pieces = []
    held = 0
  }
  if (checksum) pieces.push(await reader.take(4))
  if (pieces.length > 0) yield Buffer.concat(pieces)
}
