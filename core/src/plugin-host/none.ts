import type { CompressionPlugin } from '../plugin/compression.js'

/** `compression: none`: bytes pass as they are. Built in, because it needs no codec and every installation has it. */
export const none: CompressionPlugin = {
  kind: 'compression',
  name: 'none',
  apiVersion: 1,
  suffix: '',
  compress: (source) => source,
  decompress: (source) => source,
}
