import type { MongoClient, Timestamp } from 'mongodb'
import { ARCHIVE_VERSION } from '../../archive/format.js'
import { writeWholeDefinition } from '../../archive/metadata.js'
import { Tally } from '../../archive/tally.js'
import { type ArchiveSource, writeArchive } from '../../archive/writer.js'
import type { BackupOplogObject, StoredObject } from '../../control/backup-document.js'
import { CONTROL_DATABASE } from '../../mongo/control-names.js'
import { readOplog } from '../../oplog/reading/slice.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { archiveDumpName, archiveOplogName } from '../../store/layout/names.js'
import { untilAborted } from '../../time/until-aborted.js'
import { TOOL_VERSION } from '../../version.js'
import { readNamespace } from './dump.js'
import type { DumpNamespace } from './namespaces.js'

export interface ArchiveDumpOptions {
  readonly node: MongoClient
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly level?: number | undefined
  readonly backup: string
  readonly replset: string
  readonly serverVersion: string
  /** Where the oplog begins. */
  readonly start: Timestamp
  readonly signal: AbortSignal
  readonly onProgress: (documents: number, bytes: number) => void
}

/** An archive that is being stored: one stream of the collections and then the oplog. */
export interface ArchiveDump {
  /** Resolves when all collections are read. */
  readonly collections: Promise<void>
  /** Resolves when nothing of it is being stored any more, however it ended. */
  readonly ended: Promise<void>
  /** Ends it with the oplog up to `end`, inclusive. */
  finish(end: Timestamp): Promise<ArchiveDumpResult>
}

export interface ArchiveDumpResult {
  readonly dump: StoredObject
  /** Of the archive before it was compressed. */
  readonly dumpBytes: number
  readonly oplog: BackupOplogObject[]
  /** Uncompressed, of the oplog object. */
  readonly oplogBytes: number
}

/** What mongorestore wants to see before the first regular collection. */
const FIRST = ['system.version', 'system.users', 'system.roles']

/**
 * PBM's layout before 2.0: one mongodump archive and one oplog dump for the replica set. The archive has the oplog as its
 * last namespace too, so that it is enough on its own for `mongorestore --archive --oplogReplay`.
 */
export function dumpArchive(namespaces: readonly DumpNamespace[], options: ArchiveDumpOptions): ArchiveDump {
  const { node, store, compression, backup, replset, start, signal, onProgress } = options
  const level = options.level === undefined ? {} : { level: options.level }
  const collections = Promise.withResolvers<void>()
  const until = Promise.withResolvers<Timestamp>()
  const sources = [...namespaces]
    .sort((a, b) => order(a) - order(b))
    .map((namespace) => archiveSource(namespace, { node, signal, onProgress }))
  const oplog: ArchiveSource = {
    db: '',
    collection: 'oplog',
    bodyCollection: 'oplog',
    metadata: '',
    type: '',
    documents: async function* () {
      collections.resolve()
      const end = await untilAborted(until.promise, signal)
      yield* readOplog(node, { start, end }, { signal })
    },
  }
  const header = {
    concurrentCollections: 1,
    version: ARCHIVE_VERSION,
    serverVersion: options.serverVersion,
    toolVersion: TOOL_VERSION,
  }
  const archive = writeArchive(header, [...sources, oplog])
  const dumpName = archiveDumpName(backup, replset, compression.suffix)
  const packed = new Tally()
  let dumpBytes = 0
  const counted = async function* () {
    for await (const chunk of archive) {
      dumpBytes += chunk.length
      yield chunk
    }
  }
  const saving = store.save(dumpName, packed.through(compression.compress(counted(), level)), { signal })
  const finish = async (end: Timestamp) => {
    until.resolve(end)
    await saving
    const dump = { name: dumpName, size: packed.size, crc: packed.crcText() }
    const oplogName = archiveOplogName(backup, replset, compression.suffix)
    const [tally, packedOplog] = [new Tally(), new Tally()]
    const entries = tally.through(readOplog(node, { start, end }, { signal }))
    await store.save(oplogName, packedOplog.through(compression.compress(entries, level)), { signal })
    const oplog = [{ name: oplogName, crc: tally.crcText(), storedCrc: packedOplog.crcText() }]
    return { dump, dumpBytes, oplog, oplogBytes: tally.size }
  }
  const ended = saving.then(
    () => undefined,
    () => undefined,
  )
  // Before all collections are read it ends by failing only.
  return { collections: Promise.race([collections.promise, saving.then(() => undefined)]), ended, finish }
}

function order({ db, collection }: DumpNamespace): number {
  const special = FIRST.indexOf(collection)
  return db === CONTROL_DATABASE && special >= 0 ? special : FIRST.length
}

function archiveSource(namespace: DumpNamespace, read: Parameters<typeof readNamespace>[1]): ArchiveSource {
  const { db, collection, type } = namespace
  return {
    db,
    collection,
    // The copies of users and roles have another source too, but their own name.
    bodyCollection: type === 'timeseries' ? (namespace.source?.collection ?? collection) : collection,
    metadata: writeWholeDefinition(namespace),
    type,
    documents: () => withoutDropped(namespace, read),
  }
}

/** A collection that is dropped while it is read just ends: the oplog drops it in the restore too. */
async function* withoutDropped(namespace: DumpNamespace, read: Parameters<typeof readNamespace>[1]) {
  try {
    yield* readNamespace(namespace, read)
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code !== 'COLLECTION_MISSING') throw error
  }
}
