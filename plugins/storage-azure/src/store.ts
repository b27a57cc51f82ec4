import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob'
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
import { BodyFailure, type Keys, type Operation, Operations } from '@pbmkit/core/plugin/kit'
import { copyObject } from './copy.js'
import { isMissing, type Scene, translated } from './errors.js'
import { blobKeys } from './names.js'
import { type AzureOptions, endpointOf, maxObjectBytes } from './options.js'
import { isWhole, lookUp, openRead, requireBytes } from './read.js'
import { saveObject } from './save.js'

/** Objects of a container. */
export class AzureStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #container: ContainerClient
  readonly #operations: Operations
  readonly #keys: Keys
  readonly #scene: (doing: string, name: string) => Scene
  readonly #shown: string

  constructor(container: ContainerClient, options: AzureOptions, context: PluginContext, shown: string) {
    this.#container = container
    this.#operations = new Operations(context.signal)
    this.#keys = blobKeys(options.prefix)
    this.#shown = shown
    this.#scene = (doing, name) => sceneOf(options, context, `${doing} ${shown}${name === '' ? '' : `/${name}`}`)
    this.capabilities = {
      ifAbsent: true,
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
    }
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'writing', async (blob, operation) => {
      if (options.ifAbsent === true) await this.#requireAbsent(blob, name, operation)
      return { name, ...(await saveObject(blob, body, options, operation)) }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const blob = this.#blob(name)
    // Lives as long as the iteration.
    const { operation, end } = this.#operations.start(options.signal)
    try {
      const source = await this.#tracked(name, 'reading', operation, () =>
        operation.orEnd(openRead(blob, name, options, operation, end)),
      )
      return this.#explaining(source, name)
    } catch (error) {
      end()
      throw error
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'looking at', async (blob, operation) => {
      const found = await lookUp(blob, name, operation)
      requireBytes(name, found.size)
      return { name, ...found }
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    this.#operations.requireOpen()
    const { operation, end } = this.#operations.start(options.signal)
    const { prefix = '' } = options
    try {
      operation.check()
      const keyPrefix = this.#keys.keyPrefixOf(prefix)
      if (keyPrefix === undefined) return
      const asked = { prefix: keyPrefix, includeCopy: true, includeMetadata: true, abortSignal: operation.signal }
      for await (const { name: key, properties, metadata } of this.#container.listBlobsFlat(asked)) {
        const name = this.#keys.nameOf(key)
        // Accounts with a hierarchical namespace list folders among the blobs.
        if (name === undefined || !name.startsWith(prefix) || metadata?.hdi_isfolder === 'true') continue
        operation.check()
        if (isWhole(properties.copyStatus))
          yield { name, size: properties.contentLength ?? 0, modifiedAt: properties.lastModified }
      }
      operation.check()
    } catch (error) {
      operation.check()
      throw translated(error, this.#scene('listing', prefix))
    } finally {
      end()
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run(name, options, 'deleting', async (blob, operation) => {
      await operation.uncut((abortSignal) => blob.delete({ abortSignal, deleteSnapshots: 'include' }))
    })
  }

  async copy(source: string, target: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    const to = this.#blob(target)
    return this.#run(source, options, 'copying', async (from, operation) => {
      return { name: target, ...(await copyObject(from, to, source, options, operation)) }
    })
  }

  async close(): Promise<void> {
    await this.#operations.close()
  }

  #blob(name: string): BlockBlobClient {
    this.#operations.requireOpen()
    return this.#container.getBlockBlobClient(this.#keys.keyOf(name))
  }

  async #run<T>(
    name: string,
    options: CallOptions,
    doing: string,
    work: (blob: BlockBlobClient, operation: Operation) => Promise<T>,
  ): Promise<T> {
    const blob = this.#blob(name)
    const { operation, end } = this.#operations.start(options.signal)
    try {
      return await this.#tracked(name, doing, operation, () => work(blob, operation))
    } finally {
      end()
    }
  }

  #tracked<T>(name: string, doing: string, operation: Operation, work: () => Promise<T>): Promise<T> {
    const running = async () => {
      try {
        operation.check()
        return await work()
      } catch (error) {
        if (error instanceof BodyFailure) throw error.error
        throw ended(operation, error) ?? translated(error, this.#scene(doing, name))
      }
    }
    return this.#operations.track(running())
  }

  /** Errors in the middle of a read, as errors of a storage. */
  async *#explaining(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
    try {
      yield* source
    } catch (error) {
      throw translated(error, this.#scene('reading', name))
    }
  }

  async #requireAbsent(blob: BlockBlobClient, name: string, operation: Operation): Promise<void> {
    // Not for safety, which is in the writing: only so that a body is not drained in vain.
    const found = await lookUp(blob, name, operation).catch((error: unknown) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (found === undefined) return
    throw new PluginError('STORAGE_EXISTS', `${this.#shown}/${name}: there is an object of this name already`)
  }
}

export function sceneOf(options: AzureOptions, context: PluginContext, doing: string): Scene {
  const { account, container } = options
  return { doing, account, container, endpoint: endpointOf(options, context.node), signatureEnds: endOf(options) }
}

/** When the shared access signature that is used ends. */
function endOf({ credentials = {} }: AzureOptions): Date | undefined {
  const { key, sasToken } = credentials
  if (key || !sasToken) return undefined
  const end = Date.parse(new URLSearchParams(sasToken.replace(/^\?/, '')).get('se') ?? '')
  return Number.isNaN(end) ? undefined : new Date(end)
}

/** Why an operation has ended, when `error` is only the trace of it. */
function ended(operation: Operation, error: unknown): unknown {
  try {
    operation.check()
  } catch (reason) {
    return reason instanceof PluginError ? reason : undefined
  }
  return error instanceof PluginError ? error : undefined
}
