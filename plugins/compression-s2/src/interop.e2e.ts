import { compressionInterop } from '@pbmkit/conformance'
import plugin from './index.js'

compressionInterop({
  describe,
  it,
  plugin,
  levels: [undefined, 1, 2, 3, 4],
  decoders: [{ command: 's2d', args: ['-c', '-'] }],
  encoders: [
    [],
    ['-faster'],
    ['-slower'],
    ['-blocksize', '4M', '-slower'],
    ['-blocksize', '64K'],
    ['-index=false'],
    ['-pad', '64K'],
    ['-snappy'],
  ].map((args) => ({ command: 's2c', args: [...args, '-c', '-'] })),
})
