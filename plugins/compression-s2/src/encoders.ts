import { availableParallelism } from 'node:os'
import { asBuffer } from '@pbmkit/core/plugin/kit'
import type { BlockEncoder } from '@pbmkit/framing-snappy'
import { Piscina } from 'piscina'
import { compress } from 'snappy'
import { LARGEST_BLOCK } from './encode-block.js'
import type { EncodeTask } from './encode-worker.js'

/**
 * The native Snappy encoder looks back 64 KiB only, but each block is a trip to a thread and a few objects. With larger
 * ones the encoder's own memory, which threads allot and the main thread frees, stays scattered over hundreds of MB.
 */
const SNAPPY_BLOCK_BYTES = 128 * 1024
/** How many earlier places levels 3 and 4 look at for every match. */
const DEPTH_BETTER = 4
const DEPTH_BEST = 32

export interface Encoding {
  readonly blockBytes: number
  readonly encode: BlockEncoder
}

/** How blocks are made at a level; PBM's: 1 stored, 3 better, 4 best, any other the default. */
export function encodingOf(level: number): Encoding {
  if (level === 1) return { blockBytes: LARGEST_BLOCK, encode: async () => undefined }
  if (level === 3) return { blockBytes: LARGEST_BLOCK, encode: onWorkers(DEPTH_BETTER) }
  if (level === 4) return { blockBytes: LARGEST_BLOCK, encode: onWorkers(DEPTH_BEST) }
  // copyOutputData: the native library's own memory is given back at once instead of at some later collection.
  return { blockBytes: SNAPPY_BLOCK_BYTES, encode: (block) => compress(block, { copyOutputData: true }) }
}

let threads: Piscina | undefined

function onWorkers(depth: number): BlockEncoder {
  return async (block) => {
    threads ??= new Piscina({
      filename: new URL('./encode-worker.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: Math.min(4, availableParallelism()),
      idleTimeout: 1000,
    })
    // A copy of its own: to post a view would post all of the memory behind it.
    const task: EncodeTask = { block: Uint8Array.from(block), depth }
    const encoded: Uint8Array = await threads.run(task, { transferList: [task.block.buffer as ArrayBuffer] })
    return asBuffer(encoded)
  }
}
