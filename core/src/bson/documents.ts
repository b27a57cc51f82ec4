import { PbmError } from '../errors.js'
import { asBuffer } from '../plugin-kit/streams.js'

/** The smallest BSON document: its length and the closing zero. */
export const MIN_DOCUMENT_BYTES = 5
/** The server's own bound for what it stores and logs: 16 MiB for users, and 16 KiB for what it wraps around it. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 + 16 * 1024

/**
 * The length of the document that begins at `offset`, when all of it lies inside `buffer`; -1 when more bytes are needed.
 * Throws `BSON_CORRUPT` for a length out of bounds or a last byte other than zero. `position` is where `buffer` begins
 * in the stream, for the message.
 */
export function documentLength(buffer: Buffer, offset: number, position = 0): number {
  if (buffer.length - offset < 4) return -1
  const length = buffer.readInt32LE(offset)
  if (length < MIN_DOCUMENT_BYTES || length > MAX_DOCUMENT_BYTES) {
    throw corrupt(position + offset, `its length says ${length} bytes`)
  }
  if (buffer.length - offset < length) return -1
  if (buffer[offset + length - 1] !== 0) throw corrupt(position + offset, 'it does not end with a zero byte')
  return length
}

/** How many bytes at the head of `buffer` are whole documents. Throws `BSON_CORRUPT` as {@link documentLength}. */
export function wholeDocumentBytes(buffer: Buffer, position = 0): number {
  let offset = 0
  for (;;) {
    const length = documentLength(buffer, offset, position)
    if (length < 0) return offset
    offset += length
  }
}

/** Documents in a buffer that holds whole ones only. Throws `BSON_TRUNCATED` when it does not. */
export function countDocuments(buffer: Buffer): number {
  let count = 0
  for (let offset = 0; offset < buffer.length; count++) {
    const length = documentLength(buffer, offset)
    if (length < 0) throw truncated(offset, buffer.length - offset)
    offset += length
  }
  return count
}

/** The last document of a buffer that holds whole ones only, and at least one, as a view. */
export function lastDocument(buffer: Buffer): Buffer {
  for (let offset = 0; ; ) {
    const length = documentLength(buffer, offset)
    if (length < 0) throw truncated(offset, buffer.length - offset)
    if (offset + length === buffer.length) return buffer.subarray(offset)
    offset += length
  }
}

/** Each document of a buffer that holds whole ones only, as a view. For cold paths: it makes one object a document. */
export function* documentsIn(buffer: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < buffer.length; ) {
    const length = documentLength(buffer, offset)
    if (length < 0) throw truncated(offset, buffer.length - offset)
    yield buffer.subarray(offset, offset + length)
    offset += length
  }
}

/**
 * Regroups a stream of concatenated documents, chunked anyhow, into buffers of whole documents. Views wherever a chunk
 * holds whole documents; only the document across a border is copied. Throws `BSON_CORRUPT` and `BSON_TRUNCATED` with
 * the offset in the stream.
 */
export async function* wholeDocuments(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  // Chunks of the document that is not complete yet, joined only when enough of them are there: a document of 16 MB in
  // chunks of 64 KB would otherwise be copied 256 times.
  let pending: Buffer[] = []
  let held = 0
  let wanted = 0
  let position = 0
  for await (const bytes of source) {
    let chunk = asBuffer(bytes)
    if (held > 0) {
      if (held + chunk.length < wanted) {
        pending.push(chunk)
        held += chunk.length
        continue
      }
      const missing = Math.max(0, wanted - held)
      if (wanted > 4) {
        // The length is known: complete this one document, and leave the rest of the chunk a view.
        const document = Buffer.concat([...pending, chunk.subarray(0, missing)], wanted)
        documentLength(document, 0, position)
        position += wanted
        chunk = chunk.subarray(missing)
        yield document
      } else {
        chunk = Buffer.concat([...pending, chunk], held + chunk.length)
      }
      pending = []
      held = 0
    }
    const whole = wholeDocumentBytes(chunk, position)
    if (whole > 0) yield whole === chunk.length ? chunk : chunk.subarray(0, whole)
    position += whole
    if (whole < chunk.length) {
      const rest = chunk.subarray(whole)
      pending.push(rest)
      held = rest.length
      wanted = rest.length < 4 ? 4 : rest.readInt32LE(0)
    }
  }
  if (held > 0) throw truncated(position, held)
}

function corrupt(position: number, why: string): PbmError {
  return new PbmError('BSON_CORRUPT', `The document at byte ${position} is not BSON: ${why}`)
}

function truncated(position: number, have: number): PbmError {
  return new PbmError(
    'BSON_TRUNCATED',
    `The data ends inside the document at byte ${position}, after ${have} of its bytes`,
  )
}
