import { compressionInterop } from '@pbmkit/conformance'
import plugin from './index.js'

compressionInterop({
  describe,
  it,
  plugin,
  decoders: [{ command: 's2d', args: ['-c', '-'] }],
  // The last writes S2, as PBM before 1.7 did into objects named .snappy.
  encoders: [['-snappy'], ['-snappy', '-slower'], []].map((args) => ({ command: 's2c', args: [...args, '-c', '-'] })),
})
