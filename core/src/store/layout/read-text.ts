import { PbmError } from '../../errors.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'

/** Lists of a hundred thousand namespaces are smaller; a strange object with such a name must not fill the memory. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024

/** A whole object as UTF-8. Rejects with the storage's codes, and `OBJECT_TOO_LARGE` above `maxBytes`. */
export async function readText(store: ObjectStore, name: string, options: ReadWholeOptions = {}): Promise<string> {
  return (await readBytes(store, name, options)).toString('utf8')
}

export interface ReadWholeOptions extends CallOptions {
  readonly maxBytes?: number
}

/** A whole small object. */
export async function readBytes(store: ObjectStore, name: string, options: ReadWholeOptions = {}): Promise<Buffer> {
  const { maxBytes = MAX_TEXT_BYTES, ...call } = options
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of await store.read(name, call)) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new PbmError('OBJECT_TOO_LARGE', `${name} is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
