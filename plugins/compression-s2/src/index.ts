import { type CompressionPlugin, checkedLevel } from '@pbmkit/core/plugin'
import { readFramed, S2, writeFramed } from '@pbmkit/framing-snappy'
import { compress } from 'snappy'

/** PBM: storage-format.md §5. 1 stored, 3 better, 4 best, 0 and 2 the default. */
const levels = { min: 0, max: 4, default: 2 }
/**
 * The native Snappy encoder looks back 64 KiB only: larger blocks would cost memory and gain nothing.
 */
const BLOCK_BYTES = 64 * 1024

const s2: CompressionPlugin = {
  kind: 'compression',
  name: 's2',
  apiVersion: 1,
  suffix: '.s2',
  levels,
  compress: (source, options = {}) => {
    const level = checkedLevel('s2', levels, options.level)
    return writeFramed(
      source,
      S2,
      BLOCK_BYTES,
      level === 1 ? async () => undefined : (block) => compress(block, { copyOutputData: true }),
    )
  },
  decompress: readFramed,
}

export default s2
