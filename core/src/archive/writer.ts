import { createCrc64 } from './crc64.js'
import { type ArchiveHeader, terminator, writeBlockHeader, writeHeader, writePreludeEntry } from './format.js'

/** A namespace to be written. `bodyCollection` is what its blocks say: the bucket collection of a time series. */
export interface ArchiveSource {
  readonly db: string
  readonly collection: string
  readonly bodyCollection: string
  /** The text of the definition, '' for synthetic entries such as the oplog. */
  readonly metadata: string
  readonly type: string
  documents(): AsyncIterable<Buffer>
}

/**
 * A mongodump archive as a stream: the namespaces one after the other, each closed before the next is opened, so that a
 * reader never needs more than one worker. Sources are opened in turn, and the oplog, `db: ''`, belongs last.
 */
export async function* writeArchive(
  header: ArchiveHeader,
  sources: readonly ArchiveSource[],
  onNamespace?: (source: ArchiveSource, result: { crc: bigint; bytes: number }) => void,
): AsyncGenerator<Buffer> {
  yield Buffer.concat([writeHeader(header), ...sources.map(writePreludeEntry), terminator()])
  for (const source of sources) {
    const { db, bodyCollection: collection } = source
    const crc = createCrc64()
    let bytes = 0
    yield writeBlockHeader({ db, collection, eof: false, crc: 0n })
    for await (const documents of source.documents()) {
      crc.update(documents)
      bytes += documents.length
      yield documents
    }
    const digest = crc.digest()
    yield Buffer.concat([terminator(), writeBlockHeader({ db, collection, eof: true, crc: digest }), terminator()])
    onNamespace?.(source, { crc: digest, bytes })
  }
}
