import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pLimit from 'p-limit'
import { PbmError } from '../../errors.js'
import { CURSOR_FILE } from '../../mongo/fsync-lock.js'
import { WORK_FOLDER } from '../../recovery/forgotten-lock.js'
import { bringUpToDate, tryClone } from './copy-file.js'
import { type DataFile, isSameStamp, listDataFiles, totalSize } from './data-files.js'
import type { FileLayout } from './layout.js'

/** Files under way at once. */
const WIDTH = 4
/** A file whose last change is younger than this when it is copied may change again without that being seen. */
const SETTLED_NS = 2_000_000_000n
/** Of what blocks that the server changes meanwhile take, where the file system shares all others. */
const CHANGING_PART = 0.1
/** More than the copy itself: the server has to go on, too. */
const COPY_PART = 1.05

/** A file as the lock found it. */
export interface TakenFile extends DataFile {
  /** Its last change is old enough that any later one gives it another stamp. */
  readonly isSettled: boolean
}

/** A copy of the data files beside them. To be removed, however it ends. */
export class FileClone {
  readonly folder: string
  readonly #dbPath: string
  readonly #layout: FileLayout
  readonly #signal: AbortSignal
  readonly #isStored: (file: DataFile) => boolean
  /** The file system that shares blocks; undefined where it does not. */
  #sharing: bigint | undefined
  /** What was copied before the lock. */
  readonly #copied = new Map<string, DataFile>()

  /** @param isStored whether nothing of a file is needed: it is left out of the copy */
  constructor(
    dbPath: string,
    layout: FileLayout,
    signal: AbortSignal,
    isStored: (file: DataFile) => boolean = () => false,
  ) {
    this.#dbPath = dbPath
    this.#layout = layout
    this.#signal = signal
    this.#isStored = isStored
    this.folder = join(dbPath, WORK_FOLDER, 'copy')
  }

  /** Whether all is shared, so that the copy takes milliseconds whatever the size. */
  get isInstant(): boolean {
    return this.#sharing !== undefined
  }

  /**
   * Before the lock: looks for the space, and copies what can't be shared, so that under the lock only what has changed is
   * left. Throws NO_SPACE.
   */
  async prepare(): Promise<void> {
    await this.remove()
    await mkdir(this.folder, { recursive: true })
    const all = await listDataFiles(this.#dbPath, this.#layout)
    this.#sharing = await this.#canShare(all)
    const files = all.filter((file) => !this.#isStored(file))
    const others = files.filter((file) => !this.#isShared(file))
    await this.#requireSpace(totalSize(files), totalSize(others))
    const begun = BigInt(Date.now()) * 1_000_000n
    await this.#each(others, async (file) => {
      if (!(await this.#copy(file.path))) return
      if (file.stamp.modifiedNs + SETTLED_NS < begun) this.#copied.set(file.path, file)
    })
  }

  /**
   * Under the lock: gives the files of the copy with their sizes there, and those that are left out. Rejects with the signal's
   * reason, and where a file vanishes.
   */
  async take(signal: AbortSignal): Promise<TakenFile[]> {
    const settled = BigInt(Date.now()) * 1_000_000n - SETTLED_NS
    const files = await listDataFiles(this.#dbPath, this.#layout)
    if (!files.some(({ path }) => path === CURSOR_FILE)) throw changed(CURSOR_FILE)
    const taken: TakenFile[] = new Array(files.length)
    await this.#each([...files.entries()], async ([index, file]) => {
      signal.throwIfAborted()
      const isSettled = file.stamp.modifiedNs < settled
      taken[index] = { ...file, isSettled }
      if (this.#isStored(file)) return
      const known = this.#copied.get(file.path)
      const isThere = known !== undefined && isSameStamp(known.stamp, file.stamp)
      if (!isThere && !(await this.#copy(file.path, this.#isShared(file), signal))) throw changed(file.path)
      // A server may have made it longer since the look at it.
      const { size } = await stat(join(this.folder, file.path))
      taken[index] = { ...file, size, isSettled: isSettled && size === file.size }
    })
    return taken
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }

  async #each<T>(files: readonly T[], work: (file: T) => Promise<void>): Promise<void> {
    const limit = pLimit(WIDTH)
    const results = await Promise.allSettled(files.map((file) => limit(() => work(file))))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  /** False where it is not there any more. */
  async #copy(path: string, isShared = false, signal = this.#signal): Promise<boolean> {
    const [source, target] = [join(this.#dbPath, path), join(this.folder, path)]
    try {
      await mkdir(dirname(target), { recursive: true })
      if (isShared && (await tryClone(source, target))) return true
      await bringUpToDate(source, target, signal)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return false
    }
  }

  #isShared({ device }: DataFile): boolean {
    return device === this.#sharing
  }

  /** Found out by trying: neither the name nor the version of a file system tells. */
  async #canShare(files: readonly DataFile[]): Promise<bigint | undefined> {
    const [probe, copy] = [join(this.folder, 'probe'), join(this.folder, 'probe.copy')]
    await writeFile(probe, 'shared?')
    const isShared = await tryClone(probe, copy)
    await Promise.all([probe, copy].map((path) => rm(path, { force: true })))
    return isShared ? files.find(({ path }) => path === 'storage.bson')?.device : undefined
  }

  async #requireSpace(all: number, copied: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder)
    const needed = Math.ceil(copied * COPY_PART + (all - copied) * CHANGING_PART)
    if (bavail * bsize >= needed) return
    throw new PbmError('NO_SPACE', `${this.folder} needs ${needed} bytes for a copy, and has ${bavail * bsize}`, {
      hint: 'Make room there, or use a file system that can share blocks: XFS or btrfs',
    })
  }
}

function changed(path: string): PbmError {
  return new PbmError('FILES_CHANGED', `${path} is not in the dbPath any more, though its files are locked`, {
    hint: 'Make the backup again; does anything else change the files?',
  })
}
