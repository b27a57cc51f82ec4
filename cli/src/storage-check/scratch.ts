import { randomBytes } from 'node:crypto'
import type { ListOptions, ObjectInfo, ObjectStore } from '@pbmkit/core'

/** Objects deleted at a time. */
const WIDTH = 16

/** A folder of a live storage that nobody else uses, with one folder in it for each case. */
export class Scratch {
  /** Ends with a slash. */
  readonly prefix = `.pbmkit-check/${randomBytes(4).toString('hex')}/`
  #cases = 0

  /** The same number of bytes for every case. */
  readonly nameBytes = this.prefix.length + 5

  next(): string {
    this.#cases += 1
    return `${this.prefix}${String(this.#cases).padStart(4, '0')}/`
  }

  /** Deletes all below `prefix`; what fails is tried once more. Rejects when something is left. */
  async remove(store: ObjectStore, prefix = this.prefix): Promise<number> {
    const first = await namesBelow(store, prefix)
    await deleteAll(store, first).catch(() => undefined)
    // What a broken-off write made visible while the rest was deleted.
    await deleteAll(store, await namesBelow(store, prefix))
    const [left] = await namesBelow(store, prefix)
    if (left !== undefined) throw new Error(`${left} is still there after it was deleted`)
    return first.length
  }
}

/** `store` as if `prefix` were all of it: the prefix stands before every name, and is taken off what is answered. */
export function below(store: ObjectStore, prefix: string): ObjectStore {
  const bare = ({ name, ...info }: ObjectInfo): ObjectInfo => ({ ...info, name: name.slice(prefix.length) })
  return {
    capabilities: store.capabilities,
    save: async (name, body, options) => bare(await store.save(prefix + name, body, options)),
    read: (name, options) => store.read(prefix + name, options),
    stat: async (name, options) => bare(await store.stat(prefix + name, options)),
    list: (options) => listBelow(store, prefix, bare, options),
    delete: (name, options) => store.delete(prefix + name, options),
    copy: async (source, target, options) => bare(await store.copy(prefix + source, prefix + target, options)),
    close: () => store.close(),
  }
}

async function* listBelow(
  store: ObjectStore,
  prefix: string,
  bare: (info: ObjectInfo) => ObjectInfo,
  options: ListOptions = {},
): AsyncGenerator<ObjectInfo> {
  for await (const info of store.list({ ...options, prefix: prefix + (options.prefix ?? '') })) yield bare(info)
}

async function namesBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list({ prefix })) names.push(name)
  return names
}

async function deleteAll(store: ObjectStore, names: readonly string[]): Promise<void> {
  const left = [...names]
  const work = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await store.delete(name)
  }
  await Promise.all(Array.from({ length: WIDTH }, work))
}
