import { compressionInterop } from '@pbmkit/conformance'
import plugin from './index.js'

compressionInterop({
  describe,
  it,
  plugin,
  levels: [undefined, -7, 1, 4, 7, 22],
  decoders: [{ command: 'zstd', args: ['-dc'] }],
  encoders: [['--fast=3'], ['-3'], ['-19', '--long=25'], ['-3', '--no-check'], ['-T2', '--rsyncable']].map((args) => ({
    command: 'zstd',
    args: [...args, '-c'],
  })),
})
