import {
  type CallOptions,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PluginContext,
  PluginError,
  type ReadOptions,
  type SaveOptions,
  type StorageCapabilities,
  type TransferOptions,
} from '@pbmkit/core/plugin'
import { BodyFailure, type Keys, keysBelow, type Operation, Operations } from '@pbmkit/core/plugin/kit'
import type { Client } from './client.js'
import { type Scene, translated } from './errors.js'
import { listObjects } from './list.js'
import { chunkBytes, type GcsOptions, maxObjectBytes } from './options.js'
import { foundOf, type Place, type Resource } from './place.js'
import { lookUp, openRead, requireBytes } from './read.js'
import { saveObject } from './save.js'

/** Objects of a bucket. */
export class GcsStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #operations: Operations
  readonly #place: Place
  readonly #keys: Keys
  readonly #chunkBytes: number
  readonly #shown: string

  constructor(options: GcsOptions, context: PluginContext, client: Client, shown: string) {
    this.#operations = new Operations(context.signal)
    this.#keys = keysBelow(options.prefix, 'storage.gcs.prefix')
    this.#chunkBytes = chunkBytes(options.chunkSize)
    this.#shown = shown
    this.#place = { client, translate: (error) => translated(error, this.#scene('using', '')) }
    this.capabilities = {
      ifAbsent: true,
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
    }
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'writing', async (key, operation) => {
      if (options.ifAbsent === true) await this.#requireAbsent(name, key, operation)
      return { name, ...(await saveObject(this.#place, key, body, this.#chunkBytes, options, operation)) }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    // Lives as long as the iteration.
    const started = this.#operations.start(options.signal)
    try {
      return await this.#run(name, {}, 'reading', async (key, call) => {
        started.operation.check()
        const link = () => started.operation.stop(call.signal.reason)
        call.signal.addEventListener('abort', link, { once: true })
        try {
          const { operation, end } = started
          return await operation.orEnd(openRead(this.#place, key, name, options, operation, end))
        } finally {
          call.signal.removeEventListener('abort', link)
        }
      })
    } catch (error) {
      started.end()
      throw error
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'looking at', async (key, operation) => {
      const found = await lookUp(this.#place, key, operation)
      requireBytes(name, found.size)
      return { name, ...found }
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    this.#operations.requireOpen()
    const { operation, end } = this.#operations.start(options.signal)
    try {
      operation.check()
      yield* listObjects(this.#place, this.#keys, options.prefix ?? '', operation)
    } catch (error) {
      operation.check()
      throw translated(error, this.#scene('listing', options.prefix ?? ''))
    } finally {
      end()
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run(name, options, 'deleting', async (key, operation) => {
      await operation.orEnd(this.#place.client.bucket.file(key).delete())
    })
  }

  async copy(source: string, to: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    this.#operations.requireOpen()
    const target = this.#keys.keyOf(to)
    return this.#run(source, options, 'copying', async (key, operation) => {
      const { bucket } = this.#place.client
      // The library asks again and again until all is copied; what is visible is the old object until then.
      const copying = key === target ? undefined : bucket.file(key).copy(bucket.file(target))
      const resource = await operation.orEnd(copying ?? Promise.resolve(undefined))
      const answer = resource?.[1] as { resource?: Resource } | undefined
      const found =
        answer?.resource === undefined ? await lookUp(this.#place, target, operation) : foundOf(answer.resource)
      options.onProgress?.(found.size)
      return { name: to, ...found }
    })
  }

  close(): Promise<void> {
    return this.#operations.close()
  }

  async #run<T>(
    name: string,
    options: CallOptions,
    doing: string,
    work: (key: string, operation: Operation) => Promise<T>,
  ): Promise<T> {
    this.#operations.requireOpen()
    const key = this.#keys.keyOf(name)
    const { operation, end } = this.#operations.start(options.signal)
    const running = async () => {
      try {
        operation.check()
        return await work(key, operation)
      } catch (error) {
        if (error instanceof BodyFailure) throw error.error
        // The trace of an end is no fault of the server's.
        if (operation.signal.aborted) endedBy(operation)
        throw translated(error, this.#scene(doing, name))
      } finally {
        end()
      }
    }
    return this.#operations.track(running())
  }

  /** Not for safety, which is in the writing: only so that a body is not drained in vain. */
  async #requireAbsent(name: string, key: string, operation: Operation): Promise<void> {
    const [exists] = await operation.orEnd(this.#place.client.bucket.file(key).exists())
    if (exists)
      throw new PluginError('STORAGE_EXISTS', `${this.#shown}/${name}: there is an object of this name already`)
  }

  #scene(doing: string, name: string): Scene {
    const { bucket, endpoint } = this.#place.client
    return { doing: `${doing} ${this.#shown}${name === '' ? '' : `/${name}`}`, bucket: bucket.name, endpoint }
  }
}

/** Throws why an operation was ended from outside; what failed in it ends it, too, and is told as it is. */
function endedBy(operation: Operation): void {
  const { reason } = operation.signal
  if (reason instanceof PluginError && ['STORAGE_ABORTED', 'STORAGE_CLOSED'].includes(reason.code)) throw reason
}
