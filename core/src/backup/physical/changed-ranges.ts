import { BLOCK_BYTES, blockCount, HASH_BYTES } from './block-hash.js'
import type { BlockIndex } from './block-index.js'
import { hashedBlocks } from './read-range.js'

/** A part of a file, in bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/** What lies between two changed ranges is stored with them where an object of its own costs more: so many blocks. */
const GAP_BLOCKS = 4
/** Of one file. Where there are more, what lies between is stored, too. */
const MOST_RANGES = 4096

/** Numbers of blocks that follow each other. */
interface Run {
  start: number
  end: number
}

/** Changed blocks of one file as the ranges that are stored of it. Takes them in order; the memory is bounded. */
export class ChangedRanges {
  readonly #size: number
  #runs: Run[] = []
  #gap = GAP_BLOCKS

  /** @param size bytes of the file */
  constructor(size: number) {
    this.#size = size
  }

  add(block: number): void {
    const last = this.#runs.at(-1)
    if (last !== undefined && block - last.end <= this.#gap) last.end = block + 1
    else this.#runs.push({ start: block, end: block + 1 })
    while (this.#runs.length > MOST_RANGES) this.#coarser()
  }

  get ranges(): Range[] {
    return this.#runs.map(({ start, end }) => {
      const offset = start * BLOCK_BYTES
      return { offset, length: Math.min(end * BLOCK_BYTES, this.#size) - offset }
    })
  }

  #coarser(): void {
    this.#gap *= 2
    const runs: Run[] = []
    for (const run of this.#runs) {
      const last = runs.at(-1)
      if (last !== undefined && run.start - last.end <= this.#gap) last.end = run.end
      else runs.push(run)
    }
    this.#runs = runs
  }
}

export interface Scanned {
  /** Of the file as it is now. */
  readonly file: string
  /** In both indexes. */
  readonly path: string
  readonly size: number
  readonly before: BlockIndex
  readonly now: BlockIndex
  readonly signal: AbortSignal
  readonly onBytes?: (bytes: number) => void
}

/** Reads a file, writes the hashes of its blocks into `now`, and gives what has changed since `before`. */
export async function changedRanges({ file, path, size, before, now, signal, onBytes }: Scanned): Promise<Range[]> {
  const changed = new ChangedRanges(size)
  const known = before.find(path)
  for await (const { block, hashes, bytes } of hashedBlocks(file, size, signal)) {
    await now.write(path, block, hashes)
    const old = await before.read(path, block, hashes.length / HASH_BYTES)
    for (let at = 0; at < hashes.length; at += HASH_BYTES) {
      const isSame = at < old.length && hashes.compare(old, at, at + HASH_BYTES, at, at + HASH_BYTES) === 0
      if (!isSame) changed.add(block + at / HASH_BYTES)
    }
    onBytes?.(bytes)
  }
  const { ranges } = changed
  // Whoever restores cuts a file to its size when he has written a part of it.
  if (ranges.length === 0 && known?.size !== size) changed.add(blockCount(size) - 1)
  return changed.ranges
}
