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
import { BodyFailure, type Operation, Operations, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import type { Channel } from './channel.js'
import { copyObject } from './copy.js'
import { translated } from './errors.js'
import { removeEmptyFolders } from './folders.js'
import { listObjects } from './list.js'
import { checkName } from './names.js'
import { maxObjectBytes, type SftpOptions, serverOf } from './options.js'
import { channelFor, lookUp, missing, type Place, pathOf, requireBytes, unless } from './place.js'
import { openRead } from './read.js'
import { exists, writeBody, writeObject } from './write.js'

/** Objects as files below a folder of a server. */
export class SftpStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #place: Place
  readonly #operations: Operations
  readonly #server: string
  readonly #maxSegmentBytes: number

  /** `channel` is that of the connection; `maxSegmentBytes` what the filesystem of the server keeps. */
  constructor(place: Place, channel: Channel, maxSegmentBytes: number, options: SftpOptions, context: PluginContext) {
    this.#place = place
    this.#operations = new Operations(context.signal)
    this.#server = serverOf(options)
    this.#maxSegmentBytes = maxSegmentBytes
    this.capabilities = {
      ifAbsent: channel.has('hardlink@openssh.com'),
      serverSideCopy: channel.has('copy-data'),
      modifiedAt: true,
      maxSegmentBytes,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      reservedSuffix: TEMPORARY_SUFFIX,
    }
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'writing', async (operation) => {
      const ifAbsent = options.ifAbsent === true
      if (ifAbsent) await this.#requireAbsent(name, operation)
      const written = await writeObject(this.#place, name, ifAbsent, operation, (channel, handle) =>
        writeBody(this.#place, channel, handle, body, options, operation),
      )
      return { name, ...written }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    this.#require(name)
    // Lives as long as the iteration.
    const { operation, end } = this.#operations.start(options.signal)
    try {
      return await this.#tracked(name, 'reading', operation, () => openRead(this.#place, name, options, operation, end))
    } catch (error) {
      end()
      throw error
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'looking at', async (operation) => {
      const channel = await channelFor(this.#place, operation)
      const { size, modifiedAt } = await operation.orEnd(lookUp(channel, this.#place.root, name))
      requireBytes(name, size)
      return { name, size, modifiedAt }
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    this.#operations.requireOpen()
    const { operation, end } = this.#operations.start(options.signal)
    try {
      operation.check()
      yield* listObjects(this.#place, options.prefix ?? '', operation)
    } catch (error) {
      operation.check()
      throw translated(error, `listing ${this.#server}:${this.#place.root}`)
    } finally {
      end()
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run(name, options, 'deleting', async (operation) => {
      const { root } = this.#place
      const channel = await channelFor(this.#place, operation)
      await operation.orEnd(lookUp(channel, root, name))
      const removing = async () => {
        await channel.remove(pathOf(root, name)).catch(async (error: unknown) => {
          throw await missing(error, channel, root, name)
        })
        await removeEmptyFolders(channel, root, name)
      }
      // Not to be cut: nobody could tell whether it took place.
      await operation.uncut((late) => unless(late, removing()))
    })
  }

  async copy(source: string, target: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    this.#require(target)
    return this.#run(source, options, 'copying', async (operation) => {
      return { name: target, ...(await copyObject(this.#place, source, target, options, operation)) }
    })
  }

  async close(): Promise<void> {
    await this.#operations.close()
    await this.#place.connection.close()
  }

  #require(name: string): void {
    this.#operations.requireOpen()
    checkName(name, this.#maxSegmentBytes)
  }

  async #run<T>(
    name: string,
    options: CallOptions,
    doing: string,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    this.#require(name)
    const { operation, end } = this.#operations.start(options.signal)
    try {
      return await this.#tracked(name, doing, operation, () => work(operation))
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
        throw translated(error, `${doing} ${this.#server}:${pathOf(this.#place.root, name)}`)
      }
    }
    return this.#operations.track(running())
  }

  async #requireAbsent(name: string, operation: Operation): Promise<void> {
    const { root } = this.#place
    if (!this.capabilities.ifAbsent) {
      const text = `${this.#server} offers no hard links (hardlink@openssh.com), without which "only if absent" can't be kept`
      throw new PluginError('STORAGE_NOT_SUPPORTED', text)
    }
    // Not for safety, which is in the writing: only so that a body is not drained in vain.
    const channel = await channelFor(this.#place, operation)
    const found = await operation.orEnd(channel.look(pathOf(root, name)).catch(() => undefined))
    if (found !== undefined) throw exists(pathOf(root, name))
  }
}
