import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { checkedLevel } from '@pbmkit/core/plugin/kit'
import { readFramed, S2, writeFramed } from '@pbmkit/framing-snappy'
import { encodingOf } from './encoders.js'

/** PBM: storage-format.md §5. 1 stored, 3 better, 4 best, 0 and 2 the default. */
const levels = { min: 0, max: 4, default: 2 }

const s2: CompressionPlugin = {
  kind: 'compression',
  name: 's2',
  apiVersion: 1,
  suffix: '.s2',
  levels,
  compress: (source, options = {}) => {
    const { blockBytes, encode } = encodingOf(checkedLevel('s2', levels, options.level))
    return writeFramed(source, S2, blockBytes, encode)
  },
  decompress: readFramed,
}

export default s2
