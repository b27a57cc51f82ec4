import { type ObjectStore, type PluginContext, PluginError } from '@pbmkit/core/plugin'
import { blocksOf, defineStore, exists, notFound, shownName } from '@pbmkit/core/plugin/kit'

const BLOCK_BYTES = 256 * 1024

/** An object as this sample keeps it. */
export interface Kept {
  readonly chunks: readonly Uint8Array[]
  readonly size: number
}

/**
 * A storage in the memory of this process: right in every point of the contract, and gone when the process ends.
 * `defineStore` does what is the same for every storage: it checks names and ranges, ends each call with its signal, the
 * process and `close`, and has errors translated. What is here is what differs.
 */
export function storeOf(objects: Map<string, Kept>, context: PluginContext): ObjectStore {
  const kept = (name: string): Kept => {
    const found = objects.get(name)
    if (found === undefined) throw notFound(name)
    return found
  }

  return defineStore(context, {
    // Say false where your storage can't: the suite then checks that it refuses.
    capabilities: { ifAbsent: true, serverSideCopy: true, modifiedAt: false },

    save: async (name, body, { ifAbsent, onProgress }) => {
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of blocksOf(body, BLOCK_BYTES)) {
        chunks.push(chunk)
        size += chunk.length
        onProgress?.(size)
      }
      if (ifAbsent === true && objects.has(name)) throw exists(shownName(name))
      // Nobody sees anything before this line, and everybody the whole object after it.
      objects.set(name, { chunks, size })
      return { size }
    },

    read: async (name, { offset, length }) => {
      const { chunks, size } = kept(name)
      const end = Math.min(size, offset + length)
      // Whatever reading holds open, a file or a connection, is given back in `free`.
      return offset < end ? { bytes: reading(chunks, offset, end), free: () => undefined } : undefined
    },

    stat: async (name) => ({ size: kept(name).size }),

    list: async function* () {
      for (const [name, { size }] of [...objects]) yield { name, size }
    },

    delete: async (name) => {
      if (!objects.delete(name)) throw notFound(name)
    },

    copy: async (source, target) => {
      const { chunks, size } = kept(source)
      objects.set(target, { chunks, size })
      return { size }
    },

    // The errors of your client get here. Give each the code that fits; those of a body never get here.
    translate: (error, { doing }) => new PluginError('STORAGE_UNAVAILABLE', `${doing}: ${error}`, { cause: error }),
  })
}

async function* reading(chunks: readonly Uint8Array[], first: number, end: number): AsyncGenerator<Uint8Array> {
  let position = 0
  for (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, first - position), Math.max(0, end - position))
    position += chunk.length
    if (part.length > 0) yield part
  }
}
