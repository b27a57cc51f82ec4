import { type FileHandle, open, readdir, readlink, stat } from 'node:fs/promises'

/** What was made safe from a power cut. */
export interface Synced {
  /** As it was called then. */
  readonly path: string
  /** What was in it then; undefined of a file. */
  readonly names: readonly string[] | undefined
}

/** Watches what `work` has the kernel bring to the disk, in its order. Nothing is kept from being done. */
export async function syncedBy(work: () => Promise<unknown>): Promise<Synced[]> {
  const handle = await open('/proc/self/status')
  const prototype: Pick<FileHandle, 'sync'> = Object.getPrototypeOf(handle)
  await handle.close()
  const { sync } = prototype
  const found: Synced[] = []
  prototype.sync = async function (this: FileHandle) {
    const path = await readlink(`/proc/self/fd/${this.fd}`)
    const names = (await stat(path)).isDirectory() ? (await readdir(path)).sort() : undefined
    await sync.call(this)
    found.push({ path, names })
  }
  try {
    await work()
  } finally {
    prototype.sync = sync
  }
  return found
}
