import { type BackupDocument, clusterTime, findBackup, isStale, listBackups, PbmError } from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { failureReason } from '../wait/failure.js'
import { poll } from '../wait/poll.js'

const ENDED: readonly string[] = ['done', 'canceled', 'error', 'partlyDone']
/** An agent that hears of it cancels at once; one that died is noticed by its heartbeat after 30 s. */
const CANCEL_MS = 45_000

/** `pbm cancel-backup`: PBM's command carries no name, so what it will hit is looked up first, and then watched. */
export function cancelBackupCommand(run: Run): Command {
  return new Command('cancel-backup')
    .description('cancel the running backup and remove what it wrote')
    .action((_, command: Command) =>
      run(command, async (session) => {
        const leader = await session.leader()
        const { alive: backup, dead } = await unfinishedBackups(leader)
        // Also for a backup that has no record yet: its command may be on its way.
        await send(leader, { cmd: 'cancelBackup' })
        if (backup === undefined) {
          const msg = 'No backup is running. One that is just starting is canceled.'
          session.output.result({ msg }, () => msg)
          if (dead !== undefined)
            session.output.warn(
              `backup ${dead.name} is stuck at '${dead.status}' because its agent died; a live agent marks it, and pbm delete-backup removes it`,
            )
          return
        }
        await waitForCancellation(session, leader, backup.name)
        const msg = `Backup ${backup.name} is canceled; what it wrote is removed.`
        session.output.result({ msg, name: backup.name, status: 'canceled' }, () => msg)
      }),
    )
}

/** The running backup, and one whose agent died. */
async function unfinishedBackups(leader: MongoClient): Promise<{ alive?: BackupDocument; dead?: BackupDocument }> {
  const [backups, now] = await Promise.all([listBackups(leader), clusterTime(leader)])
  const unfinished = backups.filter(({ status }) => !ENDED.includes(status))
  const alive = unfinished.find(({ hb }) => !isStale(hb, now))
  const dead = unfinished.find(({ hb }) => isStale(hb, now))
  return { ...(alive === undefined ? {} : { alive }), ...(dead === undefined ? {} : { dead }) }
}

async function waitForCancellation(session: Session, leader: MongoClient, name: string): Promise<void> {
  await poll(
    async () => {
      const backup = await findBackup(leader, name)
      // Gone with everything it wrote.
      if (backup === undefined || backup.status === 'canceled') return true
      if (backup.status === 'done')
        throw new PbmError('TOO_LATE', `backup ${name} was done before the cancellation reached it`, {
          hint: `Remove it with pbm delete-backup ${name}.`,
        })
      if (backup.status === 'error')
        throw new PbmError(
          'BACKUP_FAILED',
          `backup ${name} failed while it was being canceled: ${failureReason(backup)}`,
        )
      return undefined
    },
    {
      clock: session.clock,
      signal: session.signal,
      deadline: session.clock.now() + CANCEL_MS,
      onDeadline: () =>
        new PbmError('NO_ANSWER', `backup ${name} did not end within ${CANCEL_MS / 1000} s of being canceled`, {
          hint: 'See pbm status for the agents, and pbm logs.',
        }),
      onInterrupt: () =>
        new PbmError('INTERRUPTED', `stopped watching; the cancellation of backup ${name} goes on`, {
          hint: 'See pbm status.',
        }),
    },
  )
}
