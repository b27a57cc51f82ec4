import {
  type ObjectStore,
  type OptionsSchema,
  type PluginContext,
  PluginError,
  type StoragePlugin,
} from '@pbmkit/core/plugin'
import { defineStore } from '@pbmkit/core/plugin/kit'

const optionsSchema: OptionsSchema = { type: 'object', additionalProperties: false, properties: {} }

/** Reads what is saved to its end and throws it away: for measuring what a backup costs without a storage. */
const blackhole: StoragePlugin = {
  kind: 'storage',
  name: 'blackhole',
  apiVersion: 1,
  optionsSchema,
  open,
  describe: () => 'blackhole (keeps nothing)',
}

export default blackhole

let isWarned = false

async function open(_options: object, context: PluginContext): Promise<ObjectStore> {
  // An agent opens its storage again and again.
  if (!isWarned)
    context.warn('storage.type is blackhole: what is stored there is thrown away, and no backup can be restored')
  isWarned = true
  return defineStore(context, {
    capabilities: { ifAbsent: true, serverSideCopy: true, modifiedAt: false, keepsNothing: true },
    show: (name) => (name === '' ? 'blackhole' : `blackhole/${name}`),
    save: async (name, body, { onProgress }) => {
      let size = 0
      for await (const { length } of body) {
        size += length
        onProgress?.(size)
      }
      return { name, size }
    },
    read: async (name) => nothing(name),
    stat: async (name) => nothing(name),
    async *list() {},
    delete: async (name) => nothing(name),
    copy: async (name) => nothing(name),
  })
}

function nothing(name: string): never {
  throw new PluginError('STORAGE_NOT_FOUND', `${name} is not there: the storage blackhole keeps nothing`)
}
