import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf } from '@pbmkit/core/plugin/kit'

/** `storage.filesystem` (PBM: cli-and-config.md §3.2). */
export interface FilesystemOptions {
  /** Absolute path of the folder; made if it is missing; may be a symbolic link. The same mount on every node. */
  readonly path: string
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  /** Bytes. */
  readonly backupBuffSize?: number
  /** Bytes. */
  readonly restoreBuffSize?: number
}

const KIB = 1024
const MIB = 1024 * KIB

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
        'an absolute path of the folder that keeps the backups, the same mount on every node; made if it is missing',
    },
    maxObjSizeGB: {
      type: 'number',
      minimum: 0,
      description: 'size in GiB above which objects are split; values under 1 are ignored; default 5018',
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

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}
