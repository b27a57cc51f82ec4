import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { definitionOf, readNamespace } from '../../backup/logical/dump.js'
import { listNamespaces } from '../../backup/logical/namespaces.js'
import type { CallOptions } from '../../plugin/storage.js'
import { TOOL_VERSION } from '../../version.js'
import { drain, eachLargestFirst, type Snapshot } from './snapshot.js'

/**
 * What a server has, as a backup of documents would have it: for one that nobody writes to. It is of one moment, so no oplog
 * belongs to it.
 */
export async function snapshotOfServer(client: MongoClient, options: CallOptions): Promise<Snapshot> {
  const listed = await listNamespaces({ node: client, primary: client }, {}, options.signal)
  const sources = new Map(
    listed.map((one): [NamespaceMetadata, typeof one] => [{ ...definitionOf(one), crc: 0n, size: one.bytes }, one]),
  )
  const namespaces = [...sources.keys()]
  const stored = namespaces.filter((one) => sources.get(one)?.source !== undefined)
  const readNamespaces: Snapshot['readNamespaces'] = (consume, { width, select, ...call }) =>
    eachLargestFirst(stored, { width, select, ...call }, async (namespace) => {
      const source = sources.get(namespace)
      if (source === undefined) return
      const signal = call.signal ?? new AbortController().signal
      await consume(namespace, readNamespace(source, { node: client, signal, onProgress: () => undefined }))
    })
  return {
    ...{ toolVersion: TOOL_VERSION, namespaces, oplog: [], readNamespaces },
    bytesToVerify: namespaces.reduce((sum, { size }) => sum + size, 0),
    // The server has a checksum of every page.
    verifyNamespaces: ({ onBytes, ...given }) => readNamespaces((_, documents) => drain(documents, onBytes), given),
  }
}
