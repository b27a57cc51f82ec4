import { findRotation, PbmError, type Progress, type RotationRecord, requireConfig } from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'
import { overallProgress } from '../wait/progress.js'
import { showProgress } from '../wait/progress-bar.js'

/** `pbm key`: what protects sealed backups. */
export function keyCommand(run: Run): Command {
  const command = new Command('key').description('keys of encrypted backups: rotate')
  command
    .command('rotate')
    .description('seal what protects all backups and chunks with the newest key; no data is moved')
    .option('--dry-run', 'only tell what would be rewrapped, and whether the older keys are all at hand')
    .action((options: { dryRun?: boolean }, self: Command) =>
      run(self, (session) => rotate(session, options.dryRun === true)),
    )
  return command
}

async function rotate(session: Session, dryRun: boolean): Promise<void> {
  const leader = await session.leader()
  const { encryption } = await requireConfig(leader)
  if (encryption === undefined || encryption.type === 'none') {
    throw new PbmError('ENCRYPTION_OFF', 'backups are not encrypted: there is no key to rotate to', {
      hint: 'See docs/encryption.md; the section encryption of the configuration names a method and its keys.',
    })
  }
  await refuseIfBusy(session, leader)
  await requireLeaderAgent(leader)
  const opid = await send(leader, { cmd: 'rotateKeys', rotateKeys: { dryRun } })
  const { keyId, keys, rewrapped, current, unreadable, silent } = await waitForRotation(session, leader, opid)
  for (const member of silent)
    session.output.warn(`no live agent on ${member}: it could not be asked, and may still have the older key alone`)
  session.output.result({ key_id: keyId, dry_run: dryRun, keys, rewrapped, current, unreadable, silent }, () =>
    dryRun
      ? `Would rewrap ${rewrapped} of ${keys} key objects for key ${keyId}; ${current} are sealed with it already.`
      : [
          `${rewrapped} of ${keys} key objects were rewrapped for key ${keyId}; ${current} were sealed with it already.`,
          silent.length === 0
            ? 'Every agent has it in front: nothing on the configured storages needs the older ones any more, and they can go.'
            : 'Every agent that could be asked has it in front: before the older ones go, see to the others too.',
        ].join('\n'),
  )
}

/** Shows how far it is, as soon as the agent tells: one that is over within a second tells only its end. */
async function waitForRotation(session: Session, leader: MongoClient, opid: string): Promise<RotationRecord> {
  const replset = await session.leaderReplset()
  const display = showProgress(session, 'key rotation', opid)
  let rotation: RotationRecord | undefined
  const ended = async () => {
    rotation = await findRotation(leader, opid, replset)
    if (rotation !== undefined && !rotation.done) display.update('running', overallProgress([told(rotation)]))
    return rotation?.done === true
  }
  try {
    await waitForOperation(session, leader, { opid, title: 'key rotation', event: 'rotateKeys' }, { ended })
  } finally {
    display.stop()
  }
  if (rotation?.done === true) return rotation
  throw new PbmError('NO_ANSWER', 'the agent did not say how the key rotation ended', {
    hint: `See pbm logs -e rotateKeys -i ${opid} -t 0. Every key object opens with the old key or the new one: rotate again.`,
  })
}

function told({ keys, rewrapped, current, unreadable, startedAt, updatedAt }: RotationRecord): { progress: Progress } {
  const documents = rewrapped + current + unreadable
  return {
    progress: { phase: 'keys', bytes: 0, totalBytes: 0, documents, totalDocuments: keys, startedAt, updatedAt },
  }
}
