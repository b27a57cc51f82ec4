import type { ObjectStore } from '../plugin/storage.js'
import { bound } from '../store/open-store.js'
import { systemClock } from '../time/clock.js'

/** A store whose saves take their time, so that faults hit a backup in the middle; an abort ends them at once. */
export function slow(store: ObjectStore, millis = 60): ObjectStore {
  return {
    ...bound(store),
    save: async (name, body, options) => {
      if (!name.endsWith('.init')) await systemClock.sleep(millis, options?.signal)
      return await store.save(name, body, options)
    },
  }
}

/** As file systems of macOS and Windows: an object keeps the name it was first saved under, and is found by any case of it. */
export async function ignoringCase(store: ObjectStore): Promise<ObjectStore> {
  const names = new Map<string, string>()
  for await (const { name } of store.list()) names.set(name.toLowerCase(), name)
  const nameOf = (name: string) => names.get(name.toLowerCase()) ?? name
  return {
    ...bound(store),
    save: (name, body, options) => {
      names.set(name.toLowerCase(), nameOf(name))
      return store.save(nameOf(name), body, options)
    },
    read: (name, options) => store.read(nameOf(name), options),
    stat: (name, options) => store.stat(nameOf(name), options),
    delete: (name, options) => store.delete(nameOf(name), options),
  }
}
