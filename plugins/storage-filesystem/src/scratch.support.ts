import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ENOUGH = 2 * 1024 ** 3

/** New folders for tests: in memory where there is room, because thousands of fsyncs take minutes on a busy disk. */
export class Scratch {
  readonly #folders: string[] = []

  async folder(): Promise<string> {
    const path = await mkdtemp(join(await placeWithRoom(), 'pbmkit-filesystem-'))
    this.#folders.push(path)
    return path
  }

  async remove(): Promise<void> {
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true, force: true })
  }
}

async function placeWithRoom(): Promise<string> {
  try {
    const { bavail, bsize } = await statfs('/dev/shm')
    return bavail * bsize > ENOUGH ? '/dev/shm' : tmpdir()
  } catch {
    return tmpdir()
  }
}
