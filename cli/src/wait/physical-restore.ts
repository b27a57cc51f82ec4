import { connectLeader, findRestore, PbmError, type RestoreDocument } from '@pbmkit/core'
import type { Session } from '../session.js'
import { restoreFailed } from './failure.js'
import { overallProgress } from './progress.js'
import { showProgress } from './progress-bar.js'

const INTERVAL_MS = 1_000
/** How long the servers may be down, and how long a restored database may lack the record of its restore. */
const DOWN_MS = 1_800_000
const RECORD_MS = 180_000

/** What a database is like that is being replaced. */
const PASSING: ReadonlySet<string> = new Set(['UNREACHABLE', 'NO_PRIMARY', 'CONNECTION', 'NOT_INITIATED', 'STANDALONE'])

/**
 * Waits until a physical restore has ended: the database goes away meanwhile, and another one comes, which connections to the
 * one before would take for an old primary. Fails with RESTORE_FAILED, RESTORE_PARTLY_DONE, OPERATION_GONE, UNREACHABLE,
 * WAIT_TIME and INTERRUPTED.
 */
export async function waitForPhysicalRestoreEnd(
  session: Session,
  name: string,
  deadline: number | undefined,
): Promise<RestoreDocument> {
  const { clock, signal } = session
  const display = showProgress(session, 'restore', name)
  let seen = clock.now()
  let reached = clock.now()
  try {
    for (;;) {
      if (signal.aborted) throw new PbmError('INTERRUPTED', `stopped waiting; restore ${name} goes on`)
      const found = await look(session, name)
      const now = clock.now()
      if (found !== 'away') reached = now
      if (found === 'away' || found === undefined) {
        if (found === 'away') seen = now
        if (now - reached > DOWN_MS) throw away(name)
        if (now - seen > RECORD_MS) throw vanished(name)
      } else {
        seen = now
        if (found.status === 'done') return found
        if (found.status === 'error') throw restoreFailed(found, 'restore')
        if (found.status === 'partlyDone') {
          throw new PbmError(
            'RESTORE_PARTLY_DONE',
            `restore ${name} ended on some members only: ${found.error ?? ''}`,
            {
              hint: 'The others get the data from them; see rs.status() and pbm status.',
            },
          )
        }
        display.update(found.status, overallProgress(found.replsets))
      }
      if (deadline !== undefined && now >= deadline) {
        throw new PbmError('WAIT_TIME', `the wait time is over, and restore ${name} still runs`, {
          hint: `It goes on. Watch it: pbm describe-restore ${name}.`,
        })
      }
      await clock.sleep(INTERVAL_MS, signal).catch(() => undefined)
    }
  } finally {
    display.stop()
  }
}

/** `away`: no database answers. Undefined where it answers and knows no such restore. */
async function look(session: Session, name: string): Promise<RestoreDocument | undefined | 'away'> {
  try {
    const { client } = await connectLeader(await session.uri(), { appName: 'pbm' })
    return await findRestore(client, name).finally(() => client.close())
  } catch (error) {
    // What the driver throws is an outage, too: it came in the middle of a question.
    if (!(error instanceof PbmError) || PASSING.has(error.code)) return 'away'
    throw error
  }
}

function away(name: string): PbmError {
  return new PbmError(
    'UNREACHABLE',
    `no database has answered for ${DOWN_MS / 60_000} minutes during restore ${name}`,
    {
      hint: 'See the logs of the agents: which of them could not start its mongod?',
    },
  )
}

function vanished(name: string): PbmError {
  return new PbmError('OPERATION_GONE', `the database has no record of restore ${name}`, {
    hint: 'See the logs of the agents for how it ended.',
  })
}
