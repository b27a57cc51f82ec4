import { realpath, stat } from 'node:fs/promises'
import { type ObjectStore, type PluginContext, PluginError, type StoragePlugin } from '@pbmkit/core/plugin'
import { errnoOf, translated } from './errors.js'
import { gone, makeRoot } from './folders.js'
import { type FilesystemOptions, modesOf, optionsSchema } from './options.js'
import { filesystemStore } from './store.js'

export type { FilesystemOptions } from './options.js'

/** Keeps backups in a folder: a disk, or a share mounted at the same path on every node. */
const filesystem: StoragePlugin<FilesystemOptions> = {
  kind: 'storage',
  name: 'filesystem',
  apiVersion: 1,
  optionsSchema,
  open,
  describe: ({ path }) => path,
}

export default filesystem

async function open(options: FilesystemOptions, context: PluginContext): Promise<ObjectStore> {
  const { path } = options
  try {
    if (context.mustExist !== true) await makeRoot(path, modesOf(options.fileMode).folder)
    const root = await realpath(path)
    if (!(await stat(root)).isDirectory()) throw notAFolder(path)
    return filesystemStore(root, options, context)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOTDIR') throw notAFolder(path, error)
    if (errnoOf(error) === 'ENOENT') throw context.mustExist === true ? gone(path, error) : cannotBeMade(path, error)
    throw translated(error, `opening ${path}`)
  }
}

/** A filesystem that takes no folders (`/proc`), or a link to something that is gone. */
function cannotBeMade(path: string, cause: unknown): PluginError {
  const text = `storage.filesystem.path ${path} does not exist and can't be made; name a folder on a disk or share`
  return new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
}

function notAFolder(path: string, cause?: unknown): PluginError {
  const text = `storage.filesystem.path ${path} is not a folder, or leads through a file; name a folder`
  return new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
}
