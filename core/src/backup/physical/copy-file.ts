import { constants } from 'node:fs'
import { copyFile, type FileHandle, open } from 'node:fs/promises'

const BLOCK_BYTES = 1024 * 1024

/** Lets the file system share the blocks of a file. False where it can't. */
export async function tryClone(source: string, target: string): Promise<boolean> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'EPERM'].includes(code)) return false
    throw error
  }
}

/**
 * Makes `target` what `source` is. What is there already is compared, and only blocks that differ are written: a copy that
 * was made a moment ago is brought up to date in the time that reading takes.
 */
export async function bringUpToDate(source: string, target: string, signal: AbortSignal): Promise<void> {
  const from = await open(source, 'r')
  try {
    const to = await open(target, constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      await copyBlocks(from, to, signal)
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

async function copyBlocks(from: FileHandle, to: FileHandle, signal: AbortSignal): Promise<void> {
  const [wanted, there] = [Buffer.allocUnsafeSlow(BLOCK_BYTES), Buffer.allocUnsafeSlow(BLOCK_BYTES)]
  const { size: known } = await to.stat()
  let at = 0
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await from.read(wanted, 0, BLOCK_BYTES, at)
    if (bytesRead === 0) break
    const block = wanted.subarray(0, bytesRead)
    if (at >= known || !(await isThere(to, block, there, at))) await writeAll(to, block, at)
    at += bytesRead
  }
  if (known > at) await to.truncate(at)
}

async function isThere(to: FileHandle, block: Buffer, space: Buffer, at: number): Promise<boolean> {
  const { bytesRead } = await to.read(space, 0, block.length, at)
  return bytesRead === block.length && block.equals(space.subarray(0, bytesRead))
}

async function writeAll(to: FileHandle, block: Buffer, at: number): Promise<void> {
  for (let done = 0; done < block.length; ) {
    const { bytesWritten } = await to.write(block, done, block.length - done, at + done)
    done += bytesWritten
  }
}
