import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf, option } from '@pbmkit/core/plugin/kit'

/** `storage.filesystem` (PBM: cli-and-config.md §3.2). */
export interface FilesystemOptions {
  /** Absolute path of the folder; made if it is missing; may be a symbolic link. The same mount on every node. */
  readonly path: string
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  /** Permissions of files, octal: `0640`. Folders get the same, and search where there is read. */
  readonly fileMode?: string
  /** Bytes. */
  readonly backupBuffSize?: number
  /** Bytes. */
  readonly restoreBuffSize?: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** A backup holds all data there is: nobody else's. */
const DEFAULT_FILE_MODE = '0600'
const DEFAULT_MAX_OBJECT_GIB = 5018
export const DEFAULT_WRITE_BYTES = MIB
/** From twice as much on, the blocks read live too long to be collected young, which doubles a restore's CPU. */
export const DEFAULT_READ_BYTES = 512 * KIB

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['path'],
  properties: {
    path: {
      type: 'string',
      // No system takes a NUL in a path.
      pattern: '^(?:/|[A-Za-z]:[/\\\\])[^\\0]*$',
      identity: true,
      description:
        'an absolute path of the folder that keeps the backups, the same mount on every node; made at first if it is missing',
    },
    maxObjSizeGB: option.maxObjectGib(5018),
    fileMode: {
      type: 'string',
      pattern: '^0?[67][0-7]{2}$',
      description:
        "permissions of files, octal in quotes, less the umask; folders get search where files get read; default '0600'",
    },
    backupBuffSize: {
      type: 'integer',
      minimum: 0,
      description: 'bytes written at once, brought into 32 KiB to 10 MiB; default 1 MiB, also for 0',
    },
    restoreBuffSize: {
      type: 'integer',
      minimum: 0,
      description: 'bytes read at once, brought into 32 KiB to 10 MiB; default 512 KiB, also for 0',
    },
  },
}

/** PBM's bounds: 0 is the default, all else is brought into 32 KiB to 10 MiB. */
export function bufferBytes(configured: number | undefined, usual: number): number {
  if (configured === undefined || configured <= 0) return usual
  return Math.min(Math.max(configured, 32 * KIB), 10 * MIB)
}

export interface Modes {
  readonly file: number
  readonly folder: number
}

/** The umask takes away from both. */
export function modesOf(fileMode = DEFAULT_FILE_MODE): Modes {
  const file = Number.parseInt(fileMode, 8)
  return { file, folder: file | ((file & 0o444) >> 2) }
}

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}
