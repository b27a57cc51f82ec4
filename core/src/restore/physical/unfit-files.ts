import { type FileLayout, isServerPath } from '../../backup/physical/layout.js'
import { PbmError } from '../../errors.js'
import type { ListedFile } from '../../store/layout/file-list.js'

/** No file system that holds a database has larger files; and what is written beyond one's end would be lost. */
const LARGEST_FILE = 2 ** 44

/**
 * Refuses a list that no physical backup has: names that no server of that layout has, files that would come from another backup, and
 * parts that are not the whole of a file, or come twice. Throws FILE_LIST_INVALID.
 */
export function refuseUnfitFiles(files: readonly ListedFile[], layout: FileLayout): void {
  const foreign = files.find(({ offset, length }) => offset < 0 || length < 0)
  if (foreign !== undefined) throw unfit(`${JSON.stringify(foreign.filename)} is in another backup`)
  refuseParts(files, layout, (parts) => faultOf(parts))
}

/** The same of an increment, of whose files parts or all may be in other backups. */
export function refuseUnfitIncrement(files: readonly ListedFile[], layout: FileLayout): void {
  refuseParts(files, layout, (parts) => faultOfChanged(parts))
}

function refuseParts(
  files: readonly ListedFile[],
  layout: FileLayout,
  faultOfFile: (parts: readonly ListedFile[]) => string | undefined,
): void {
  const parts = new Map<string, ListedFile[]>()
  for (const file of files) {
    const { filename, fileSize } = file
    const shown = JSON.stringify(filename)
    if (!isServerPath(filename, layout)) throw unfit(`${shown} is no file of the server that it was made of`)
    if (fileSize < 0 || fileSize > LARGEST_FILE) throw unfit(`${shown} is to have ${fileSize} bytes`)
    const others = parts.get(filename)
    if (others === undefined) parts.set(filename, [file])
    else others.push(file)
  }
  for (const [filename, found] of parts) {
    const fault = faultOfFile(found)
    if (fault !== undefined) throw unfit(`${JSON.stringify(filename)} ${fault}`)
    // A folder can't be a file as well.
    const above = foldersOf(filename).find((folder) => parts.has(folder))
    if (above !== undefined) throw unfit(`${JSON.stringify(above)} is a folder and a file`)
  }
}

function faultOfChanged(parts: readonly ListedFile[]): string | undefined {
  const [first] = parts
  if (first === undefined || parts.some(({ fileSize }) => fileSize !== first.fileSize)) return 'has several sizes'
  const isWhole = parts.some(({ length }) => length <= 0)
  if (isWhole) return parts.length > 1 ? 'is there twice' : first.length === 0 ? wholeFault(first) : undefined
  let end = 0
  for (const { offset, length } of parts.toSorted((a, b) => a.offset - b.offset)) {
    if (offset < end) return `has two parts at ${offset}`
    if (offset >= first.fileSize) return `has a part at ${offset}, and ends at ${first.fileSize}`
    end = offset + length
  }
  return undefined
}

function faultOf(parts: readonly ListedFile[]): string | undefined {
  const [first] = parts
  if (first === undefined || parts.some(({ fileSize }) => fileSize !== first.fileSize)) return 'has several sizes'
  if (parts.some(({ length }) => length === 0)) return parts.length > 1 ? 'is there twice' : wholeFault(first)
  let end = 0
  for (const { offset, length } of parts.toSorted((a, b) => a.offset - b.offset)) {
    if (offset !== end) return `has ${offset > end ? 'nothing' : 'two parts'} at ${Math.min(offset, end)}`
    end += length
  }
  return end < first.fileSize ? `ends at ${end} of ${first.fileSize}` : undefined
}

function wholeFault({ offset }: ListedFile): string | undefined {
  return offset === 0 ? undefined : `begins at ${offset}`
}

function foldersOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

export function unfit(what: string): PbmError {
  return new PbmError('FILE_LIST_INVALID', `The list of files is wrong: ${what}`, {
    hint: 'The backup can not be restored as it is; restore another one.',
  })
}
