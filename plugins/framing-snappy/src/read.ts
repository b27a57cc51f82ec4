import { BLOCKS_IN_FLIGHT, ByteReader, corrupt, mapOrdered } from '@pbmkit/core/plugin/kit'
import { uncompress } from 'snappy'
import { decodeBlock, decodedLength } from './decode-block.js'
import {
  CHECKSUM_BYTES,
  CHUNK_COMPRESSED,
  CHUNK_FIRST_SKIPPABLE,
  CHUNK_HEADER_BYTES,
  CHUNK_IDENTIFIER,
  CHUNK_STORED,
  type Dialect,
  maskedChecksum,
  S2,
  SNAPPY,
} from './format.js'

interface Chunk {
  readonly stored: boolean
  readonly checksum: number
  readonly body: Buffer
  readonly dialect: Dialect
}

/**
 * Reads a Snappy or S2 stream: which of the two the identifier says, and it may change on the way, as concatenated
 * streams do. An empty stream is no content.
 *
 * Snappy's blocks are S2 blocks too, and a native decoder for them runs off the main thread: it goes first until it
 * meets a block that only S2 has; from there on the decoder of this package works alone.
 */
export async function* readFramed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, 'Snappy or S2 stream')
  let native = true

  async function decode({ stored, checksum, body, dialect }: Chunk): Promise<Buffer> {
    let bytes = body
    if (!stored) {
      if (decodedLength(body) > dialect.largestBlock) throw corrupt('The S2 stream is damaged: a block is too large')
      const decoded = native ? await decodeNatively(body) : undefined
      bytes = decoded ?? decodeBlock(body)
      native &&= decoded !== undefined
    }
    if (maskedChecksum(bytes) !== checksum) throw corrupt('The S2 stream is damaged: a checksum does not match')
    return bytes
  }

  try {
    for await (const bytes of mapOrdered(chunks(reader), BLOCKS_IN_FLIGHT, decode)) if (bytes.length > 0) yield bytes
  } finally {
    await reader.close()
  }
}

async function decodeNatively(body: Buffer): Promise<Buffer | undefined> {
  try {
    return (await uncompress(body, { asBuffer: true, copyOutputData: true })) as Buffer
  } catch {
    // Not Snappy: either S2 or damaged, which the other decoder will tell.
    return undefined
  }
}

/** The chunks that carry data. Checks the structure, skips what a reader may skip. */
async function* chunks(reader: ByteReader): AsyncGenerator<Chunk> {
  let dialect: Dialect | undefined
  while (!(await reader.atEnd())) {
    const header = await reader.take(CHUNK_HEADER_BYTES)
    const type = header.readUInt8(0)
    const length = header.readUIntLE(1, 3)
    if (type === CHUNK_IDENTIFIER) {
      dialect = await identified(reader, length)
    } else if (dialect === undefined) {
      throw corrupt('Not a Snappy or S2 stream: it does not start with an identifier')
    } else if (type === CHUNK_COMPRESSED || type === CHUNK_STORED) {
      const stored = type === CHUNK_STORED
      if (length < CHECKSUM_BYTES || (stored && length - CHECKSUM_BYTES > dialect.largestBlock)) {
        throw corrupt('The S2 stream is damaged: a chunk has an impossible length')
      }
      const checksum = (await reader.take(CHECKSUM_BYTES)).readUInt32LE()
      yield { stored, checksum, body: await reader.take(length - CHECKSUM_BYTES), dialect }
    } else if (type === (CHUNK_COMPRESSED | CHUNK_FIRST_SKIPPABLE) || type === (CHUNK_STORED | CHUNK_FIRST_SKIPPABLE)) {
      // Legal to skip, but no writer is known to use them, and one flipped bit makes them of a chunk with data: to
      // skip that would lose it without a word.
      throw corrupt(`The S2 stream is damaged: chunk type 0x${type.toString(16)} is not used by any writer`)
    } else if (type >= CHUNK_FIRST_SKIPPABLE) {
      await reader.skip(length)
    } else {
      throw corrupt(`The S2 stream is damaged: chunk type 0x${type.toString(16)} is reserved`)
    }
  }
}

async function identified(reader: ByteReader, length: number): Promise<Dialect> {
  const known = [S2, SNAPPY]
  const text = length === S2.identifier.length ? (await reader.take(length)).toString('latin1') : ''
  const dialect = known.find(({ identifier }) => identifier === text)
  if (dialect === undefined) throw corrupt('Not a Snappy or S2 stream: its identifier is neither')
  return dialect
}
