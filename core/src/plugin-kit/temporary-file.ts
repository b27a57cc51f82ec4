import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Of files being written; PBM leaves them out of every listing, so no object of a storage made of files may end so. */
export const TEMPORARY_SUFFIX = '.tmp'

/**
 * Files being written are called `.pbmkit-<machine>-<pid>-<start>-<random>.tmp`: short, so that names of 255 bytes can be
 * written, and telling who writes them, so that what a dead process left can be removed, and only that.
 */
const PATTERN = /^\.pbmkit-([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f]{16}\.tmp$/

/** A file that was left alone this long has no writer any more (milliseconds). */
const ABANDONED_AFTER = 24 * 3600 * 1000
/** How often a writer touches its file at least, so that it does not look abandoned elsewhere (milliseconds). */
export const TOUCH_EVERY = 3600 * 1000

/** Where process ids mean the same: this boot of this machine, and this pid namespace (a container has its own). */
const MACHINE = createHash('sha256')
  .update([hostname(), read('/proc/sys/kernel/random/boot_id'), link('/proc/self/ns/pid')].join('\n'))
  .digest('hex')
  .slice(0, 12)

const STARTED = startOf(process.pid) ?? '0'

/** A new name for a file being written: {@link isAbandoned} tells what a dead process left. */
export function temporaryName(): string {
  return `.pbmkit-${MACHINE}-${process.pid}-${STARTED}-${randomBytes(8).toString('hex')}${TEMPORARY_SUFFIX}`
}

/** Whether a file is one of ours that nobody writes any more. Of a process elsewhere only its age tells. */
export function isAbandoned(fileName: string, modifiedAt: Date, now = Date.now()): boolean {
  const match = PATTERN.exec(fileName)
  if (match === null) return false
  const [, machine, pid, start] = match
  if (machine === MACHINE) return startOf(Number(pid)) !== start
  return now - modifiedAt.getTime() > ABANDONED_AFTER
}

/** When a process started, in the kernel's ticks: with it a pid is not taken for an earlier one. `undefined`: no such process. */
function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  // The second field is the program's name in brackets and may hold spaces; the 22nd is the start.
  if (stat !== '') return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
  if (read('/proc/self/stat') !== '') return undefined
  try {
    process.kill(pid, 0)
    return '0'
  } catch (error) {
    return (error as { code?: unknown }).code === 'EPERM' ? '0' : undefined
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
