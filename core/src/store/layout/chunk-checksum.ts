import type { Timestamp } from 'bson'
import { PITR_FOLDER, parsePitrChunkName, parseTimestampText, timestampText } from './names.js'

/** What an object beside a chunk of the oplog tells of it. */
export interface ChunkChecksum {
  readonly rs: string
  /** Both inclusive. */
  readonly start: Timestamp
  readonly end: Timestamp
  /** Bytes of the chunk's object. */
  readonly size: number
  /** CRC-64/XZ of the entries, and of the object: 16 hexadecimal digits. */
  readonly crc: string
  readonly storedCrc: string
}

const FOLDER = 'pbmkit.sums'

/**
 * Ours: `<day>/pbmkit.sums/<start>.<end>.<size>-<crc>-<crc of the object>`, beside the chunk `<day>/<start>.<end>.oplog.zst`. The
 * name says all, so that a list of the storage has the checksums of all chunks, and nothing needs to be read for them. PBM
 * takes a name for that of a chunk only where its third part is `oplog` (PBM: storage-format.md §4).
 */
export function chunkChecksumName(
  chunk: string,
  { size, crc, storedCrc }: Omit<ChunkChecksum, 'rs' | 'start' | 'end'>,
) {
  return `${chunkChecksumPrefix(chunk)}${size}-${crc}-${storedCrc}`
}

/** What the names of all that tell of this chunk begin with. Throws for what is not the name of a chunk. */
export function chunkChecksumPrefix(chunk: string): string {
  const name = parsePitrChunkName(chunk)
  if (name === undefined) throw new Error(`${chunk} is not the name of a chunk`)
  const folder = chunk.slice(0, chunk.lastIndexOf('/'))
  return `${folder}/${FOLDER}/${timestampText(name.start)}.${timestampText(name.end)}.`
}

/** Undefined for other objects. */
export function parseChunkChecksumName(object: string): ChunkChecksum | undefined {
  const segments = object.split('/')
  const [root, rs = ''] = segments
  if (root !== PITR_FOLDER || segments.length < 4 || segments.at(-2) !== FOLDER) return undefined
  const [, from = '', to = '', size, crc, storedCrc] =
    /^([^.]+)\.([^.]+)\.(\d{1,15})-([0-9a-f]{16})-([0-9a-f]{16})$/.exec(segments.at(-1) ?? '') ?? []
  const [start, end] = [parseTimestampText(from), parseTimestampText(to)]
  if (start === undefined || end === undefined || crc === undefined || storedCrc === undefined) return undefined
  return { rs, start, end, size: Number(size), crc, storedCrc }
}
