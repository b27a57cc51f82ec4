import { PluginError } from '@pbmkit/core/plugin'
import { type Channel, STATUS_CODE, statusOf } from './channel.js'
import { foldersOf } from './names.js'
import { isMissing, pathOf, requireRoot } from './place.js'

/** How often a folder may be taken away by a deleting process before a save gives up. */
const ATTEMPTS = 1000
/** How often it is looked whether a folder that can't be made is there. */
const LOOKS = 5

/**
 * Runs `work`, and when the folder of `name` turns out to be missing makes it (0755) and tries again: mostly it is there.
 * Another process may remove a folder that is still empty at any moment. The root is never made.
 */
export async function inFolderOf<T>(channel: Channel, root: string, name: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isMissing(error) || attempt >= ATTEMPTS) throw error
      const folders = foldersOf(name)
      if (folders.length === 0) await requireRoot(channel, root)
      for (const folder of folders) await makeFolder(channel, root, folder)
    }
  }
}

async function makeFolder(channel: Channel, root: string, folder: string): Promise<void> {
  const path = pathOf(root, folder)
  for (let attempt = 1; ; attempt++) {
    try {
      return await channel.makeFolder(path)
    } catch (error) {
      // The folder above was removed meanwhile.
      if (isMissing(error)) return requireRoot(channel, root)
      // Servers have no answer of their own for "is there already"; and what was there may be gone by now.
      const found = await channel.follow(path).catch((reason: unknown) => {
        if (!isMissing(reason)) throw reason
      })
      if (found?.kind === 'folder') return
      if (found !== undefined) throw clash(path)
      if (statusOf(error) !== STATUS_CODE.FAILURE || attempt >= LOOKS) throw error
    }
  }
}

function clash(path: string): PluginError {
  return new PluginError('STORAGE_INVALID_NAME', `${path} is an object, so no object can be kept below it`)
}

/** Makes a folder with those above it, where they are missing; what fails is told by using it. */
export async function makeRoot(channel: Channel, path: string): Promise<void> {
  const absolute = path.startsWith('/')
  const segments = path.split('/').filter((segment) => segment !== '')
  for (let count = 1; count <= segments.length; count++) {
    await channel.makeFolder(`${absolute ? '/' : ''}${segments.slice(0, count).join('/')}`).catch(() => undefined)
  }
}

/** Removes the folders of `name` that are empty, from the innermost up to the root, which stays. */
export async function removeEmptyFolders(channel: Channel, root: string, name: string): Promise<void> {
  for (const folder of foldersOf(name).reverse()) {
    try {
      await channel.removeFolder(pathOf(root, folder))
    } catch (error) {
      // Gone already: go on upwards. Not empty, or not ours to remove: that is all there is to do.
      if (!isMissing(error)) return
    }
  }
}
