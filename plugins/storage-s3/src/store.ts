import type { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
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
import type { Connection } from './client.js'
import { COPY_LIMITS, type CopyLimits, copyObject } from './copy.js'
import { Digests } from './digests.js'
import { codeOf, isMissing, NotS3, type Scene, tellsTooLittle, translated } from './errors.js'
import { listObjects } from './list.js'
import { endpointOf, maxObjectBytes, type S3Options } from './options.js'
import { partPlan } from './part-size.js'
import type { Place } from './place.js'
import { lookUp, openRead, requireBytes } from './read.js'
import { saveObject } from './save.js'
import { deniesInPassing, isAws, segmentLimit, writesConditionally } from './server.js'
import { encryptionParameters } from './sse.js'

/** Objects of a bucket. */
export class S3Store implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly #options: S3Options
  readonly #connection: Connection
  readonly #operations: Operations
  readonly #place: Place
  readonly #keys: Keys
  readonly #endpoint: string
  readonly #shown: string
  readonly #copyLimits: CopyLimits

  constructor(
    options: S3Options,
    context: PluginContext,
    connection: Connection,
    shown: string,
    copyLimits: CopyLimits = COPY_LIMITS,
  ) {
    this.#options = options
    this.#connection = connection
    this.#operations = new Operations(context.signal)
    this.#endpoint = endpointOf(options, context.node) ?? 'AWS S3'
    this.#shown = shown
    this.#copyLimits = copyLimits
    const server = connection.server()
    const maxSegmentBytes = segmentLimit(server)
    this.#keys = keysBelow(options.prefix, 'storage.s3.prefix', maxSegmentBytes)
    this.#place = {
      client: connection.client,
      bucket: options.bucket,
      encryption: encryptionParameters(options.serverSideEncryption),
      storageClass: options.storageClass,
      digests: new Digests(),
      translate: (error) => translated(error, this.#scene('using', '')),
      mayPass: (error) => this.#place.translate(error).retriable || deniesInPassing(server, codeOf(error)),
      warn: (message) => context.warn(message),
    }
    this.capabilities = {
      ifAbsent: options.conditionalWrites ?? (isAws(endpointOf(options, context.node)) || writesConditionally(server)),
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      ...(maxSegmentBytes === undefined ? {} : { maxSegmentBytes }),
    }
  }

  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'writing', async (key, operation) => {
      if (options.ifAbsent === true) await this.#requireAbsent(name, key, operation)
      const plan = partPlan(this.#options, options.sizeHint)
      return { name, ...(await saveObject(this.#place, key, body, plan, options, operation)) }
    })
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    // Lives as long as the iteration.
    const started = this.#operations.start(options.signal)
    try {
      const opened = await this.#run(name, {}, 'reading', async (key, call) => {
        started.operation.check()
        const link = () => started.operation.stop(closedBy(call))
        call.signal.addEventListener('abort', link, { once: true })
        try {
          return await started.operation.orEnd(
            openRead(this.#place, key, name, options, started.operation, started.end),
          )
        } finally {
          call.signal.removeEventListener('abort', link)
        }
      })
      return opened
    } catch (error) {
      started.end()
      throw error
    }
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run(name, options, 'looking at', async (key, operation) => {
      const { size, modifiedAt } = await lookUp(this.#place, key, operation)
      requireBytes(name, size)
      return { name, size, modifiedAt }
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
      // S3 deletes what is not there without a word.
      await lookUp(this.#place, key, operation)
      const { client, bucket } = this.#place
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: operation.signal })
    })
  }

  async copy(source: string, to: string, options: TransferOptions = {}): Promise<ObjectInfo> {
    this.#operations.requireOpen()
    const target = this.#keys.keyOf(to)
    return this.#run(source, options, 'copying', async (key, operation) => {
      const { size, modifiedAt } = await copyObject(this.#place, key, target, this.#copyLimits, options, operation)
      return { name: to, size, modifiedAt }
    })
  }

  async close(): Promise<void> {
    await this.#operations.close()
    this.#connection.destroy()
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
        throw error instanceof BodyFailure ? error.error : await this.#explained(error, doing, name, operation)
      } finally {
        end()
      }
    }
    return this.#operations.track(running())
  }

  /** An error of a storage. Where S3 gives a status alone, a request whose errors have a text tells what is behind it. */
  async #explained(error: unknown, doing: string, name: string, operation: Operation): Promise<unknown> {
    const scene = this.#scene(doing, name)
    if (operation.signal.aborted || !tellsTooLittle(error)) return ended(operation, error) ?? translated(error, scene)
    try {
      await probe(this.#place, operation.signal)
      if (!isMissing(error)) await this.#probeObject(this.#keys.keyOf(name), operation.signal)
    } catch (cause) {
      const better = translated(cause, scene)
      if (!isMissing(error) || better.code !== 'STORAGE_DENIED') return ended(operation, cause) ?? better
    }
    return translated(error, scene)
  }

  /** What is wrong with one object, a customer key that is not its own for example. */
  async #probeObject(Key: string, abortSignal: AbortSignal): Promise<void> {
    const { client, bucket, encryption } = this.#place
    const input = { Bucket: bucket, Key, Range: 'bytes=0-0', ...encryption.read }
    const { Body } = await client.send(new GetObjectCommand(input), { abortSignal })
    ;(Body as Readable | undefined)?.destroy()
  }

  async #requireAbsent(name: string, key: string, operation: Operation): Promise<void> {
    const shown = `${this.#shown}/${name}`
    if (!this.capabilities.ifAbsent) {
      const text = `${shown}: it is not known whether ${this.#endpoint} keeps "only if absent"; storage.s3.conditionalWrites: true says so`
      throw new PluginError('STORAGE_NOT_SUPPORTED', text)
    }
    // Not for safety, which is in the writing: only so that a body is not drained in vain.
    const found = await lookUp(this.#place, key, operation).catch((error: unknown) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (found !== undefined)
      throw new PluginError('STORAGE_EXISTS', `${shown}: there is an object of this name already`)
  }

  #scene(doing: string, name: string): Scene {
    const { bucket } = this.#options
    const customerKey = this.#place.encryption.read.SSECustomerKey !== undefined
    return {
      doing: `${doing} ${this.#shown}${name === '' ? '' : `/${name}`}`,
      bucket,
      endpoint: this.#endpoint,
      customerKey,
    }
  }
}

/** Asks for one object of the bucket: the cheapest request whose errors tell what is wrong. */
export async function probe(place: Pick<Place, 'client' | 'bucket'>, abortSignal: AbortSignal): Promise<void> {
  const asked = new ListObjectsV2Command({ Bucket: place.bucket, MaxKeys: 1 })
  const { $metadata: _, ...listed } = await place.client.send(asked, { abortSignal })
  if (Object.values(listed).every((value) => value === undefined)) throw new NotS3('the answer is no list')
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

function closedBy(operation: Operation): unknown {
  return operation.signal.reason
}
