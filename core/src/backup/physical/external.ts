import type { MongoClient, Timestamp } from 'mongodb'
import type { OperationLog } from '../../log.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { layFiles, removeLaidFiles } from '../../recovery/forgotten-lock.js'
import { encodeFileList, type ListedFile } from '../../store/layout/file-list.js'
import { filelistName } from '../../store/layout/names.js'
import type { Clock } from '../../time/clock.js'
import { rfc3339 } from '../../time/text.js'
import { untilAborted } from '../../time/until-aborted.js'
import { type DataFile, listDataFiles, totalSize } from './data-files.js'
import { layoutOf } from './layout.js'
import { newestEntry, requireMajority } from './locked-member.js'
import { whileLocked } from './watchdog.js'

export interface ExternalPartOptions {
  readonly node: MongoClient
  /** Of the mongod beside this agent, with the credentials. */
  readonly uri: string
  readonly server: ServerOptions
  /** Where the list of files goes for whoever asked for it; undefined where nobody did. */
  readonly listStore: ObjectStore | undefined
  readonly log: OperationLog
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly backup: string
  readonly replset: string
  /** Milliseconds. */
  readonly maxLockMs: number
  /** Writes down what the files are, and when the lock ends (Unix seconds); gives the text that goes beside the files. */
  describe(lastWrite: Timestamp, lockedUntil: number): Promise<string>
  /** Resolves when all replica sets are locked, and the record says that they are ready to be copied. */
  ready(): Promise<void>
  /** Resolves when somebody has said that they are copied. */
  copied(signal: AbortSignal): Promise<void>
}

/** What lies beside the files while they are copied (PBM: physical.md §2.5). */
export function externalFiles(replset: string) {
  return { metadata: `pbm.rsmeta.${replset}.json`, list: 'filelist.pbm' } as const
}

/**
 * Holds a secondary still while somebody copies its files, and gives their last write (PBM: physical.md §2.5; here by a lock
 * instead of its cursor). Rejects with LOCK_EXPIRED where that takes longer than it may. Nobody elects the member meanwhile: the
 * others have what is written for the backup itself.
 */
export async function holdFiles(options: ExternalPartOptions): Promise<Timestamp> {
  const { node, uri, server, listStore, maxLockMs, log, signal, backup, replset } = options
  const { dbPath } = server
  const names = externalFiles(replset)
  const object = filelistName(backup, replset)
  // The lock itself begins a moment later.
  const lockedUntil = Math.floor((options.clock.now() + maxLockMs) / 1000)
  let lastWrite: Timestamp | undefined
  const hold = async (held: AbortSignal) => {
    lastWrite = await newestEntry(node)
    await requireMajority({ ...options, signal: held }, lastWrite)
    const files = (await listDataFiles(dbPath, layoutOf(server.mongodOpts))).filter(({ size }) => size > 0)
    const text = await options.describe(lastWrite, lockedUntil)
    const list = encodeFileList([...files.map(entryOf), ...Object.values(names).map(listed)])
    await layFiles(dbPath, { [names.metadata]: text, [names.list]: list })
    await listStore?.save(object, bodyOf(list), { signal: held })
    await untilAborted(options.ready(), held)
    log.info(
      `${files.length} files of ${totalSize(files)} bytes in ${dbPath} are ready to be copied; ` +
        `the member is locked until the backup is finished, at the most until ${rfc3339(lockedUntil)}`,
    )
    await options.copied(held)
  }
  try {
    const lockedMs = await whileLocked({ node, uri, dbPath, maxLockMs, log, signal, isLong: true }, hold)
    log.info(`the files are copied; the member was locked for ${Math.round(lockedMs / 1000)} s`)
  } finally {
    await removeLaidFiles(dbPath).catch((error: unknown) => log.warning(String(error)))
    await listStore?.delete(object).catch((error: unknown) => log.warning(`${object} stays: ${String(error)}`))
  }
  if (lastWrite === undefined) throw new Error('unreachable')
  return lastWrite
}

function entryOf({ path, size, mode }: DataFile): ListedFile {
  return { filename: path, offset: 0, length: 0, fileSize: size, mode, storedSize: 0 }
}

/** Their sizes are known only when they are written, and nobody looks at them. */
function listed(filename: string): ListedFile {
  return { filename, offset: 0, length: 0, fileSize: 0, mode: 0o600, storedSize: 0 }
}
