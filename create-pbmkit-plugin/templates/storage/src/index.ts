import type { StoragePlugin } from '@pbmkit/core/plugin'
import { type Kept, storeOf } from './store.js'

/** The options block in the configuration: `storage.__NAME__`. Mark secrets with `writeOnly: true` in the schema below. */
export interface Options {
  readonly place: string
}

/** Stands for the server: what every connection to a place shares. Put the client of your storage here. */
const places = new Map<string, Map<string, Kept>>()

const plugin: StoragePlugin<Options> = {
  kind: 'storage',
  name: '__NAME__',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['place'],
    properties: {
      place: { type: 'string', minLength: 1, identity: true, description: 'which of the places in this process' },
    },
  },
  open: async ({ place }, context) => {
    const objects = places.get(place) ?? new Map<string, Kept>()
    places.set(place, objects)
    return storeOf(objects, context)
  },
  describe: ({ place }) => `__NAME__ ${place}`,
}

export default plugin
