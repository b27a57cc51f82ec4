import { availableParallelism } from 'node:os'
import { compress } from 'lz4-napi'
import { Piscina } from 'piscina'
import type { EncodeTask } from './encode-worker.js'

/** lz4-napi writes the uncompressed length in front of a block. */
const LENGTH_BYTES = 4

/** Compresses one block, without any length in front. */
export type BlockEncoder = (block: Buffer) => Promise<Uint8Array>

/** From level 7 on nothing is gained; in PBM's encoder neither from 8 on. */
const DEEPEST = 256

/** How many earlier places a level looks at for a match: about what reaches the ratio of PBM's encoder at that level. */
export function depthOf(level: number): number {
  return Math.min(DEEPEST, 2 << level)
}

let threads: Piscina | undefined

/** The encoder of a level: the native one for 0, else the one that searches deeper, on worker threads. */
export function encoderOf(level: number): BlockEncoder {
  if (level === 0) return async (block) => (await compress(block)).subarray(LENGTH_BYTES)
  return async (block) => {
    threads ??= new Piscina({
      filename: new URL('./encode-worker.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: Math.min(4, availableParallelism()),
      idleTimeout: 1000,
    })
    // A copy of its own: to post a view would post all of the memory behind it.
    const task: EncodeTask = { block: Uint8Array.from(block), depth: depthOf(level) }
    const encoded: Uint8Array = await threads.run(task, { transferList: [task.block.buffer as ArrayBuffer] })
    return encoded
  }
}
