import {
  type CallOptions,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PluginContext,
  PluginError,
  type ReadOptions,
  type SaveOptions,
  type TransferOptions,
} from '@pbmkit/core/plugin'
import { blocksOf, type Operation, Operations, shownName, whyIllegalName } from '@pbmkit/core/plugin/kit'

const BLOCK_BYTES = 256 * 1024

/** An object as this sample keeps it. */
export interface Kept {
  readonly chunks: readonly Uint8Array[]
  readonly size: number
}

/** A storage in the memory of this process: right in every point of the contract, and gone when the process ends. */
export class Store implements ObjectStore {
  /** Say false where your storage can't: the suite then checks that it refuses. */
  readonly capabilities: ObjectStore['capabilities'] = { ifAbsent: true, serverSideCopy: true, modifiedAt: false }
  readonly #objects: Map<string, Kept>
  /** Hears every way in which a call can end: its signal, the process, `close`. */
  readonly #operations: Operations

  constructor(objects: Map<string, Kept>, context: PluginContext) {
    this.#objects = objects
    this.#operations = new Operations(context.signal)
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run([name], options, async (operation) => {
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of arriving(body, operation)) {
        chunks.push(chunk)
        size += chunk.length
        options.onProgress?.(size)
      }
      if (options.ifAbsent === true && this.#objects.has(name))
        throw new PluginError('STORAGE_EXISTS', `object ${shownName(name)} is there already`)
      // Nobody sees anything before this line, and everybody the whole object after it.
      this.#objects.set(name, { chunks, size })
      options.onProgress?.(size)
      return { name, size }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const { operation, end } = this.#start([name], options)
    try {
      operation.check()
      const { chunks, size } = this.#require(name)
      const { offset = 0, length = size } = options
      if (!Number.isInteger(offset) || !Number.isInteger(length) || offset < 0 || offset >= size || length < 1)
        throw new PluginError(
          'STORAGE_INVALID_RANGE',
          `${shownName(name)} has ${size} bytes, not ${length} from ${offset}`,
        )
      return reading(chunks, offset, Math.min(size, offset + length), options, operation, end)
    } catch (error) {
      end()
      throw error
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run([name], options, async () => ({ name, size: this.#require(name).size }))
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { operation, end } = this.#start([], options)
    try {
      for (const [name, { size }] of [...this.#objects]) {
        operation.check()
        if (name.startsWith(options.prefix ?? '')) yield { name, size }
      }
      operation.check()
    } finally {
      end()
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run([name], options, async () => {
      if (!this.#objects.delete(name)) throw missing(name)
    })
  }

  copy(source: string, target: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    return this.#run([source, target], options, async () => {
      const found = this.#objects.get(source)
      if (found === undefined) throw missing(source)
      this.#objects.set(target, found)
      options.onProgress?.(found.size)
      return { name: target, size: found.size }
    })
  }

  close(): Promise<void> {
    return this.#operations.close()
  }

  #require(name: string): Kept {
    const found = this.#objects.get(name)
    if (found === undefined) throw missing(name)
    if (found.size === 0) throw new PluginError('STORAGE_EMPTY', `object ${shownName(name)} has no bytes`)
    return found
  }

  #start(names: readonly string[], options: CallOptions): { operation: Operation; end: () => void } {
    this.#operations.requireOpen()
    for (const name of names) {
      const reason = whyIllegalName(name)
      if (reason !== undefined)
        throw new PluginError('STORAGE_INVALID_NAME', `object name ${shownName(name)}: ${reason}`)
    }
    return this.#operations.start(options.signal)
  }

  async #run<T>(
    names: readonly string[],
    options: CallOptions,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    const { operation, end } = this.#start(names, options)
    try {
      operation.check()
      return await this.#operations.track(work(operation))
    } finally {
      // The errors of a client have to become a PluginError, with the code that fits; those of a body stay as they are.
      end()
    }
  }
}

/** A body in blocks, until the call ends: also while the body hangs, and without a cost for each of many small chunks. */
async function* arriving(body: AsyncIterable<Uint8Array>, operation: Operation): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  const blocks = blocksOf({ [Symbol.asyncIterator]: () => chunks }, BLOCK_BYTES)
  let isOver = false
  try {
    for (;;) {
      operation.check()
      const { done, value } = await operation.orEnd(blocks.next())
      if (done === true) {
        isOver = true
        operation.check()
        return
      }
      yield value
    }
  } finally {
    // Not waited for: it may hang.
    if (!isOver) void Promise.resolve(chunks.return?.()).catch(() => undefined)
  }
}

async function* reading(
  chunks: readonly Uint8Array[],
  first: number,
  last: number,
  options: ReadOptions,
  operation: Operation,
  end: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    let position = 0
    let given = 0
    for (const chunk of chunks) {
      operation.check()
      const part = chunk.subarray(Math.max(0, first - position), Math.max(0, last - position))
      position += chunk.length
      if (part.length === 0) continue
      given += part.length
      options.onProgress?.(given)
      yield part
    }
    operation.check()
  } finally {
    end()
  }
}

function missing(name: string): PluginError {
  return new PluginError('STORAGE_NOT_FOUND', `there is no object ${shownName(name)}`)
}
