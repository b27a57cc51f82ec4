import { Tally } from '../../archive/tally.js'
import { layoutOf } from '../../backup/physical/layout.js'
import { sourceName } from '../../catalog/chain.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { decodeFileList, type ListedFile, readEntry } from '../../store/layout/file-list.js'
import { filelistName } from '../../store/layout/names.js'
import { hasFilelistFile } from '../../store/layout/pbm-version.js'
import { damaged, objectError } from '../data/stored-objects.js'
import { refuseUnfitFiles, refuseUnfitIncrement } from './unfit-files.js'

/** Bytes of a list of files: a hundred thousand collections have less. */
const LONGEST_LIST = 512 * 1024 * 1024

export interface FetchOptions {
  readonly store: ObjectStore
  readonly backup: BackupDocument
  readonly part: BackupReplset
  readonly compression: CompressionPlugin
  readonly signal: AbortSignal
}

/** Throws BACKUP_DAMAGED, BACKUP_OBJECT_MISSING and FILE_LIST_INVALID. */
export async function readFileList(options: FetchOptions): Promise<ListedFile[]> {
  const { backup, part } = options
  const files = await readAnyFileList(options)
  const refuse = sourceName(backup) === undefined ? refuseUnfitFiles : refuseUnfitIncrement
  refuse(files, layoutOf(part.mongod_opts))
  return files
}

async function readAnyFileList(options: FetchOptions): Promise<ListedFile[]> {
  const { backup, part } = options
  const files = hasFilelistFile(backup.pbm_version) ? await readStoredList(options) : (part.files ?? []).map(readEntry)
  if (files.length === 0) throw damaged(`The list of files of ${part.name} names none`)
  return files
}

async function readStoredList({ store, backup, part, signal }: FetchOptions): Promise<ListedFile[]> {
  const object = filelistName(backup.name, part.name)
  return await readStoredFileList(store, object, {
    signal,
    crc: part.objects?.find(({ name }) => name === object)?.crc,
  })
}

/** An object that is a list of files. Throws as {@link readFileList}. */
export async function readStoredFileList(
  store: ObjectStore,
  object: string,
  { signal, crc }: { readonly signal: AbortSignal; readonly crc?: string | undefined },
): Promise<ListedFile[]> {
  const tally = new Tally()
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of tally.through(await store.read(object, { signal }))) {
      if (tally.size > LONGEST_LIST) throw damaged(`${object} is too large for a list of files`)
      chunks.push(chunk)
    }
    if (crc !== undefined && crc !== tally.crcText()) throw damaged(`${object} is altered: its checksum is wrong`)
    const files: ListedFile[] = []
    for await (const file of decodeFileList(bodiesOf(chunks))) files.push(file)
    return files
  } catch (error) {
    throw objectError(error, object)
  }
}

async function* bodiesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}
