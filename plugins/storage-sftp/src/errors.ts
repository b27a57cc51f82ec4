import { PluginError, type StorageErrorCode } from '@pbmkit/core/plugin'
import { type Channel, ConnectionLost, type Space, STATUS_CODE, statusOf } from './channel.js'

/** Less than that counts as nothing: a write that does not fit is refused as a whole. */
const FULL_BYTES = 512 * 1024

/** What the server or the network said, as an error of a storage. Other errors pass as they are. */
export function translated(error: unknown, doing: string): unknown {
  const failed = (code: StorageErrorCode, text: string, retriable = false) =>
    new PluginError(code, `${doing}: ${text}`, { cause: error, retriable })
  if (error instanceof ConnectionLost) {
    return failed(
      'STORAGE_UNAVAILABLE',
      `the connection broke (${error.message}); it is made anew when tried again`,
      true,
    )
  }
  switch (statusOf(error)) {
    case undefined:
      return error
    case STATUS_CODE.NO_SUCH_FILE:
      return failed('STORAGE_NOT_FOUND', 'there is no such object')
    case STATUS_CODE.PERMISSION_DENIED:
      return failed('STORAGE_DENIED', 'permission denied; give the user of storage.sftp.username access to the folder')
    case STATUS_CODE.BAD_MESSAGE:
      return failed('STORAGE_INVALID_NAME', 'the server does not take the name')
    case STATUS_CODE.OP_UNSUPPORTED:
      return failed('STORAGE_NOT_SUPPORTED', 'the server has not learned this')
    case STATUS_CODE.NO_CONNECTION:
    case STATUS_CODE.CONNECTION_LOST:
      return failed('STORAGE_UNAVAILABLE', 'the server has lost its storage', true)
    default:
      return failed(
        'STORAGE_UNAVAILABLE',
        `the server fails and does not say why (${(error as Error).message}); look at its log, its disk and the quota of the user`,
        true,
      )
  }
}

/**
 * SFTP has one status, "failure", for a full disk, a quota, a read-only mount and much else. The server's figures of its
 * filesystem tell the first and the last; to be asked before anything is removed again.
 */
export async function explained(error: unknown, channel: Channel, root: string, doing: string): Promise<unknown> {
  if (statusOf(error) !== STATUS_CODE.FAILURE || !channel.has('statvfs@openssh.com')) return error
  const space: Space | undefined = await channel.space(root).catch(() => undefined)
  if (space === undefined) return error
  const failed = (code: StorageErrorCode, text: string) => new PluginError(code, `${doing}: ${text}`, { cause: error })
  if (space.readOnly) return failed('STORAGE_DENIED', 'the filesystem of the server is mounted read-only')
  if (space.freeBytes < FULL_BYTES)
    return failed('STORAGE_NO_SPACE', 'no space left on the server; free some, or enlarge it')
  if (space.freeFiles < 1)
    return failed('STORAGE_NO_SPACE', 'the filesystem of the server has no room for more files (inodes)')
  return error
}
