import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { checkedLevel } from '@pbmkit/core/plugin/kit'
import { compressGzip, decompressGzip } from './gzip.js'

/** PBM: storage-format.md §5. -2 Huffman only, -1 default (6), 0 stored, 1 fastest … 9 smallest. */
const levels = { min: -2, max: 9, default: -1 }

const gzip: CompressionPlugin = {
  kind: 'compression',
  name: 'gzip',
  apiVersion: 1,
  suffix: '.gz',
  levels,
  compress: (source, options = {}) => compressGzip(source, checkedLevel('gzip', levels, options.level)),
  decompress: decompressGzip,
}

export default gzip
