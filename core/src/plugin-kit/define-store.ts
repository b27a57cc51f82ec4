import { PluginError } from '../plugin/errors.js'
import type { PluginContext } from '../plugin/plugin.js'
import type {
  CallOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  SaveOptions,
  StorageCapabilities,
  TransferOptions,
} from '../plugin/storage.js'
import { exists } from './object-errors.js'
import { shownName, whyIllegalName } from './object-name.js'
import type { Operation } from './operation.js'
import { Operations } from './operations.js'
import type { FailedCall, OpenObject, StoredObject, StoreMethods } from './store-methods.js'

/**
 * Makes a store of its methods. It checks names, ranges and `ifAbsent`; counts the calls under way and ends them, with
 * their signal, with the process and on `close`; gives the errors of a body to the caller as they are, and translates
 * all others; tells the progress of reads, and the end of every transfer.
 */
export function defineStore(context: PluginContext, methods: StoreMethods): ObjectStore {
  return new DefinedStore(context, methods)
}

class DefinedStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #methods: StoreMethods
  readonly #operations: Operations
  #closing: Promise<void> | undefined

  constructor(context: PluginContext, methods: StoreMethods) {
    this.capabilities = methods.capabilities
    this.#methods = methods
    this.#operations = new Operations(context.signal)
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run('writing', [name], options, async (operation) => {
      if (options.ifAbsent === true) await this.#requireAbsent(name, operation)
      const watched = operation.each(body, (error) => operation.end(error))
      try {
        return await this.#transfer(name, options, (told) => this.#methods.save(name, watched, told, operation))
      } finally {
        // Tells a body that was not drained to stop.
        await watched.return?.()
      }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    // Lives as long as the iteration.
    const { operation, end } = this.#start([name], options)
    const call: FailedCall = { doing: `reading ${this.#show(name)}`, name, operation }
    try {
      const opened = await this.#operations.track(this.#open(name, options, operation))
      return this.#reading(opened, options, call, end)
    } catch (error) {
      end()
      throw await this.#explained(error, call)
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run('looking at', [name], options, async (operation) => {
      const found = await operation.orEnd(this.#methods.stat(name, operation))
      requireBytes(name, found.size)
      return infoOf(name, found)
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { prefix = '' } = options
    const { operation, end } = this.#start([], options)
    try {
      operation.check()
      for await (const found of operation.each(this.#methods.list(prefix, operation)))
        if (found.name.startsWith(prefix)) yield found
    } catch (error) {
      throw await this.#explained(error, { doing: `listing ${this.#show(prefix)}`, name: undefined, operation })
    } finally {
      end()
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run('deleting', [name], options, (operation) => this.#methods.delete(name, operation))
  }

  copy(source: string, target: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    return this.#run('copying', [source, target], options, (operation) =>
      this.#transfer(target, options, (told) => this.#methods.copy(source, target, told, operation)),
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#operations.close().then(() => this.#methods.close?.())
    return this.#closing
  }

  #start(names: readonly string[], { signal }: CallOptions): { operation: Operation; end: () => void } {
    this.#operations.requireOpen()
    for (const name of names) this.#checkName(name)
    return this.#operations.start(signal)
  }

  async #run<T>(
    doing: string,
    names: readonly [string, ...string[]],
    options: CallOptions,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    const { operation, end } = this.#start(names, options)
    const running = async () => {
      try {
        operation.check()
        return await work(operation)
      } catch (error) {
        const [name] = names
        throw await this.#explained(error, { doing: `${doing} ${this.#show(name)}`, name, operation })
      } finally {
        end()
      }
    }
    return this.#operations.track(running())
  }

  #checkName(name: string): void {
    const { maxSegmentBytes, reservedSuffix } = this.capabilities
    const reason = whyIllegalName(name, { maxSegmentBytes }) ?? whyReserved(name, reservedSuffix)
    if (reason !== undefined) throw new PluginError('STORAGE_INVALID_NAME', `object name ${shownName(name)}: ${reason}`)
    this.#methods.checkName?.(name)
  }

  #show(name: string): string {
    return this.#methods.show?.(name) ?? shownName(name)
  }

  /** Not for safety, which is in the writing: only so that a body is not drained in vain. */
  async #requireAbsent(name: string, operation: Operation): Promise<void> {
    if (!this.capabilities.ifAbsent) {
      const { whyNotIfAbsent = "this storage can't write an object only where there is none" } = this.#methods
      throw new PluginError('STORAGE_NOT_SUPPORTED', `${this.#show(name)}: ${whyNotIfAbsent}`)
    }
    const looking = this.#methods.isThere?.(name, operation)
    if (looking !== undefined && (await operation.orEnd(looking))) throw exists(this.#show(name))
  }

  /** Sees to it that the whole size is told at the end, and once. */
  async #transfer(
    name: string,
    options: SaveOptions,
    work: (options: SaveOptions) => Promise<StoredObject>,
  ): Promise<ObjectInfo> {
    const { onProgress } = options
    let last = -1
    const tell = (bytes: number) => {
      if (bytes !== last) onProgress?.(bytes)
      last = bytes
    }
    const stored = await work(onProgress === undefined ? options : { ...options, onProgress: tell })
    tell(stored.size)
    return infoOf(name, stored)
  }

  async #open(name: string, { offset = 0, length }: ReadOptions, operation: Operation): Promise<OpenObject> {
    operation.check()
    if (isRange(offset, length)) {
      const opening = this.#methods.read(name, { offset, length: length ?? Number.POSITIVE_INFINITY }, operation)
      // The answer may come after the end.
      const forget = () => void opening.then((late) => late?.free()).catch(() => undefined)
      const opened = await operation.orEnd(opening).catch((error: unknown) => {
        forget()
        throw error
      })
      if (opened !== undefined) return opened
    }
    const { size } = await operation.orEnd(this.#methods.stat(name, operation))
    requireBytes(name, size)
    const asked = `${length ?? 'all'} bytes from byte ${offset}`
    throw new PluginError(
      'STORAGE_INVALID_RANGE',
      `the object ${shownName(name)} has ${size} bytes; asked for ${asked}`,
    )
  }

  #reading(opened: OpenObject, options: ReadOptions, call: FailedCall, end: () => void): AsyncIterable<Uint8Array> {
    const { operation } = call
    let freed: Promise<void> | undefined
    const free = () => {
      freed ??= this.#operations.track((async () => opened.free())()).catch(() => undefined)
      operation.signal.removeEventListener('abort', free)
      end()
      return freed
    }
    // Also when the reader has stopped asking: a call that has ended holds nothing open.
    operation.signal.addEventListener('abort', free, { once: true })
    if (operation.signal.aborted) void free()
    const explained = (error: unknown) => this.#explained(error, call)
    return (async function* () {
      let read = 0
      try {
        for await (const chunk of operation.each(opened.bytes)) {
          read += chunk.length
          options.onProgress?.(read)
          yield chunk
        }
      } catch (error) {
        throw await explained(error)
      } finally {
        const freeing = free()
        // Freeing may hang with what has hung before.
        if (!operation.signal.aborted) await freeing
      }
    })()
  }

  /** What the caller gets for an error: why the call was ended, or an error of a storage. */
  async #explained(error: unknown, call: FailedCall): Promise<unknown> {
    const { endedBy } = call.operation
    if (endedBy !== undefined) return endedBy.error
    if (isStorageError(error)) return error
    return (await this.#methods.translate?.(error, call)) ?? error
  }
}

function requireBytes(name: string, size: number): void {
  if (size === 0) throw new PluginError('STORAGE_EMPTY', `the object ${shownName(name)} is empty`)
}

function infoOf(name: string, { size, modifiedAt }: StoredObject): ObjectInfo {
  return modifiedAt === undefined ? { name, size } : { name, size, modifiedAt }
}

function isRange(offset: number, length: number | undefined): boolean {
  if (!Number.isSafeInteger(offset) || offset < 0) return false
  return length === undefined || length === Number.POSITIVE_INFINITY || (Number.isInteger(length) && length > 0)
}

function whyReserved(name: string, suffix: string | undefined): string | undefined {
  return suffix !== undefined && name.endsWith(suffix)
    ? `names that end in ${suffix} are used by the storage itself`
    : undefined
}

function isStorageError(error: unknown): boolean {
  return error instanceof Error && /^STORAGE_/.test(String((error as { code?: unknown }).code))
}
