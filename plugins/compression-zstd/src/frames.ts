import { type ByteReader, corrupt } from '@pbmkit/core/plugin'

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** The largest block that RFC 8878 allows. */
const LARGEST_BLOCK = 128 * 1024
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3

/**
 * Goes to the next frame with content, past skippable ones, and gives its magic number; nothing at the end of the
 * stream. libzstd's streaming reader in Node stops silently behind a skippable frame: hence this walk.
 */
export async function nextFrame(reader: ByteReader): Promise<Buffer | undefined> {
  while (!(await reader.atEnd())) {
    const bytes = await reader.take(4)
    const magic = bytes.readUInt32LE()
    if (magic === MAGIC) return bytes
    if ((magic & 0xfffffff0) !== SKIPPABLE_MAGIC) throw corrupt('Not a zstd stream: no frame starts where one must')
    await reader.skip((await reader.take(4)).readUInt32LE())
  }
  return undefined
}

/**
 * The bytes of one frame behind its magic number, up to its end and no further. Only its structure is looked at
 * (RFC 8878 §3.1.1): header, the length of each block, checksum.
 */
export async function* frameBytes(reader: ByteReader, magic: Buffer): AsyncGenerator<Buffer> {
  const descriptor = await reader.take(1)
  const flags = descriptor.readUInt8()
  const singleSegment = (flags & 0x20) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3] ?? 0
  const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  const rest = await reader.take((singleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes)
  yield Buffer.concat([magic, descriptor, rest])

  for (let last = false; !last; ) {
    const header = await reader.take(3)
    const fields = header.readUIntLE(0, 3)
    last = (fields & 1) === 1
    const kind = (fields >> 1) & 3
    const size = fields >> 3
    if (kind === BLOCK_RESERVED || (kind !== BLOCK_RLE && size > LARGEST_BLOCK)) {
      throw corrupt('The zstd stream is damaged: a block header is not of the format')
    }
    yield Buffer.concat([header, await reader.take(kind === BLOCK_RLE ? 1 : size)])
  }
  if ((flags & 4) !== 0) yield await reader.take(4)
}
