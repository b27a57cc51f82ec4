import type { ContainerClient } from '@azure/storage-blob'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import { defineStore } from '@pbmkit/core/plugin/kit'
import { copyObject } from './copy.js'
import { isMissing, translated } from './errors.js'
import { listObjects } from './list.js'
import { blobKeys } from './names.js'
import { type AzureOptions, maxObjectBytes } from './options.js'
import { lookUp, openRead } from './read.js'
import { saveObject } from './save.js'
import { sceneOf } from './scene.js'

/** Objects of a container. */
export function azureStore(
  container: ContainerClient,
  options: AzureOptions,
  context: PluginContext,
  shown: string,
): ObjectStore {
  const keys = blobKeys(options.prefix)
  const blobOf = (name: string) => container.getBlockBlobClient(keys.keyOf(name))

  return defineStore(context, {
    capabilities: {
      ifAbsent: true,
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
    },
    checkName: keys.keyOf,
    show: (name) => (name === '' ? shown : `${shown}/${name}`),
    translate: (error, { doing }) => translated(error, sceneOf(options, context, doing)),

    save: (name, body, save, operation) => saveObject(blobOf(name), body, save, operation),

    read: (name, range, operation) => openRead(blobOf(name), name, range, operation),

    stat: (name, operation) => lookUp(blobOf(name), name, operation),

    list: (prefix, { signal }) => listObjects(container, keys, prefix, signal),

    delete: async (name, operation) => {
      await operation.uncut((abortSignal) => blobOf(name).delete({ abortSignal, deleteSnapshots: 'include' }))
    },

    copy: (source, target, copy, operation) => copyObject(blobOf(source), blobOf(target), source, copy, operation),

    isThere: (name, operation) =>
      lookUp(blobOf(name), name, operation).then(
        () => true,
        (error: unknown) => {
          if (isMissing(error)) return false
          throw error
        },
      ),
  })
}
