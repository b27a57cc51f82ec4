import { fileObject, type ListedFile, storedPlainSize } from '../../store/layout/file-list.js'
import type { FetchOptions } from './listed-files.js'
import { unfit } from './unfit-files.js'

/** A backup of a chain, or the only one, with its list of files. */
export interface Layer {
  readonly from: FetchOptions
  readonly files: readonly ListedFile[]
}

/** What is stored of a file, and in which backup. */
export interface Piece {
  readonly from: FetchOptions
  readonly file: ListedFile
}

/** A file as it is to be, and the pieces that are written one after the other for it. */
export interface PlannedFile extends Pick<ListedFile, 'filename' | 'fileSize' | 'mode'> {
  readonly pieces: readonly Piece[]
}

/** The object that a piece is stored in. */
export function objectOf({ from, file }: Piece): string {
  return fileObject(from.backup.name, from.part.name, file, from.compression.suffix)
}

/** Bytes on the disk. */
export function totalSize(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { fileSize }) => sum + fileSize, 0)
}

/** Bytes that are fetched, before they were compressed. */
export function fetchedSize(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { pieces }) => pieces.reduce((own, { file }) => own + storedPlainSize(file), sum), 0)
}

interface Range {
  readonly start: number
  readonly end: number
}

/**
 * The files of the last of the layers, which are in their order: the base first. Throws FILE_LIST_INVALID where the pieces of a file
 * leave something of it open. Pure.
 */
export function plannedFiles(layers: readonly Layer[]): PlannedFile[] {
  const pieces = new Map<string, Building>()
  for (const { filename, fileSize, mode } of layers.at(-1)?.files ?? [])
    pieces.set(filename, { filename, fileSize, mode, pieces: [], covered: [] })
  for (const { from, files } of layers) {
    for (const file of files) {
      const building = pieces.get(file.filename)
      if (building !== undefined) add(building, { from, file })
    }
  }
  return [...pieces.values()].map(({ covered, ...planned }) => {
    const open = firstOpen(covered, planned.fileSize)
    if (open === undefined) return planned
    throw unfit(`no backup of the chain has what ${JSON.stringify(planned.filename)} has at ${open}`)
  })
}

/** Apart from each other, of one file: upon a base there is one. Each piece is compared with all of them. */
const MOST_STRETCHES = 1_000

interface Building extends Omit<PlannedFile, 'pieces'> {
  pieces: Piece[]
  /** In order, apart from each other. */
  covered: Range[]
}

function add(building: Building, piece: Piece): void {
  const { offset, length, fileSize } = piece.file
  // What was beyond the end once is not there any more, though the file may be as long again.
  const kept = building.covered
    .filter(({ start }) => start < fileSize)
    .map(({ start, end }) => ({ start, end: Math.min(end, fileSize) }))
  building.covered = kept
  if (length < 0) return
  if (length === 0) {
    // All of it is new.
    building.pieces = [piece]
    building.covered = [{ start: 0, end: fileSize }]
    return
  }
  building.pieces.push(piece)
  building.covered = joined(kept, { start: offset, end: Math.min(offset + length, fileSize) })
  if (building.covered.length > MOST_STRETCHES)
    throw unfit(`what is stored of ${JSON.stringify(building.filename)} is in more than ${MOST_STRETCHES} places`)
}

function joined(ranges: readonly Range[], range: Range): Range[] {
  const before = ranges.filter(({ end }) => end < range.start)
  const after = ranges.filter(({ start }) => start > range.end)
  const touching = ranges.filter(({ start, end }) => end >= range.start && start <= range.end)
  const start = Math.min(range.start, ...touching.map((one) => one.start))
  return [...before, { start, end: Math.max(range.end, ...touching.map((one) => one.end)) }, ...after]
}

function firstOpen(covered: readonly Range[], size: number): number | undefined {
  if (size === 0) return undefined
  const [first] = covered
  if (first === undefined || first.start > 0) return 0
  return first.end < size ? first.end : undefined
}
