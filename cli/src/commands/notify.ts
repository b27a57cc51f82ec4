import {
  changeNotices,
  channelsOf,
  enqueue,
  type Notice,
  type NotificationConfig,
  PbmError,
  readRunDocuments,
} from '@pbmkit/core'
import { Command } from 'commander'
import { type MongoClient, ObjectId } from 'mongodb'
import { requireLeaderAgent } from '../preflight.js'
import type { Run, Session } from '../session.js'
import { poll } from '../wait/poll.js'

/** An agent looks every 10 s, and gives a recipient 15 s. */
const PATIENCE_MS = 45_000

/** `pbm notify`: who is told what. */
export function notifyCommand(run: Run): Command {
  const command = new Command('notify').description('notifications: test')
  command
    .command('test')
    .description('have the agents send a test to all who are to be told something, or to one')
    .argument('[name]', 'of the notification')
    .action((name: string | undefined, _options: object, self: Command) => run(self, (session) => test(session, name)))
  return command
}

/** Secrets and mail are the agents': so one of them sends it, as it would send anything else. */
async function test(session: Session, name: string | undefined): Promise<void> {
  const leader = await session.leader()
  const { notifications } = await readRunDocuments(leader)
  const chosen = notifications.filter((one) => name === undefined || one.name === name)
  if (chosen.length === 0)
    throw new PbmError(
      'NOTIFICATION_UNKNOWN',
      name === undefined ? 'there are no notifications' : `there is no notification ${name}`,
      { hint: 'See pbm config notifications; they are set with pbm config --file' },
    )
  await requireLeaderAgent(leader)
  const now = session.clock.now()
  const text = 'a test: if you read this, notifications arrive'
  const notice: Notice = { id: `test/${new ObjectId().toHexString()}`, event: 'test', subject: 'test', text, at: now }
  const to = chosen.map((one) => one.name)
  await changeNotices(leader, (state) => ({
    state: enqueue(state, [{ notice, to }], notifications),
    result: undefined,
  }))
  if (!session.output.json) session.output.note('Waiting for the agent that leads the cluster …')
  const results = await arrived(session, leader, chosen, notice.id)
  const failed = results.filter(({ error }) => error !== undefined)
  if (failed.length > 0) session.exitCode = 1
  session.output.result({ results }, () =>
    results.map(({ name: one, channel, error }) => `${one}, ${channel}: ${error ?? 'sent'}`).join('\n'),
  )
}

async function arrived(
  session: Session,
  leader: MongoClient,
  chosen: readonly NotificationConfig[],
  id: string,
): Promise<{ name: string; channel: string; error?: string }[]> {
  const wanted = chosen.flatMap((one) => channelsOf(one).map((channel) => ({ name: one.name, channel })))
  const { clock, signal } = session
  const all = async () => {
    const { notices } = await readRunDocuments(leader)
    const results = wanted.flatMap(({ name, channel }) => {
      const delivery = notices.deliveries[`${name}/${channel}`]
      if (delivery?.id !== id) return []
      return [{ name, channel, ...(delivery.error !== undefined && { error: delivery.error }) }]
    })
    return results.length === wanted.length ? results : undefined
  }
  return await poll(all, {
    ...{ clock, signal, deadline: clock.now() + PATIENCE_MS },
    onDeadline: () =>
      new PbmError('NO_ANSWER', `no agent has sent the test within ${PATIENCE_MS / 1000} s`, {
        hint: 'See pbm status for the agents: one of pbmkit has to be beside the primary of the replica set, or of the config servers.',
      }),
    onInterrupt: () => new PbmError('INTERRUPTED', 'stopped waiting; the test is still sent'),
  })
}
