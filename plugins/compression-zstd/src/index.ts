import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { checkedLevel } from '@pbmkit/core/plugin/kit'
import { compressZstd } from './compress.js'
import { decompressZstd } from './decompress.js'

/** The levels of the zstd tool, from --fast=7 to --ultra -22; folded into PBM's four classes. */
const levels = { min: -7, max: 22, default: 3 }

const zstd: CompressionPlugin = {
  kind: 'compression',
  name: 'zstd',
  apiVersion: 1,
  suffix: '.zst',
  levels,
  compress: (source, options = {}) => compressZstd(source, checkedLevel('zstd', levels, options.level)),
  decompress: decompressZstd,
}

export default zstd
