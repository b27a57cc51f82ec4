import type { ObjectInfo } from '../../plugin/storage.js'
import { redacted } from '../../secrets/errors.js'
import type { OpenStore } from '../open-store.js'

/** The store with every error {@link redacted}. */
export function redactedStore(store: OpenStore, secrets: readonly string[]): OpenStore {
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw redacted(error, secrets)
    }
  }
  async function* guardEach<T>(open: () => AsyncIterable<T> | Promise<AsyncIterable<T>>): AsyncGenerator<T> {
    try {
      yield* await open()
    } catch (error) {
      throw redacted(error, secrets)
    }
  }
  return {
    capabilities: store.capabilities,
    save: (name, body, options) => guard(() => store.save(name, body, options)),
    read: (name, options) =>
      guard(async () => {
        const bytes = await store.read(name, options)
        return guardEach(() => bytes)
      }),
    stat: (name, options) => guard(() => store.stat(name, options)),
    list: (options) => guardEach<ObjectInfo>(() => store.list(options)),
    delete: (name, options) => guard(() => store.delete(name, options)),
    copy: (source, target, options) => guard(() => store.copy(source, target, options)),
    close: () => guard(() => store.close()),
    figures: store.figures,
    strayParts: store.strayParts,
  }
}
