import { type AgentDocument, type AgentKeys, clusterTime, isStale, listAgents, PbmError } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import type { OperationContext } from './context.js'

/** A command may take a minute to give a key; then its agent still has to say so. */
const ANSWER_MILLIS = 75_000
const LOOK_MILLIS = 200

/** What a rotation is to seal with. */
export type SealingKeys = Pick<AgentKeys, 'method' | 'ids'>

/**
 * Waits until every agent that lives has looked at its keys for this command, and throws `KEYS_DIFFER`, with the name of
 * each whose keys are others: it would go on sealing with a key that everybody believes gone. Agents of PBM seal nothing,
 * those of arbiters store nothing. Who is silent can't be asked: resolves with their names.
 */
export async function requireSameKeys(
  context: OperationContext,
  keys: SealingKeys,
  signal: AbortSignal,
): Promise<string[]> {
  const { leader, opid, clock } = context
  const giveUp = clock.now() + ANSWER_MILLIS
  for (;;) {
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const { others, waiting, silent } = answersOf(agents, now, opid, keys)
    if (waiting.length === 0 || clock.now() > giveUp) {
      if (others.length + waiting.length > 0) throw differ(others, waiting, keys)
      return silent.map(nameOf)
    }
    await clock.sleep(LOOK_MILLIS, signal)
  }
}

export interface Answers {
  /** Have looked, and have other keys or none. */
  readonly others: readonly AgentDocument[]
  /** Live, and have not looked yet. */
  readonly waiting: readonly AgentDocument[]
  readonly silent: readonly AgentDocument[]
}

/** What the agents that may seal something have said about their keys for command `opid`. */
export function answersOf(agents: readonly AgentDocument[], now: Timestamp, opid: string, keys: SealingKeys): Answers {
  const sealing = agents.filter(({ arb, plugins }) => !arb && plugins !== undefined)
  const alive = sealing.filter(({ hb }) => !isStale(hb, now))
  return {
    others: alive.filter((agent) => agent.keys?.opid === opid && !areSame(agent.keys, keys)),
    waiting: alive.filter((agent) => agent.keys?.opid !== opid),
    silent: sealing.filter(({ hb }) => isStale(hb, now)),
  }
}

function areSame(one: SealingKeys, other: SealingKeys): boolean {
  return one.method === other.method && one.ids.join() === other.ids.join()
}

function differ(others: readonly AgentDocument[], waiting: readonly AgentDocument[], keys: SealingKeys): PbmError {
  const told = [
    ...others.map((agent) => `the agent on ${nameOf(agent)} ${hasText(agent.keys)}`),
    ...waiting.map((agent) => `the agent on ${nameOf(agent)} did not say which key it has`),
  ]
  return new PbmError('KEYS_DIFFER', `not every agent has key ${keys.ids.join(', ')} in front: ${told.join('; ')}`, {
    hint: 'nothing was changed; put the new key in front of the older ones on every host with an agent, then rotate',
  })
}

function hasText(keys: AgentKeys | undefined): string {
  if (keys === undefined || keys.ids.length === 0) return `has none: ${keys?.e ?? ''}`
  return `has ${keys.ids.join(', ')}`
}

function nameOf({ rs, n }: AgentDocument): string {
  return `${rs}/${n}`
}
