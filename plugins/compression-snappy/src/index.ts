import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { readFramed, SNAPPY, writeFramed } from '@pbmkit/framing-snappy'
import { compress } from 'snappy'

/** Snappy has no levels: PBM ignores one that is set, and so does this plugin. PBM: storage-format.md §5. */
const snappy: CompressionPlugin = {
  kind: 'compression',
  name: 'snappy',
  apiVersion: 1,
  suffix: '.snappy',
  compress: (source) =>
    writeFramed(source, SNAPPY, SNAPPY.largestBlock, (block) => compress(block, { copyOutputData: true })),
  // PBM before 1.7 wrote S2 into objects named .snappy: the stream's identifier decides, not the name.
  decompress: readFramed,
}

export default snappy
