import { spawnSync } from 'node:child_process'
import { open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'

/** Runs mount or umount; what it complained of, or '' when it did it. */
export function mounting(command: 'mount' | 'umount', ...args: string[]): string {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? '' : `${error?.message ?? stderr}`.trim() || `status ${status}`
}

/** A storage that can be filled to the last byte: a file system of its own, or a plugin's word where none mounts. */
export interface FillableStorage {
  /** For `storage: {type: slow}`, see `slowStoragePlugin`. */
  readonly path: string
  fill(): Promise<void>
  free(): Promise<void>
  /** After the last use. */
  unmount(): void
}

export async function fillableStorage(megabytes: number): Promise<FillableStorage> {
  const disk = await temporaryFolder('pbmkit-fillable-')
  const mounted = mounting('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'pbmkit-test', disk) === ''
  const path = join(disk, 'backups')
  const filler = mounted ? join(disk, 'filler') : `${path}.STORAGE_NO_SPACE`
  return {
    path,
    fill: () => (mounted ? fillUp(filler) : writeFile(filler, '')),
    free: () => rm(filler, { force: true }),
    unmount: () => {
      if (mounted) mounting('umount', '--lazy', disk)
    },
  }
}

async function fillUp(path: string): Promise<void> {
  const file = await open(path, 'a')
  try {
    for (const size of [1 << 20, 1 << 12]) {
      const block = Buffer.alloc(size)
      while (await hasRoomFor(() => file.write(block)));
    }
  } finally {
    await file.close()
  }
}

async function hasRoomFor(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false
    throw error
  }
}
