import { PluginError } from '@pbmkit/core/plugin'

/** The code of an error of the operating system, `''` for any other error. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return error instanceof Error && typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : ''
}

/** What the operating system said, as an error of a storage. Errors that are not of the system pass as they are. */
export function translated(error: unknown, doing: string): unknown {
  const errno = errnoOf(error)
  const failed = (code: ConstructorParameters<typeof PluginError>[0], text: string, retriable = false) =>
    new PluginError(code, `${doing}: ${text}`, { cause: error, retriable })
  switch (errno) {
    case 'ENOSPC':
      return failed('STORAGE_NO_SPACE', 'no space left on the device; free some, or enlarge it')
    case 'EDQUOT':
      return failed('STORAGE_NO_SPACE', 'the disk quota is used up; free some space, or raise the quota')
    case 'EFBIG':
      return failed('STORAGE_NO_SPACE', 'larger than this filesystem or the limits of this process (ulimit -f) allow')
    case 'EROFS':
      return failed('STORAGE_DENIED', 'the filesystem is mounted read-only; mount it writable')
    case 'EACCES':
    case 'EPERM':
      return failed('STORAGE_DENIED', `permission denied${whoAmI()}; give it read and write access to the folder`)
    case 'ELOOP':
      return failed('STORAGE_DENIED', 'a symbolic link inside the storage; links are not followed')
    case 'ENAMETOOLONG':
      return failed('STORAGE_INVALID_NAME', 'the name is too long for this filesystem')
    case 'EILSEQ':
    case 'EINVAL':
      return failed('STORAGE_INVALID_NAME', `this filesystem does not take the name or the operation (${errno})`)
    case 'EISDIR':
    case 'ENOTDIR':
      return failed(
        'STORAGE_INVALID_NAME',
        'a folder stands where an object should be, or an object where a folder should be',
      )
    case 'ENOENT':
      return failed('STORAGE_NOT_FOUND', 'there is no such object')
    case '':
      return error
    default:
      return failed('STORAGE_UNAVAILABLE', `${(error as Error).message}; see that the disk or mount is in order`, true)
  }
}

function whoAmI(): string {
  const uid = process.getuid?.()
  return uid === undefined ? '' : ` for the user with id ${uid}, as which this process runs`
}
