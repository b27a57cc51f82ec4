import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import { defineStore, keysBelow } from '@pbmkit/core/plugin/kit'
import type { Client } from './client.js'
import { translated } from './errors.js'
import { listObjects } from './list.js'
import { chunkBytes, type GcsOptions, maxObjectBytes } from './options.js'
import { foundOf, type Place, type Resource } from './place.js'
import { lookUp, openRead } from './read.js'
import { saveObject } from './save.js'

/** Objects of a bucket. */
export function gcsStore(options: GcsOptions, context: PluginContext, client: Client, shown: string): ObjectStore {
  const { bucket, endpoint } = client
  const keys = keysBelow(options.prefix, 'storage.gcs.prefix')
  const { keyOf } = keys
  const explained = (error: unknown, doing: string) => translated(error, { doing, bucket: bucket.name, endpoint })
  const place: Place = { client, translate: (error) => explained(error, `using ${shown}`) }

  return defineStore(context, {
    capabilities: {
      ifAbsent: true,
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
    },
    checkName: keyOf,
    show: (name) => (name === '' ? shown : `${shown}/${name}`),
    translate: (error, { doing }) => explained(error, doing),

    save: (name, body, save, operation) =>
      saveObject(place, keyOf(name), body, chunkBytes(options.chunkSize), save, operation),

    read: (name, range, operation) => openRead(place, keyOf(name), range, operation),

    stat: (name) => lookUp(place, keyOf(name)),

    list: (prefix) => listObjects(place, keys, prefix),

    delete: async (name, operation) => {
      await operation.orEnd(bucket.file(keyOf(name)).delete())
    },

    copy: async (source, target, _, operation) => {
      const [from, to] = [bucket.file(keyOf(source)), bucket.file(keyOf(target))]
      // The library asks again and again until all is copied; what is visible is the old object until then.
      const copied = source === target ? undefined : await operation.orEnd(from.copy(to))
      const { resource } = (copied?.[1] ?? {}) as { resource?: Resource }
      return resource === undefined ? operation.orEnd(lookUp(place, keyOf(target))) : foundOf(resource)
    },

    isThere: async (name) => {
      const [exists] = await bucket.file(keyOf(name)).exists()
      return exists
    },
  })
}
