import type { LockHeader } from '../control/locks.js'

/** How PBM's agents begin the sentence, too (PBM: control-plane.md §3). */
const BUSY = 'another operation is running'

/**
 * Why an operation does not begin while `lock` is held. Who waits for it knows it by {@link saysBusy} in the record or the
 * log: there is no other place where an agent could put a code that PBM's own programs keep.
 */
export function busyText(lock: LockHeader | undefined): string {
  if (lock === undefined) return `${BUSY}: an unknown one`
  const { type, replset, node, opid } = lock
  return `${BUSY}: ${type} on ${replset}/${node}${opid === undefined ? '' : ` (operation ${opid})`}`
}

/** Whether an agent's reason means that it may be tried again when another operation has ended. */
export function saysBusy(reason: string): boolean {
  return reason.includes(`${BUSY}:`)
}
