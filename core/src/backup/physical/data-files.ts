import type { BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type FileLayout, isServerPath, leadsToData } from './layout.js'

/** A file of the dbPath. */
export interface DataFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** What tells whether it has changed since. */
  readonly stamp: FileStamp
  /** Of the file system that it lies on. */
  readonly device: bigint
}

export interface FileStamp {
  readonly inode: bigint
  readonly modifiedNs: bigint
  readonly size: bigint
}

/**
 * What belongs to a backup. Everything else in a dbPath is the server's for the moment (locks, metrics, spilled sorts), or not
 * the server's at all: logs, keys, and what people lay there. WiredTiger makes its own metadata anew from `WiredTiger.backup`;
 * those beside it change under the lock. The lock begins with a checkpoint, so the journal is not needed (measured:
 * docs/reference/physical-community.md).
 */
export function isDataFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === 'WiredTiger.wt') return false
  return /^(?:WiredTiger|WiredTiger\.backup|storage\.bson|[^/]+\.wt)$/.test(name)
}

/** What belongs to a backup of files that a server has ended on: its own metadata are as good as any then. */
export function isClosedFile(path: string): boolean {
  return isDataFile(path) || path === 'WiredTiger.wt' || path === 'WiredTiger.turtle'
}

/**
 * All data files below `dbPath`, through links to other places; sorted. What vanishes meanwhile is left out, and so is what a
 * server of that layout has not made: a copy of a dbPath that somebody keeps there.
 */
export async function listDataFiles(
  dbPath: string,
  layout: FileLayout,
  isWanted: (path: string) => boolean = isDataFile,
): Promise<DataFile[]> {
  const found: DataFile[] = []
  const walk = async (folder: string): Promise<void> => {
    const names = await readdir(join(dbPath, folder)).catch(ifThere<string[]>([]))
    if (folder !== '' && names.includes('WiredTiger')) return
    for (const name of names) {
      const path = folder === '' ? name : `${folder}/${name}`
      const [isFolder, isFile] = [leadsToData(path, layout), isWanted(path) && isServerPath(path, layout)]
      if (!isFolder && !isFile) continue
      const stats = await stat(join(dbPath, path), { bigint: true }).catch(ifThere<BigIntStats | undefined>(undefined))
      if (isFolder && stats?.isDirectory() === true) await walk(path)
      else if (isFile && stats?.isFile() === true) found.push(fileOf(path, stats))
    }
  }
  await walk('')
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

export function isSameStamp(one: FileStamp, other: FileStamp): boolean {
  return one.inode === other.inode && one.modifiedNs === other.modifiedNs && one.size === other.size
}

export function totalSize(files: readonly DataFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

function fileOf(path: string, stats: BigIntStats): DataFile {
  const { ino: inode, mtimeNs: modifiedNs, size, mode, dev: device } = stats
  return { path, size: Number(size), mode: Number(mode) & 0o777, stamp: { inode, modifiedNs, size }, device }
}

function ifThere<T>(otherwise: T) {
  return (error: unknown): T => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw error
  }
}
