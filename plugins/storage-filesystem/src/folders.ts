import { lstat, mkdir, open, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { PluginError } from '@pbmkit/core/plugin'
import { errnoOf } from './errors.js'

/** How often a folder may be taken away by a deleting process before a save gives up. */
const ATTEMPTS = 1000

/**
 * Runs `work` in the folder of `name` below `root`, making the folders that are missing. Another process may
 * remove a folder that is still empty at any moment; then it is made again. Links are refused, the root is never made.
 */
export async function inFolderOf<T>(
  root: string,
  name: string,
  mode: number,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const segments = name.split('/').slice(0, -1)
  for (let attempt = 1; ; attempt++) {
    try {
      const made = await ensureFolders(root, segments, mode)
      const result = await work(join(root, ...segments))
      // A folder survives a power cut only once the folder above it is on the disk.
      for (const folder of made) await syncFolder(dirname(folder))
      return result
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt >= ATTEMPTS) throw error
      await requireRoot(root)
    }
  }
}

/**
 * Makes the root and the folders above it that are missing. Node's own recursive `mkdir` tries forever where the
 * system answers ENOENT to a `mkdir` in a folder that exists, as it does in `/proc`; here that is an error.
 */
export async function makeRoot(path: string, mode: number): Promise<void> {
  const missing: string[] = []
  for (let folder = resolve(path); !(await isThere(folder)); folder = dirname(folder)) missing.push(folder)
  for (const folder of missing.reverse()) {
    await mkdir(folder, mode).catch((error: unknown) => {
      // Another process was faster; what it made is looked at afterwards.
      if (errnoOf(error) !== 'EEXIST') throw error
    })
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && dirname(path) !== path) return false
    throw error
  }
}

/** Throws STORAGE_UNAVAILABLE when the root itself is gone: a share that was unmounted, a folder that was removed. */
export async function requireRoot(root: string): Promise<void> {
  const found = await lstat(root).catch((error: unknown) => error)
  if (errnoOf(found) === 'ENOENT') throw gone(root, found)
}

export function gone(root: string, cause: unknown): PluginError {
  const text = `the folder ${root} is gone; see that it is mounted`
  // Where a share is away for a while, the folder that it is mounted on is there.
  return new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
}

async function ensureFolders(root: string, segments: readonly string[], mode: number): Promise<string[]> {
  const made: string[] = []
  let folder = root
  for (const segment of segments) {
    folder = join(folder, segment)
    try {
      const found = await lstat(folder)
      if (found.isSymbolicLink()) throw linkRefused(folder)
      if (!found.isDirectory()) throw clash(folder)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      // Another save may make it first.
      await mkdir(folder, mode).then(
        () => made.push(folder),
        (failure: unknown) => {
          if (errnoOf(failure) !== 'EEXIST') throw failure
        },
      )
    }
  }
  return made
}

export function linkRefused(path: string): PluginError {
  return new PluginError('STORAGE_DENIED', `${path} is a symbolic link inside the storage; links are not followed`)
}

function clash(path: string): PluginError {
  return new PluginError('STORAGE_INVALID_NAME', `${path} is an object, so no object can be kept below it`)
}

/** Removes the folders of `name` that are empty, from the innermost up to the root, which stays. */
export async function removeEmptyFolders(root: string, name: string): Promise<void> {
  const segments = name.split('/').slice(0, -1)
  for (; segments.length > 0; segments.pop()) {
    try {
      await rmdir(join(root, ...segments))
    } catch (error) {
      // Gone already: go on upwards. Not empty, or not ours to remove: the object is deleted all the same.
      if (errnoOf(error) !== 'ENOENT') return
    }
  }
}

/** Makes a rename or a new entry in `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>> | undefined
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } catch (error) {
    // Some filesystems (SMB, FUSE) and Windows have no fsync of folders, and ENOENT is a folder emptied meanwhile.
    if (!['EINVAL', 'EISDIR', 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOENT', 'EBADF'].includes(errnoOf(error)))
      throw error
  } finally {
    await handle?.close()
  }
}
