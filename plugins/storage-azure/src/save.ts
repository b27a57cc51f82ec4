import { randomBytes } from 'node:crypto'
import type { BlockBlobClient } from '@azure/storage-blob'
import { PluginError, type SaveOptions } from '@pbmkit/core/plugin'
import { type Operation, PartSource } from '@pbmkit/core/plugin/kit'
import { type BlockPlan, blockPlan, MAX_BLOCKS } from './block-size.js'

export interface Written {
  readonly size: number
  readonly modifiedAt: Date
}

/**
 * Drains `body` into a blob: by one request when it fits into a block, else by blocks that are sent while more is read
 * and seen by nobody until their list is committed. Blocks of a failed upload are removed by Azure after a week.
 */
export async function saveObject(
  blob: BlockBlobClient,
  body: AsyncIterable<Uint8Array>,
  options: SaveOptions,
  operation: Operation,
): Promise<Written> {
  const plan = blockPlan(options.sizeHint)
  const source = new PartSource(body)
  const conditions = options.ifAbsent === true ? { conditions: { ifNoneMatch: '*' } } : {}
  const first = await source.next(plan.size(0))
  const second = first.length < plan.size(0) ? undefined : await source.next(plan.size(1))
  if (second === undefined || second.length === 0) {
    const { lastModified } = await operation.uncut((abortSignal) =>
      blob.upload(first, first.length, { abortSignal, ...conditions }),
    )
    return { size: first.length, modifiedAt: lastModified ?? new Date() }
  }
  const { ids, size } = await new BlockUploader(blob, source, plan, options, operation).run(first, second)
  const { lastModified } = await operation.uncut((abortSignal) =>
    blob.commitBlockList(ids, { abortSignal, ...conditions }),
  )
  return { size, modifiedAt: lastModified ?? new Date() }
}

/** Sends the blocks of one upload, some at once, while the next is gathered. */
class BlockUploader {
  readonly #blob: BlockBlobClient
  readonly #source: PartSource
  readonly #plan: BlockPlan
  readonly #options: SaveOptions
  readonly #operation: Operation
  /** Ids of other uploads to the same name must not be taken for ours. */
  readonly #prefix = randomBytes(12)
  readonly #ids: string[] = []
  readonly #running = new Set<Promise<void>>()
  #size = 0
  #sent = 0

  constructor(blob: BlockBlobClient, source: PartSource, plan: BlockPlan, options: SaveOptions, operation: Operation) {
    this.#blob = blob
    this.#source = source
    this.#plan = plan
    this.#options = options
    this.#operation = operation
  }

  async run(first: Buffer, second: Buffer): Promise<{ ids: string[]; size: number }> {
    try {
      this.#start(first)
      for (let block = second; block.length > 0; block = await this.#source.next(this.#plan.size(this.#ids.length))) {
        while (this.#running.size >= this.#plan.width(block.length)) await Promise.race(this.#running)
        this.#operation.check()
        this.#start(block)
      }
      await Promise.all(this.#running)
      this.#operation.check()
      return { ids: this.#ids, size: this.#size }
    } catch (error) {
      this.#operation.stop(error)
      await Promise.allSettled(this.#running)
      this.#operation.check()
      throw error
    }
  }

  #start(block: Buffer): void {
    const index = this.#ids.length
    if (index >= MAX_BLOCKS) {
      const text = `the object grew beyond ${MAX_BLOCKS} blocks; lower storage.azure.maxObjSizeGB`
      throw new PluginError('STORAGE_NO_SPACE', text)
    }
    const number = Buffer.alloc(4)
    number.writeUInt32BE(index)
    // All ids of a blob have to be of one length.
    const id = Buffer.concat([this.#prefix, number]).toString('base64')
    this.#ids.push(id)
    this.#size += block.length
    const sending = this.#send(block, id)
      // A failed block ends the operation, with it the wait for the body.
      .catch((error: unknown) => this.#operation.stop(error))
      .finally(() => this.#running.delete(sending))
    this.#running.add(sending)
  }

  async #send(block: Buffer, id: string): Promise<void> {
    const { signal: abortSignal } = this.#operation
    await this.#operation.orEnd(this.#blob.stageBlock(id, block, block.length, { abortSignal }))
    this.#sent += block.length
    this.#source.release(block)
    this.#options.onProgress?.(this.#sent)
  }
}
