import { Readable } from 'node:stream'
import { PluginError } from '@pbmkit/core/plugin'
import { blocksOf, defineStore, notFound } from '@pbmkit/core/plugin/kit'
import { isMissing, translated } from './errors.js'
import { MAX_SEGMENT_BYTES } from './names.js'
import { Replaced } from './slots.js'

/** Bodies come in chunks of any size; a request of tiny ones is slow. */
const BLOCK_BYTES = 256 * 1024

/** How often a version that went away is looked for again. */
const LOOKS = 10

/**
 * Objects in slots of a WebDAV server.
 * @param {import('./slots.js').Slots} slots
 * @param {import('@pbmkit/core/plugin').PluginContext} context
 */
export function webdavStore(slots, context) {
  return defineStore(context, {
    capabilities: { ifAbsent: false, serverSideCopy: true, modifiedAt: false, maxSegmentBytes: MAX_SEGMENT_BYTES },
    whyNotIfAbsent: 'WebDAV can not write an object only where there is none',
    translate: (error, { doing }) => translated(error, doing),

    save: async (name, body, { onProgress }, operation) => {
      let size = 0
      const counted = async function* () {
        for await (const block of blocksOf(body, BLOCK_BYTES)) {
          size += block.length
          yield block
          onProgress?.(size)
        }
      }
      const stream = Readable.from(counted(), { objectMode: false })
      const uploaded = await operation.orEnd(slots.upload(stream, operation.signal)).catch((error) => {
        stream.destroy()
        throw error
      })
      await show(uploaded, name, operation)
      return { size }
    },

    read: (name, { offset, length }, operation) =>
      asFound(async () => {
        const found = await look(name, operation.signal)
        const end = Math.min(found.size, offset + length)
        if (offset >= end) return undefined
        const bytes = await slots.get(found, { start: offset, end: end - 1 }, operation.signal)
        return opened(bytes, end - offset)
      }),

    stat: (name, { signal }) => look(name, signal),

    list: (prefix, { signal }) => slots.list(prefix, signal),

    delete: async (name, operation) => {
      if (!(await operation.uncut(() => slots.remove(name)))) throw notFound(name)
    },

    copy: async (source, target, _, operation) => {
      const { size, copied } = await asFound(async () => {
        const { path, size } = await operation.orEnd(look(source, operation.signal))
        return { size, copied: await operation.orEnd(slots.duplicate(path, operation.signal)) }
      })
      await show(copied, target, operation)
      return { size }
    },
  })

  /** @param {string} name @param {AbortSignal} signal */
  async function look(name, signal) {
    const found = await slots.find(name, signal)
    if (found === undefined) throw notFound(name)
    return found
  }

  /** @param {string} uploaded @param {string} name @param {import('@pbmkit/core/plugin/kit').Operation} operation */
  async function show(uploaded, name, operation) {
    try {
      await operation.uncut(() => slots.show(uploaded, name))
    } catch (error) {
      await slots.discard(uploaded)
      throw error
    }
  }
}

/**
 * Repeats `work` where the version that it found was replaced before it got there.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function asFound(work) {
  for (let left = LOOKS; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 0 || !(isMissing(error) || error instanceof Replaced)) throw error
    }
  }
}

/**
 * The first `size` bytes of an answer: servers that know no ranges send more.
 * @param {AsyncIterable<Uint8Array>} answer
 * @param {number} size
 * @returns {import('@pbmkit/core/plugin/kit').OpenObject}
 */
function opened(answer, size) {
  const chunks = answer[Symbol.asyncIterator]()
  const bytes = async function* () {
    for (let left = size; left > 0; ) {
      const { done, value } = await chunks.next()
      if (done === true) throw new PluginError('STORAGE_UNAVAILABLE', `the answer ended ${left} bytes early`)
      const chunk = value.length > left ? value.subarray(0, left) : value
      left -= chunk.length
      yield chunk
    }
  }
  return { bytes: bytes(), free: () => void chunks.return?.()?.catch(() => undefined) }
}
