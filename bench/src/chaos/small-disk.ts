import { spawnSync } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'

/** A file system of its own, which can be filled. Where nothing may be mounted, a folder that never fills. */
export class SmallDisk {
  readonly storage: string
  readonly isMounted: boolean
  readonly #folder: string

  private constructor(folder: string, isMounted: boolean) {
    this.#folder = folder
    this.isMounted = isMounted
    this.storage = join(folder, 'backups')
  }

  static async create(megabytes: number): Promise<SmallDisk> {
    const folder = await temporaryFolder('pbmkit-chaos-')
    const isMounted = mounting('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'pbmkit-chaos', folder)
    const disk = new SmallDisk(folder, isMounted)
    await mkdir(disk.storage)
    return disk
  }

  async fill(): Promise<void> {
    if (!this.isMounted) return
    const file = await open(this.#filler, 'a')
    const block = Buffer.alloc(1 << 20)
    try {
      // A write that finds less room than it needs writes less.
      while ((await file.write(block)).bytesWritten > 0);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOSPC') throw error
    } finally {
      await file.close()
    }
  }

  async free(): Promise<void> {
    await rm(this.#filler, { force: true })
  }

  unmount(): void {
    if (this.isMounted) mounting('umount', '--lazy', this.#folder)
  }

  get #filler(): string {
    return join(this.#folder, 'filler')
  }
}

/** Whether it did it. */
function mounting(command: 'mount' | 'umount', ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}
