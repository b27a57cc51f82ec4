import { compressionInterop } from '@pbmkit/conformance'
import plugin from './index.js'

compressionInterop({
  describe,
  it,
  plugin,
  levels: [undefined, -2, -1, 0, 1, 5, 9],
  decoders: [{ command: 'gzip', args: ['-dc'] }],
  encoders: ['-1', '-6', '-9'].map((level) => ({ command: 'gzip', args: [level, '-c'] })),
})
