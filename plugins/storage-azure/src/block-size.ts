const MIB = 1024 * 1024

/** Azure's own limits. */
export const MAX_BLOCKS = 50_000
const MAX_BLOCK_BYTES = 4000 * MIB
const DEFAULT_BLOCK_BYTES = 10 * MIB

/** How much of one upload may be in memory, beside the block being gathered, as long as blocks are this small. */
const IN_FLIGHT_BYTES = 30 * MIB
const MOST_IN_FLIGHT = 4

export interface BlockPlan {
  /** Bytes of a block, counted from 0. */
  size(block: number): number
  /** How many blocks of this size are sent at once. */
  width(blockBytes: number): number
}

/**
 * The sizes of an upload's blocks: 10 MiB, or 1.1 times what the guess needs (as PBM). A body may be far longer than
 * guessed, so the second half of the blocks grows, by half every twentieth of them.
 */
export function blockPlan(sizeHint: number | undefined): BlockPlan {
  const hint = sizeHint !== undefined && sizeHint > 0 && Number.isFinite(sizeHint) ? sizeHint : 0
  const base = Math.max(DEFAULT_BLOCK_BYTES, Math.floor((hint / MAX_BLOCKS) * 1.1))
  const equal = MAX_BLOCKS / 2
  const step = MAX_BLOCKS / 20
  const size = (block: number) =>
    block < equal ? base : Math.ceil(base * 1.5 ** (1 + Math.floor((block - equal) / step)))
  return {
    size: (block) => Math.min(size(block), MAX_BLOCK_BYTES),
    width: (blockBytes) => Math.min(MOST_IN_FLIGHT, Math.max(1, Math.floor(IN_FLIGHT_BYTES / blockBytes))),
  }
}
