import { Readable } from 'node:stream'
import { PluginError } from '@pbmkit/core/plugin'
import { BodyFailure, blocksOf, Operations, shownName } from '@pbmkit/core/plugin/kit'
import { isMissing, translated } from './errors.js'
import { checkName, MAX_SEGMENT_BYTES } from './names.js'
import { Replaced } from './slots.js'

/** Bodies come in chunks of any size; a request of tiny ones is slow. */
const BLOCK_BYTES = 256 * 1024

/** How often a version that went away is looked for again. */
const LOOKS = 10

/**
 * @typedef {import('@pbmkit/core/plugin').ObjectStore} ObjectStore
 * @typedef {import('@pbmkit/core/plugin').Operation} Operation
 */

/** @implements {ObjectStore} */
export class WebdavStore {
  capabilities = { ifAbsent: false, serverSideCopy: true, modifiedAt: false, maxSegmentBytes: MAX_SEGMENT_BYTES }
  /** @type {import('./slots.js').Slots} */
  #slots
  /** @type {Operations} */
  #operations

  /** @param {import('./slots.js').Slots} slots @param {import('@pbmkit/core/plugin').PluginContext} context */
  constructor(slots, context) {
    this.#slots = slots
    this.#operations = new Operations(context.signal)
  }

  /** @type {ObjectStore['save']} */
  save(name, body, options = {}) {
    return this.#run('writing', [name], options, async (operation) => {
      if (options.ifAbsent === true)
        throw new PluginError('STORAGE_NOT_SUPPORTED', 'WebDAV can not write an object only where there is none')
      const counted = { bytes: 0 }
      const stream = Readable.from(guarded(body, operation, counted, options.onProgress), {
        objectMode: false,
      })
      const uploaded = await operation.orEnd(this.#slots.upload(stream, operation.signal)).catch((error) => {
        stream.destroy()
        throw error
      })
      await this.#show(uploaded, name, operation)
      options.onProgress?.(counted.bytes)
      return { name, size: counted.bytes }
    })
  }

  /** @type {ObjectStore['read']} */
  async read(name, options = {}) {
    const { operation, end } = this.#start([name], options)
    try {
      const { bytes, range } = await this.#asFound(async () => {
        const found = await this.#require(name, operation)
        const range = wanted(name, found.size, options)
        return { range, bytes: await operation.orEnd(this.#slots.get(found, range, operation.signal)) }
      })
      return this.#reading(name, bytes, range, options, operation, end)
    } catch (error) {
      end()
      throw this.#explained(error, operation, `reading ${shownName(name)}`)
    }
  }

  /** @type {ObjectStore['stat']} */
  stat(name, options = {}) {
    return this.#run('looking at', [name], options, async (operation) => ({
      name,
      size: (await this.#require(name, operation)).size,
    }))
  }

  /** @type {ObjectStore['list']} */
  async *list(options = {}) {
    const { operation, end } = this.#start([], options)
    try {
      for await (const found of this.#slots.list(options.prefix ?? '', operation.signal)) {
        operation.check()
        yield found
        operation.check()
      }
    } catch (error) {
      throw this.#explained(error, operation, `listing ${shownName(options.prefix ?? '')}`)
    } finally {
      end()
    }
  }

  /** @type {ObjectStore['delete']} */
  delete(name, options = {}) {
    return this.#run('deleting', [name], options, async (operation) => {
      if (!(await operation.uncut(() => this.#slots.remove(name)))) throw missing(name)
    })
  }

  /** @type {ObjectStore['copy']} */
  copy(source, target, options = {}) {
    return this.#run('copying', [source, target], options, async (operation) => {
      const { found, copied } = await this.#asFound(async () => {
        const found = await operation.orEnd(this.#slots.find(source, operation.signal))
        if (found === undefined) throw missing(source)
        return { found, copied: await operation.orEnd(this.#slots.duplicate(found.path, operation.signal)) }
      })
      await this.#show(copied, target, operation)
      options.onProgress?.(found.size)
      return { name: target, size: found.size }
    })
  }

  close() {
    return this.#operations.close()
  }

  /** @param {string} name @param {Operation} operation */
  async #require(name, operation) {
    const found = await operation.orEnd(this.#slots.find(name, operation.signal))
    if (found === undefined) throw missing(name)
    if (found.size === 0) throw new PluginError('STORAGE_EMPTY', `object ${shownName(name)} has no bytes`)
    return found
  }

  /**
   * Repeats `work` where the version that it found was replaced before it got there.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #asFound(work) {
    for (let left = LOOKS; ; left--) {
      try {
        return await work()
      } catch (error) {
        if (left === 0 || !(isMissing(error) || error instanceof Replaced)) throw error
      }
    }
  }

  /** @param {string} uploaded @param {string} name @param {Operation} operation */
  async #show(uploaded, name, operation) {
    try {
      await operation.uncut(() => this.#slots.show(uploaded, name))
    } catch (error) {
      await this.#slots.discard(uploaded)
      throw error
    }
  }

  /**
   * @param {string} name
   * @param {AsyncIterable<Uint8Array>} bytes
   * @param {{ start: number, end: number }} range
   * @param {import('@pbmkit/core/plugin').ReadOptions} options
   * @param {Operation} operation
   * @param {() => void} end
   */
  async *#reading(name, bytes, { start, end: last }, options, operation, end) {
    const iterator = bytes[Symbol.asyncIterator]()
    let left = last - start + 1
    try {
      while (left > 0) {
        operation.check()
        const { done, value } = await operation.orEnd(iterator.next())
        if (done === true) throw new PluginError('STORAGE_UNAVAILABLE', `${shownName(name)} ended ${left} bytes early`)
        const chunk = value.length > left ? value.subarray(0, left) : value
        left -= chunk.length
        options.onProgress?.(last - start + 1 - left)
        yield chunk
      }
      operation.check()
    } catch (error) {
      throw this.#explained(error, operation, `reading ${shownName(name)}`)
    } finally {
      end()
      void iterator.return?.()?.catch(() => undefined)
    }
  }

  /** @param {readonly string[]} names @param {import('@pbmkit/core/plugin').CallOptions} options */
  #start(names, options) {
    this.#operations.requireOpen()
    for (const name of names) checkName(name)
    return this.#operations.start(options.signal)
  }

  /**
   * @template T
   * @param {string} doing
   * @param {readonly string[]} names
   * @param {import('@pbmkit/core/plugin').CallOptions} options
   * @param {(operation: Operation) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #run(doing, names, options, work) {
    const { operation, end } = this.#start(names, options)
    try {
      operation.check()
      return await this.#operations.track(work(operation))
    } catch (error) {
      throw this.#explained(error, operation, `${doing} ${names.map(shownName).join(' to ')}`)
    } finally {
      end()
    }
  }

  /** @param {unknown} error @param {Operation} operation @param {string} doing */
  #explained(error, operation, doing) {
    try {
      operation.check()
    } catch (why) {
      return why instanceof BodyFailure ? why.error : why
    }
    return translated(error, doing)
  }
}

/**
 * The body with its end heard at once, even while it hangs; its own errors go to the caller as they are.
 * @param {AsyncIterable<Uint8Array>} body
 * @param {Operation} operation
 * @param {{ bytes: number }} counted
 * @param {((bytes: number) => void) | undefined} onProgress
 */
async function* guarded(body, operation, counted, onProgress) {
  const iterator = body[Symbol.asyncIterator]()
  const blocks = blocksOf({ [Symbol.asyncIterator]: () => iterator }, BLOCK_BYTES)
  let isOver = false
  try {
    for (;;) {
      const { done, value } = await operation.orEnd(
        blocks.next().catch((error) => {
          isOver = true
          operation.stop(new BodyFailure(error))
          throw error
        }),
      )
      if (done === true) {
        isOver = true
        return
      }
      counted.bytes += value.length
      yield value
      onProgress?.(counted.bytes)
    }
  } finally {
    if (!isOver) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

/** @param {string} name @param {number} size @param {import('@pbmkit/core/plugin').ReadOptions} options */
function wanted(name, size, { offset = 0, length = size }) {
  if (!Number.isInteger(offset) || !Number.isInteger(length) || offset < 0 || length < 1 || offset >= size)
    throw new PluginError(
      'STORAGE_INVALID_RANGE',
      `${length} bytes from ${offset} of ${shownName(name)}, which has ${size}`,
    )
  return { start: offset, end: Math.min(offset + length, size) - 1 }
}

/** @param {string} name */
function missing(name) {
  return new PluginError('STORAGE_NOT_FOUND', `there is no object ${shownName(name)}`)
}
