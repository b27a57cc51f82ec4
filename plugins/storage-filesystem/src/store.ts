import { type FileHandle, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  CallOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PluginContext,
  ReadOptions,
  SaveOptions,
  StorageCapabilities,
  TransferOptions,
} from '@pbmkit/core/plugin'
import { TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import { removeEmptyFolders } from './folders.js'
import { listObjects } from './list.js'
import { checkName, MAX_SEGMENT_BYTES } from './names.js'
import { BodyFailure, type Operation, Operations } from './operation.js'
import {
  bufferBytes,
  DEFAULT_READ_BYTES,
  DEFAULT_WRITE_BYTES,
  type FilesystemOptions,
  maxObjectBytes,
} from './options.js'
import { bytesOf, lookUp, openObject, rangeOf, requireBytes } from './read.js'
import { BlockWriter, exists, writeObject } from './write.js'

/** Objects as files below a folder. */
export class FilesystemStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #root: string
  readonly #operations: Operations
  readonly #readBytes: number
  readonly #writeBytes: number
  /** Of reads whose iteration has not ended. */
  readonly #files = new Set<FileHandle>()

  /** `root` is a real path: no part of it is a link. */
  constructor(root: string, options: FilesystemOptions, context: PluginContext) {
    this.#root = root
    this.#operations = new Operations(context.signal)
    this.#readBytes = bufferBytes(options.restoreBuffSize, DEFAULT_READ_BYTES)
    this.#writeBytes = bufferBytes(options.backupBuffSize, DEFAULT_WRITE_BYTES)
    this.capabilities = {
      ifAbsent: true,
      serverSideCopy: false,
      modifiedAt: true,
      maxSegmentBytes: MAX_SEGMENT_BYTES,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      reservedSuffix: TEMPORARY_SUFFIX,
    }
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'writing', async (operation) => {
      const ifAbsent = options.ifAbsent === true
      // Not for safety, which is in the writing: only so that a body is not drained in vain.
      if (ifAbsent && (await this.#isThere(name))) throw exists(join(this.#root, name))
      return this.#write(name, body, ifAbsent, options, operation)
    })
  }

  read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    return this.#run(name, options, 'reading', async (operation) => {
      const { file, size } = await openObject(this.#root, name)
      try {
        requireBytes(name, size)
        const range = rangeOf(name, size, options)
        operation.check()
        return this.#reading(file, join(this.#root, name), range, options)
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'looking at', async () => {
      const found = await lookUp(this.#root, name)
      requireBytes(name, found.size)
      return { name, ...found }
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const operation = this.#operations.start(options.signal)
    operation.check()
    for await (const found of listObjects(this.#root, options.prefix ?? '', operation)) {
      operation.check()
      yield found
    }
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run(name, options, 'deleting', async () => {
      await lookUp(this.#root, name)
      await unlink(join(this.#root, name))
      await removeEmptyFolders(this.#root, name)
    })
  }

  async copy(source: string, target: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    this.#operations.requireOpen()
    checkName(target)
    return this.#run(source, options, 'copying', async (operation) => {
      const { file, size } = await openObject(this.#root, source)
      this.#files.add(file)
      const whole = { first: 0, end: size }
      const body = bytesOf(file, join(this.#root, source), whole, this.#readBytes, operation, undefined)
      try {
        return await this.#write(target, body, false, options, operation)
      } finally {
        this.#files.delete(file)
        await file.close()
      }
    })
  }

  async close(): Promise<void> {
    await this.#operations.close()
    await Promise.allSettled([...this.#files].map((file) => file.close()))
  }

  async #run<T>(
    name: string,
    options: CallOptions,
    doing: string,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    this.#operations.requireOpen()
    checkName(name)
    return this.#operations.run(options.signal, join(this.#root, name), doing, work)
  }

  async #write(
    name: string,
    body: AsyncIterable<Uint8Array>,
    ifAbsent: boolean,
    options: TransferOptions,
    operation: Operation,
  ): Promise<ObjectInfo> {
    const written = await writeObject(this.#root, name, ifAbsent, async (file) => {
      const writer = new BlockWriter(file, this.#writeBytes, (bytes) => options.onProgress?.(bytes))
      try {
        await drain(body, operation, (chunk) => writer.add(chunk))
        await writer.end()
        operation.check()
      } catch (error) {
        await writer.abandon()
        throw error
      }
    })
    return { name, ...written }
  }

  #reading(
    file: FileHandle,
    path: string,
    range: { first: number; end: number },
    options: ReadOptions,
  ): AsyncGenerator<Buffer> {
    const operation = this.#operations.start(options.signal)
    // Also when the reader has stopped asking: an aborted read holds no file open.
    const stop = operation.onEnd(() => void file.close().catch(() => undefined))
    this.#files.add(file)
    return bytesOf(file, path, range, this.#readBytes, operation, options.onProgress, () => {
      stop()
      this.#files.delete(file)
    })
  }

  async #isThere(name: string): Promise<boolean> {
    return lookUp(this.#root, name).then(
      () => true,
      () => false,
    )
  }
}

/** Hands every chunk of `body` on. When the operation ends first, the body is told to stop, but not waited for. */
async function drain(
  body: AsyncIterable<Uint8Array>,
  operation: Operation,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = body[Symbol.asyncIterator]()
  const { orEnd, stop } = operation.interruptible()
  let ended = false
  const next = async () => {
    try {
      const result = await chunks.next()
      ended = result.done === true
      return result
    } catch (error) {
      ended = true
      throw new BodyFailure(error)
    }
  }
  try {
    for (;;) {
      operation.check()
      const { done, value } = await orEnd(next())
      if (done === true) return
      await take(value)
    }
  } catch (error) {
    if (!ended) void Promise.resolve(chunks.return?.()).catch(() => undefined)
    // A body that shares the signal fails when it aborts; the abort is what happened.
    operation.check()
    throw error
  } finally {
    stop()
  }
}
