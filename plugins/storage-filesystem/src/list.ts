import type { Dirent } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectInfo } from '@pbmkit/core/plugin'
import { isAbandoned, type Operation, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import { errnoOf, translated } from './errors.js'
import { requireRoot } from './folders.js'
import { removeQuietly } from './write.js'

/** How many files are looked at together. */
const BATCH = 64

/** Every complete object whose name begins with `prefix`. Links are left out, as they are refused everywhere. */
export async function* listObjects(root: string, prefix: string, operation: Operation): AsyncGenerator<ObjectInfo> {
  // Only the folder that the prefix names can hold such objects.
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  if (
    folder
      .split('/')
      .slice(0, -1)
      .some((segment) => segment === '' || segment === '.' || segment === '..')
  )
    return
  yield* listFolder(root, folder, prefix, operation)
}

async function* listFolder(
  root: string,
  folder: string,
  prefix: string,
  operation: Operation,
): AsyncGenerator<ObjectInfo> {
  const folders: string[] = []
  let batch: Dirent[] = []
  try {
    operation.check()
    const found = await lstat(join(root, folder))
    if (!found.isDirectory()) return
    for await (const entry of await opendir(join(root, folder), { bufferSize: BATCH })) {
      const name = `${folder}${entry.name}`
      if (entry.isDirectory()) {
        // `lost+found` of a disk's root is closed to all but the superuser and holds no object.
        const matches = `${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`)
        if (matches && name !== 'lost+found') folders.push(name)
      } else if (entry.isFile() && name.startsWith(prefix)) {
        batch.push(entry)
      } else if (entry.isFile() && entry.name.endsWith(TEMPORARY_SUFFIX)) {
        batch.push(entry)
      }
      if (batch.length < BATCH) continue
      yield* await infos(root, folder, batch)
      batch = []
      operation.check()
    }
    yield* await infos(root, folder, batch)
  } catch (error) {
    operation.check()
    // A folder may be emptied and removed while it is listed; the root may not.
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR')
      throw translated(error, `listing ${join(root, folder)}`)
    await requireRoot(root)
  }
  for (const name of folders) yield* listFolder(root, `${name}/`, prefix, operation)
}

async function infos(root: string, folder: string, entries: readonly Dirent[]): Promise<ObjectInfo[]> {
  const looked = await Promise.all(entries.map((entry) => info(root, folder, entry.name)))
  return looked.filter((found) => found !== undefined)
}

async function info(root: string, folder: string, fileName: string): Promise<ObjectInfo | undefined> {
  const path = join(root, folder, fileName)
  try {
    const { size, mtime } = await lstat(path)
    if (!fileName.endsWith(TEMPORARY_SUFFIX)) return { name: `${folder}${fileName}`, size, modifiedAt: mtime }
    if (isAbandoned(fileName, mtime)) await removeQuietly(path)
    return undefined
  } catch (error) {
    // Deleted since, or a name that is not UTF-8 and so no object of ours.
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
