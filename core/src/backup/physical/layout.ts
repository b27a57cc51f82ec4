import type { Document } from 'mongodb'

/** How a server lays out its files: one that has none of both has no folders of databases. */
export interface FileLayout {
  readonly directoryPerDB: boolean
  readonly directoryForIndexes: boolean
}

/** @param options as the record of a backup and {@link ServerOptions} have them */
export function layoutOf(options: Readonly<Record<string, unknown>> | undefined): FileLayout {
  const storage = options?.storage as Document | undefined
  return {
    directoryPerDB: storage?.directoryPerDB === true,
    directoryForIndexes: storage?.wiredTiger?.engineConfig?.directoryForIndexes === true,
  }
}

/** At the top of a dbPath. Locks and configurations of WiredTiger are none of a backup. */
const TOP = /^(?:WiredTiger(?:\.(?:backup|turtle))?|storage\.bson|[^./][^/]*\.wt)$/
const LOG = /^journal\/WiredTiger(?:Log|Preplog|TmpLog)\.\d+$/
const DATA = /^[^./][^/]*\.wt$/
/** Of a database, as servers name it: a character that is no letter, digit or `_` of ASCII stands as numbers of its bytes. */
const DATABASE = /^(?:[A-Za-z0-9_-]|\.\d{1,3})+$/
const KINDS: ReadonlySet<string> = new Set(['collection', 'index'])

/**
 * Whether a server of that layout can have a file of that name, relative to the dbPath. A dbPath is the home of a user often
 * enough: what his shell, his logins or this agent read there must not come from a storage, and what he keeps there is nothing
 * for a backup.
 */
export function isServerPath(path: string, layout: FileLayout): boolean {
  if (TOP.test(path) || LOG.test(path)) return true
  const folders = path.split('/')
  return DATA.test(folders.pop() ?? '') && folders.length > 0 && isDataFolder(folders, layout)
}

/** Whether a server of that layout has data files in that folder, or in one of it. The top of the dbPath is none. */
export function leadsToData(path: string, layout: FileLayout): boolean {
  const folders = path.split('/')
  return isDataFolder(folders, layout) || isDataFolder([...folders, 'index'], layout)
}

function isDataFolder(folders: readonly string[], { directoryPerDB, directoryForIndexes }: FileLayout): boolean {
  const kind = directoryForIndexes ? folders.at(-1) : undefined
  if (directoryForIndexes && !KINDS.has(kind ?? '')) return false
  const [database, ...more] = directoryForIndexes ? folders.slice(0, -1) : folders
  if (more.length > 0) return false
  return directoryPerDB ? database !== undefined && DATABASE.test(database) : database === undefined
}

const JOURNAL_COMPRESSORS: readonly unknown[] = ['none', 'snappy', 'zlib', 'zstd']

/**
 * The options of a server that opens files, by a record of them, which comes from a storage: nothing else of it gets into a command
 * line.
 */
export function openingOptions(
  recorded: Readonly<Record<string, unknown>> | undefined,
): Readonly<Record<string, unknown>> {
  const { directoryPerDB, directoryForIndexes } = layoutOf(recorded)
  const storage = recorded?.storage as Record<string, Record<string, Record<string, unknown>>> | undefined
  const compressor = storage?.wiredTiger?.engineConfig?.journalCompressor
  const journalCompressor = JOURNAL_COMPRESSORS.includes(compressor) ? compressor : 'snappy'
  return { storage: { directoryPerDB, wiredTiger: { engineConfig: { directoryForIndexes, journalCompressor } } } }
}
