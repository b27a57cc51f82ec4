import { BLOCKS_IN_FLIGHT, blocksOf, mapOrdered } from '@pbmkit/core/plugin/kit'
import {
  CHECKSUM_BYTES,
  CHUNK_COMPRESSED,
  CHUNK_HEADER_BYTES,
  CHUNK_IDENTIFIER,
  CHUNK_STORED,
  type Dialect,
  maskedChecksum,
} from './format.js'

/**
 * Input that makes one piece of output, at the most: small blocks go to threads and storage in groups. The usual chunks, of
 * a little less than this, are groups as they come.
 */
const GROUP_BYTES = 2 * 1024 * 1024
const LEAST_GROUP_BYTES = 256 * 1024

/** Compresses one block into the block format of Snappy or S2, its length in front; nothing means: store it. */
export type BlockEncoder = (block: Buffer) => Promise<Buffer | undefined>

/**
 * Writes `source` as a stream of `dialect`, in blocks of at most `blockBytes`. No input, no output: PBM writes zero
 * bytes then. Groups of blocks are compressed in parallel; their order is kept.
 */
export async function* writeFramed(
  source: AsyncIterable<Uint8Array>,
  dialect: Dialect,
  blockBytes: number,
  encode: BlockEncoder,
): AsyncGenerator<Buffer> {
  const groups = blocksOf(source, Math.max(GROUP_BYTES, blockBytes), LEAST_GROUP_BYTES)
  let started = false
  for await (const chunks of mapOrdered(groups, BLOCKS_IN_FLIGHT, (group) => chunksOf(group, blockBytes, encode))) {
    if (!started) yield Buffer.concat([Buffer.from([CHUNK_IDENTIFIER, 6, 0, 0]), Buffer.from(dialect.identifier)])
    started = true
    yield chunks
  }
}

async function chunksOf(group: Buffer, blockBytes: number, encode: BlockEncoder): Promise<Buffer> {
  const encoding: Promise<Buffer[]>[] = []
  for (let at = 0; at < group.length; at += blockBytes) {
    encoding.push(chunk(group.subarray(at, at + blockBytes), encode))
  }
  return Buffer.concat((await Promise.all(encoding)).flat())
}

async function chunk(block: Buffer, encode: BlockEncoder): Promise<Buffer[]> {
  const encoded = await encode(block)
  // Less than an eighth saved is not worth a reader's time: the reference writers store such blocks.
  const body = encoded !== undefined && encoded.length < block.length - (block.length >> 3) ? encoded : block
  const header = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + CHECKSUM_BYTES)
  header.writeUInt8(body === block ? CHUNK_STORED : CHUNK_COMPRESSED, 0)
  header.writeUIntLE(CHECKSUM_BYTES + body.length, 1, 3)
  header.writeUInt32LE(maskedChecksum(block), 4)
  return [header, body]
}
