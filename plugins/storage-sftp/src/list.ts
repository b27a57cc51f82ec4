import type { ObjectInfo } from '@pbmkit/core/plugin'
import { isAbandoned, type Operation, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import type { Attributes, Channel } from './channel.js'
import { folderOf } from './names.js'
import { channelFor, isMissing, type Place, pathOf, requireRoot } from './place.js'

/** Stands in names that are not UTF-8, which are none of ours. */
const REPLACEMENT = '\ufffd'

/** Every complete object whose name begins with `prefix`. Links are left out. */
export async function* listObjects(place: Place, prefix: string, operation: Operation): AsyncGenerator<ObjectInfo> {
  // Only the folder that the prefix names can hold such objects.
  const folder = folderOf(prefix)
  const segments = folder.split('/').slice(0, -1)
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..') || folder.includes('\0')) return
  const channel = await channelFor(place, operation)
  const folders = [folder]
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    yield* listFolder(place, channel, next, prefix, operation, (found) => folders.push(found))
  }
}

async function* listFolder(
  place: Place,
  channel: Channel,
  folder: string,
  prefix: string,
  operation: Operation,
  onFolder: (folder: string) => void,
): AsyncGenerator<ObjectInfo> {
  const { root } = place
  const opening = channel.openFolder(pathOf(root, folder.slice(0, -1)))
  try {
    const handle = await operation.orEnd(opening)
    for (;;) {
      const entries = await operation.orEnd(channel.entries(handle))
      if (entries === undefined) return
      for (const entry of entries) {
        const name = `${folder}${entry.name}`
        const { size, modifiedAt, kind } = entry
        if (kind === 'folder') {
          // `lost+found` of a disk's root is closed to all but the superuser and holds no object.
          const matches = `${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`)
          if (matches && name !== 'lost+found') onFolder(`${name}/`)
        } else if (kind === 'file' && entry.name.endsWith(TEMPORARY_SUFFIX)) {
          if (isAbandoned(entry.name, modifiedAt)) await channel.remove(pathOf(root, name)).catch(() => undefined)
        } else if (kind === 'file' && name.startsWith(prefix) && (await isOurs(channel, root, name, entry))) {
          operation.check()
          yield { name, size, modifiedAt }
        }
      }
    }
  } catch (error) {
    operation.check()
    // A folder may be emptied and removed while it is listed; the root may not.
    if (!isMissing(error)) throw error
    await requireRoot(channel, root)
  } finally {
    // Also when the answer comes after the end.
    opening.then((handle) => channel.closeHandle(handle)).catch(() => undefined)
  }
}

async function isOurs(
  channel: Channel,
  root: string,
  name: string,
  entry: Attributes & { name: string },
): Promise<boolean> {
  if (!entry.name.includes(REPLACEMENT)) return true
  return channel.look(pathOf(root, name)).then(
    () => true,
    () => false,
  )
}
