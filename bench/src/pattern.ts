import { randomBytes } from 'node:crypto'

const PIECE_BYTES = 256 * 1024
const PIECES = 4

/** So many bytes that can't be compressed, in pieces of a size in which backups come; they cost next to nothing to make. */
export async function* pattern(bytes: number): AsyncGenerator<Buffer> {
  const pieces = Array.from({ length: PIECES }, () => randomBytes(PIECE_BYTES))
  for (let made = 0, index = 0; made < bytes; index++) {
    const piece = (pieces[index % PIECES] ?? Buffer.alloc(0)).subarray(0, bytes - made)
    made += piece.length
    yield piece
  }
}
