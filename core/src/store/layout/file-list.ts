import { deserialize, Int32, Long, serialize } from 'bson'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { Turns } from '../../bson/turns.js'
import { PbmError } from '../../errors.js'
import { replsetFolder } from './names.js'

/** One entry of `filelist.pbm` (PBM: physical.md §3). */
export interface ListedFile {
  /** Relative to the dbPath, with `/`. */
  readonly filename: string
  /** The part that is stored: 0 and 0 for a whole file, -1 and -1 for one that is unchanged since the backup before. */
  readonly offset: number
  readonly length: number
  /** Bytes of the file. */
  readonly fileSize: number
  /** Permission bits. */
  readonly mode: number
  readonly storedSize: number
  /** Ours; PBM ignores it: CRC-64/XZ of what is stored, before it is compressed and after; 16 hexadecimal digits. */
  readonly crc?: string
  readonly storedCrc?: string
  /** Ours; PBM ignores it: the object inside the replica set's folder where its name tells nothing, because it is sealed. */
  readonly object?: string
}

export function encodeFileList(files: readonly ListedFile[]): Buffer {
  return Buffer.concat(
    files.map(({ filename, offset, length, fileSize, mode, storedSize, crc, storedCrc, object }) =>
      serialize({
        filename,
        offset: Long.fromNumber(offset),
        length: Long.fromNumber(length),
        fileSize: Long.fromNumber(fileSize),
        stgSize: Long.fromNumber(storedSize),
        stgSizeUncompressed: Long.fromNumber(storedPlainSize({ length, fileSize })),
        fmode: new Int32(mode),
        ...(crc === undefined ? {} : { crc }),
        ...(storedCrc === undefined ? {} : { stgCrc: storedCrc }),
        ...(object === undefined ? {} : { object }),
      }),
    ),
  )
}

/** Bytes that an entry has an object for, before they are compressed. */
export function storedPlainSize({ length, fileSize }: Pick<ListedFile, 'length' | 'fileSize'>): number {
  if (length < 0) return 0
  return length > 0 ? length : fileSize
}

/** Throws FILE_LIST_INVALID for what can't be an entry: a name that leads out of the dbPath above all. */
export async function* decodeFileList(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ListedFile> {
  const turns = new Turns()
  for await (const whole of wholeDocuments(bytes)) {
    for (const document of documentsIn(whole)) {
      if (turns.areDue()) await turns.give()
      yield readEntry(decoded(document))
    }
  }
}

/** Bytes of an entry: a name and some numbers. */
const LONGEST_ENTRY = 64 * 1024

function decoded(document: Buffer): Record<string, unknown> {
  if (document.length > LONGEST_ENTRY) throw invalid(`an entry has ${document.length} bytes`)
  try {
    return deserialize(document)
  } catch (cause) {
    throw invalid('an entry is no document', cause)
  }
}

/** The elements of a list, also of those that older PBM keeps in the metadata. */
export function readEntry(entry: Record<string, unknown>): ListedFile {
  const { filename, object } = entry
  if (typeof filename !== 'string') throw invalid('an entry without a name')
  const path = filename.replace(/^\/+/, '')
  if (!isRelative(path)) throw invalid(`${JSON.stringify(filename)} leads out of the dbPath`)
  if (object !== undefined && !(typeof object === 'string' && isRelative(object)))
    throw invalid(`the object of ${path}`)
  const text = (key: string) => (typeof entry[key] === 'string' ? entry[key] : undefined)
  const [crc, storedCrc] = [text('crc'), text('stgCrc')]
  return {
    filename: path,
    offset: wholeNumber(entry, 'offset', path),
    length: wholeNumber(entry, 'length', path),
    fileSize: wholeNumber(entry, 'fileSize', path),
    mode: wholeNumber(entry, 'fmode', path) & 0o777,
    storedSize: wholeNumber(entry, 'stgSize', path),
    ...(crc === undefined ? {} : { crc }),
    ...(storedCrc === undefined ? {} : { storedCrc }),
    ...(typeof object === 'string' && { object }),
  }
}

/** The object that holds it; `suffix` is that of the compression, with its dot. */
export function fileObject(backup: string, replset: string, file: ListedFile, suffix: string): string {
  const { filename, offset, length, object } = file
  const whole = `${replsetFolder(backup, replset)}${object ?? filename}${suffix}`
  return length > 0 ? `${whole}.${offset}-${length}` : whole
}

function wholeNumber(entry: Record<string, unknown>, key: string, path: string): number {
  const value = Number(entry[key] ?? 0)
  if (!Number.isSafeInteger(value) || value < -1) throw invalid(`${key} of ${path}`)
  return value
}

function isRelative(path: string): boolean {
  return !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

function invalid(what: string, cause?: unknown): PbmError {
  return new PbmError('FILE_LIST_INVALID', `the list of files is wrong: ${what}`, {
    hint: 'The backup can not be restored as it is; restore another one.',
    cause,
  })
}
