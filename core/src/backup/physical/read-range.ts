import { open } from 'node:fs/promises'
import { PbmError } from '../../errors.js'
import { noteBufferMade } from '../../plugin-kit/young-buffers.js'
import { BLOCK_BYTES, hashesOf } from './block-hash.js'

/** Whole blocks. */
const READ_BYTES = 16 * BLOCK_BYTES

/** A part of a file, in pieces of whole blocks but the last; rejects where the file is shorter. The pieces are the reader's. */
export async function* readRange(
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const handle = await open(path, 'r')
  try {
    for (let at = 0; at < length; ) {
      signal.throwIfAborted()
      const bytes = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, length - at))
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + at + done)
        if (bytesRead === 0) throw cutOff(path)
        done += bytesRead
      }
      noteBufferMade(bytes.length)
      yield bytes
      at += bytes.length
    }
  } finally {
    await handle.close()
  }
}

export interface HashedBlocks {
  /** The number of the first. */
  readonly block: number
  readonly hashes: Buffer
  readonly bytes: number
}

export async function* hashedBlocks(path: string, size: number, signal: AbortSignal): AsyncGenerator<HashedBlocks> {
  let block = 0
  for await (const bytes of readRange(path, { offset: 0, length: size }, signal)) {
    yield { block, hashes: hashesOf(bytes), bytes: bytes.length }
    block += READ_BYTES / BLOCK_BYTES
  }
}

function cutOff(path: string): PbmError {
  return new PbmError('FILES_CHANGED', `${path} has become shorter while it is stored`, {
    hint: 'Make the backup again; does anything else change the files?',
  })
}
