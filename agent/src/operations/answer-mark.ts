import { type BackupCommand, errorText, findBackupByOpid, hasMark, requireStorage, until } from '@pbmkit/core'
import { openStorage } from '../storages.js'
import type { OperationContext } from './context.js'

/** How long a record may take to appear. */
const APPEAR_MS = 15_000
const POLL_MS = 250

/**
 * Looks for what the backup's leader has written to the storage as soon as its record says that it has, and tells whether it
 * is there. Nothing where that leader is an agent of PBM. Never rejects: who can't look says that.
 */
export async function answerMark(
  context: OperationContext,
  { name, profile }: BackupCommand,
  /** What this agent is about to tell of the main storage: it is to be known when this is told. */
  looking: Promise<unknown> | undefined,
): Promise<void> {
  const { leader, opid, clock, signal, log } = context
  const begun = clock.now()
  const isBegun = async () => {
    const record = await findBackupByOpid(leader, opid)
    if (record?.marked === true) return record.status === 'starting' ? 'marked' : 'over'
    if (record === undefined) return clock.now() - begun > APPEAR_MS ? 'over' : undefined
    return record.status === 'starting' ? undefined : 'over'
  }
  const hasBegun = async () => {
    const status = (await findBackupByOpid(leader, opid))?.status
    return status === 'starting' ? undefined : (status ?? 'error')
  }
  try {
    if ((await until(isBegun, { clock, signal, everyMs: POLL_MS })) !== 'marked') return
    const store = await openStorage(context, await requireStorage(leader, profile), { retryMs: 0 })
    try {
      const seen = await hasMark(store, { backup: name, opid }, { signal })
      await looking
      await context.answerWithMark({ opid, seen })
      // Who looks late finds nothing, for the mark is deleted by then: what stays told is only what ended the backup.
      if (!seen && (await until(hasBegun, { clock, signal, everyMs: POLL_MS })) !== 'error')
        await context.answerWithMark({ opid })
    } finally {
      await store.close()
    }
  } catch (error) {
    log.debug(`not known whether the storage is the same as that of others: ${errorText(error)}`)
    if (!signal.aborted) await context.answerWithMark({ opid }).catch(() => undefined)
  }
}
