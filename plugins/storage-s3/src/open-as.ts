import { type ObjectInfo, type ObjectStore, type PluginContext, PluginError } from '@pbmkit/core/plugin'
import { openS3 } from './open.js'
import type { S3Options } from './options.js'

/** What an option or scheme of S3 is called elsewhere, for errors and warnings that name it. */
export type Renaming = readonly (readonly [pattern: RegExp, text: string])[]

/** Opens a storage that speaks S3 and is configured by keys of its own: whatever is told names those. */
export async function openS3As(options: S3Options, context: PluginContext, renaming: Renaming): Promise<ObjectStore> {
  const text = (told: string) => renaming.reduce((rest, [pattern, own]) => rest.replace(pattern, own), told)
  const renamed = (error: unknown) =>
    error instanceof PluginError
      ? new PluginError(error.code, text(error.message), { cause: error.cause, retriable: error.retriable })
      : error
  const { debug } = context
  const telling: PluginContext = {
    ...context,
    warn: (told) => context.warn(text(told)),
    ...(debug === undefined ? {} : { debug: (told: string) => debug(text(told)) }),
  }
  const store = await openS3(options, telling, 'keys first').catch((error: unknown) => {
    throw renamed(error)
  })
  return renamedStore(store, renamed)
}

function renamedStore(store: ObjectStore, renamed: (error: unknown) => unknown): ObjectStore {
  const guard = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw renamed(error)
    })
  async function* guardEach<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* source
    } catch (error) {
      throw renamed(error)
    }
  }
  return {
    capabilities: store.capabilities,
    save: (name, body, options) => guard(store.save(name, body, options)),
    read: async (name, options) => guardEach(await guard(store.read(name, options))),
    stat: (name, options) => guard(store.stat(name, options)),
    list: (options) => guardEach<ObjectInfo>(store.list(options)),
    delete: (name, options) => guard(store.delete(name, options)),
    copy: (source, target, options) => guard(store.copy(source, target, options)),
    close: () => guard(store.close()),
  }
}
