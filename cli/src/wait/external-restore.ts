import { findRestore, type OpenStore, PbmError, type RestoreDocument, readPhysicalRestore } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Session } from '../session.js'
import { notBegun, restoreFailed } from './failure.js'
import { refusal } from './refusal.js'

const INTERVAL_MS = 500
/** For the first agent to say something on the storage. */
const START_MS = 150_000

interface Awaited {
  readonly leader: MongoClient
  readonly store: OpenStore
  readonly name: string
  readonly opid: string
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined
}

/**
 * Waits until files may be copied into the members: the storage says it, for the database is gone by then. Fails with REFUSED, NO_ANSWER,
 * RESTORE_FAILED, WAIT_TIME and INTERRUPTED.
 */
export async function waitForFiles(session: Session, awaited: Awaited): Promise<RestoreDocument> {
  const { clock, signal } = session
  const { leader, store, name, opid, deadline } = awaited
  const refused = refusal(leader, opid)
  const giveUp = clock.now() + START_MS
  for (;;) {
    if (signal.aborted) throw new PbmError('INTERRUPTED', `stopped waiting; restore ${name} goes on`)
    const found = await readPhysicalRestore(store, name, { signal })
    if (found?.status === 'error') throw restoreFailed(found)
    if (found !== undefined && ['copyReady', 'copyDone', 'done', 'partlyDone'].includes(found.status)) return found
    if (found === undefined) {
      // The database may have gone between two looks.
      const record = await findRestore(leader, name).catch(() => undefined)
      if (record?.status === 'error') throw restoreFailed(record)
      const reason = await refused().catch(() => undefined)
      if (reason !== undefined) throw notBegun('REFUSED', `restore ${name}`, reason)
      if (clock.now() > giveUp)
        throw new PbmError('NO_ANSWER', `no agent took up restore ${name} within ${START_MS / 1000} s`, {
          hint: 'See pbm status for the agents, and pbm logs -s D for what they say.',
        })
    }
    if (deadline !== undefined && clock.now() >= deadline)
      throw new PbmError('WAIT_TIME', `the wait time is over, and restore ${name} still runs`, {
        hint: `It goes on. Watch it: pbm describe-restore ${name} -c FILE.`,
      })
    await clock.sleep(INTERVAL_MS, signal).catch(() => undefined)
  }
}
