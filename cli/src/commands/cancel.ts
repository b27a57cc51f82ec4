import { listBesideLocks, PbmError } from '@pbmkit/core'
import { Argument, Command } from 'commander'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { poll } from '../wait/poll.js'

type Kind = 'verify' | 'drill'
const KINDS: readonly Kind[] = ['verify', 'drill']

/** What it reads from a storage may have to answer first. */
const CANCEL_MS = 45_000

/** `pbm cancel`: ends a verification or a drill. */
export function cancelCommand(run: Run): Command {
  return new Command('cancel')
    .description('end the verification or the drill that runs; a backup: pbm cancel-backup')
    .addArgument(new Argument('<what>', 'verify or drill').choices(KINDS))
    .action((kind: Kind, _options: object, self: Command) => run(self, (session) => cancel(session, kind)))
}

async function cancel(session: Session, kind: Kind): Promise<void> {
  const leader = await session.leader()
  const running = async () => (await listBesideLocks(leader)).filter(({ type }) => type === kind)
  const before = await running()
  // Also for one that is just beginning.
  await send(leader, { cmd: 'cancelBeside', cancelBeside: { kind } })
  if (before.length === 0) {
    const msg = `No ${kind} is running. One that is just starting is canceled.`
    session.output.result({ msg }, () => msg)
    return
  }
  const opids = before.map(({ opid }) => opid)
  const isOver = async () => !(await running()).some(({ opid }) => opids.includes(opid))
  await poll(async () => (await isOver()) || undefined, {
    clock: session.clock,
    signal: session.signal,
    deadline: session.clock.now() + CANCEL_MS,
    onDeadline: () =>
      new PbmError('NO_ANSWER', `the ${kind} did not end within ${CANCEL_MS / 1000} s of being canceled`, {
        hint: 'See pbm status for the agents, and pbm logs.',
      }),
    onInterrupt: () => new PbmError('INTERRUPTED', `stopped watching; the ${kind} is canceled all the same`),
  })
  const msg = `The ${kind} is canceled.`
  session.output.result({ msg, opids, status: 'canceled' }, () => msg)
}
