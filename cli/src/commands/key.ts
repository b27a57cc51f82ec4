import { PbmError, parseRotationText, queryLog, type RotationResult, requireConfig } from '@pbmkit/core'
import { Command } from 'commander'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import type { Run } from '../program.js'
import { send } from '../send.js'
import type { Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'

/** The agent writes its log beside its work: the last line may come a moment after the lock is gone. */
const LOOKS = 40
const LOOK_MILLISECONDS = 250

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
  await refuseIfBusy(leader)
  await requireLeaderAgent(leader)
  const opid = await send(leader, { cmd: 'rotateKeys', rotateKeys: { dryRun } })
  await waitForOperation(session, leader, { opid, title: 'key rotation', event: 'rotateKeys' })
  const { keyId, keys, rewrapped, current, unreadable } = await resultOf(session, opid)
  session.output.result({ key_id: keyId, dry_run: dryRun, keys, rewrapped, current, unreadable }, () =>
    dryRun
      ? `Would rewrap ${rewrapped} of ${keys} key objects for key ${keyId}; ${current} are sealed with it already.`
      : [
          `${rewrapped} of ${keys} key objects were rewrapped for key ${keyId}; ${current} were sealed with it already.`,
          'If every agent had the new key in front when this began, nothing needs the older ones any more, and they can go;',
          'else put it there and rotate again first: until then, an agent seals with the older one.',
        ].join('\n'),
  )
}

async function resultOf(session: Session, opid: string): Promise<RotationResult> {
  const leader = await session.leader()
  for (let look = 0; look < LOOKS; look++) {
    const entries = await queryLog(leader, { opid, event: 'rotateKeys' })
    const result = entries.map(({ msg }) => parseRotationText(msg)).find((found) => found !== undefined)
    if (result !== undefined) return result
    await session.clock.sleep(LOOK_MILLISECONDS, session.signal)
  }
  throw new PbmError('NO_ANSWER', 'the agent did not say how the key rotation ended', {
    hint: `See pbm logs -e rotateKeys -i ${opid} -t 0.`,
  })
}
