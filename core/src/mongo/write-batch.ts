import { noteBufferMade } from '../plugin-kit/young-buffers.js'

/** A batch begins with this much memory, so that a tiny collection does not cost a whole one. */
const FIRST_BYTES = 64 * 1024

/** The documents of one command, one after the other. */
export interface WriteBatch {
  memory: Buffer
  bytes: number
  documents: number
}

/**
 * Memory for the batches of one collection, used again once its command is answered. Views of what was read would do
 * without this copy, but would keep whole chunks alive for as long as the server takes: too long to be collected as
 * young, so that each 20 MB of data cost a full garbage collection, half of a restore's CPU.
 */
export class WriteBatches {
  readonly #fullBytes: number
  readonly #free: Buffer[] = []

  /** `fullBytes`: of a batch; only a single document may be larger. */
  constructor(fullBytes: number) {
    this.#fullBytes = fullBytes
  }

  begin(): WriteBatch {
    return { memory: this.#free.pop() ?? Buffer.alloc(0), bytes: 0, documents: 0 }
  }

  append(batch: WriteBatch, documents: Buffer): void {
    const needed = batch.bytes + documents.length
    if (needed > batch.memory.length) {
      const grown = Math.min(this.#fullBytes, Math.max(FIRST_BYTES, 4 * batch.memory.length))
      const memory = Buffer.allocUnsafeSlow(Math.max(grown, needed))
      noteBufferMade(memory.length)
      batch.memory.copy(memory, 0, 0, batch.bytes)
      batch.memory = memory
    }
    documents.copy(batch.memory, batch.bytes)
    batch.bytes = needed
  }

  /** Nobody looks at the batch any more. */
  end({ memory }: WriteBatch): void {
    if (memory.length <= this.#fullBytes) this.#free.push(memory)
  }
}
