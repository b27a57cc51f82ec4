import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { checkedLevel } from '@pbmkit/core/plugin/kit'
import { compressLz4 } from './compress.js'
import { decompressLz4 } from './decompress.js'

/** PBM: cli-and-config.md §3.3. 0 fast; 1 to 16 search deeper. */
const levels = { min: 0, max: 16, default: 0 }

const lz4: CompressionPlugin = {
  kind: 'compression',
  name: 'lz4',
  apiVersion: 1,
  suffix: '.lz4',
  levels,
  compress: (source, options = {}) => compressLz4(source, checkedLevel('lz4', levels, options.level)),
  decompress: decompressLz4,
}

export default lz4
