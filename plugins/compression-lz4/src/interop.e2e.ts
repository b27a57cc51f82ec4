import { compressionInterop } from '@pbmkit/conformance'
import plugin from './index.js'

compressionInterop({
  describe,
  it,
  plugin,
  levels: [undefined, 0, 1, 16],
  decoders: [{ command: 'lz4', args: ['-dc'] }],
  // Block sizes, linked blocks, checksums of blocks, none of the content, the legacy format.
  encoders: [
    ['-1'],
    ['-9'],
    ['-BD'],
    ['-B4', '-BD'],
    ['-B5', '-BX'],
    ['-BD', '-BX', '-9'],
    ['--no-frame-crc'],
    ['-l'],
  ].map((args) => ({ command: 'lz4', args: [...args, '-c'] })),
})
