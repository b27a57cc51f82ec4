import type { TransferOptions } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
import type { Place } from './place.js'
import { closeQuietly, type OpenFile, openFile } from './read.js'
import { type Written, writeBody, writeObject } from './write.js'

/** Of one request: the server does nothing else for this connection meanwhile. */
const COPY_BYTES = 16 * 1024 * 1024

/** Copies on the server where it can, else through here. */
export async function copyObject(
  place: Place,
  source: string,
  target: string,
  options: TransferOptions,
  operation: Operation,
): Promise<Written> {
  const file = await openFile(place, source, operation)
  try {
    return await writeObject(place, target, false, operation, async (channel, handle) => {
      const { size } = file.attributes
      if (channel === file.channel && channel.has('copy-data')) {
        for (let position = 0; position < size; ) {
          const length = Math.min(COPY_BYTES, size - position)
          await operation.orEnd(channel.copyData(file.handle, handle, position, length))
          position += length
          options.onProgress?.(position)
          operation.check()
        }
      } else {
        await writeBody(place, channel, handle, bytes(file, operation), options, operation)
      }
    })
  } finally {
    closeQuietly(file)
  }
}

async function* bytes({ channel, handle, attributes }: OpenFile, operation: Operation): AsyncGenerator<Uint8Array> {
  const { size } = attributes
  for (let position = 0; position < size; position += channel.readBytes) {
    yield await operation.orEnd(channel.read(handle, position, Math.min(channel.readBytes, size - position)))
  }
}
