import { agentErrors, type Config, isStale, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { agentsView, hasTried } from './preflight.js'
import type { Session } from './session.js'
import { poll } from './wait/poll.js'

/** A look at a storage may take 20 s. */
const PATIENCE_MS = 45_000

/**
 * Waits until every live agent has said what it makes of a configuration that was just saved, and fails with AGENTS_NOT_OK
 * where one can't use it: other credentials for the same place are not tried by anything else.
 */
export async function requireGoodReports(
  session: Session,
  leader: MongoClient,
  config: Config,
  deadline: number | undefined,
): Promise<void> {
  const saved = new PbmError(
    'NO_ANSWER',
    'the configuration is saved, but not every agent has said that it can use it',
    {
      hint: 'See pbm status.',
    },
  )
  const faults = await poll(
    async () => {
      const { agents, now } = await agentsView(leader)
      const live = agents.filter(({ hb, arb }) => !arb && !isStale(hb, now))
      if (live.length === 0)
        throw new PbmError('NO_AGENTS', 'the configuration is saved, but no agent is running to try it', {
          hint: 'Start pbm-agent beside every member; pbm status then shows what each makes of it.',
        })
      if (!live.every((agent) => hasTried(agent, config))) return undefined
      return live.flatMap((agent) => agentErrors(agent).map((error) => `${agent.rs}/${agent.n}: ${error}`))
    },
    {
      clock: session.clock,
      signal: session.signal,
      deadline: deadline ?? session.clock.now() + PATIENCE_MS,
      onDeadline: () =>
        deadline === undefined ? saved : new PbmError('WAIT_TIME', `the wait time is over: ${saved.message}`),
      onInterrupt: () =>
        new PbmError('INTERRUPTED', 'stopped waiting; the configuration is saved', { hint: 'See pbm status.' }),
    },
  )
  if (faults.length === 0) return
  throw new PbmError(
    'AGENTS_NOT_OK',
    `the configuration is saved, but not every agent can use it: ${faults.join('; ')}`,
    {
      hint: 'Mend what is named, here or there; pbm status shows all agents.',
    },
  )
}
