import {
  type AgentDocument,
  type AgentKeys,
  clusterMembers,
  clusterTime,
  isStale,
  listAgents,
  PbmError,
  type ReplsetTopology,
  until,
} from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import type { OperationContext } from './context.js'

/** A command may take a minute to give a key; then its agent still has to say so. */
const ANSWER_MS = 75_000
const LOOK_MS = 200

/** What a rotation is to seal with. */
export type SealingKeys = Pick<AgentKeys, 'method' | 'ids'>

/**
 * Waits until every agent that lives has looked at its keys for this command, and throws `KEYS_DIFFER`, with the name of
 * each whose keys are others: it would go on sealing with a key that everybody believes gone. Agents of PBM seal nothing,
 * those of arbiters store nothing. Resolves with the names of the members beside which nobody could be asked.
 */
export async function requireSameKeys(
  context: OperationContext,
  keys: SealingKeys,
  signal: AbortSignal,
): Promise<string[]> {
  const { leader, opid, clock } = context
  let last: Answers = { others: [], waiting: [] }
  const answered = async () => {
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    last = answersOf(agents, now, opid, keys)
    return last.waiting.length === 0 && { agents, now }
  }
  const found = await until(answered, { clock, signal, everyMs: LOOK_MS, timeoutMs: ANSWER_MS })
  const { others, waiting } = last
  if (found === undefined || others.length > 0) throw differ(others, waiting, keys)
  return unasked(await clusterMembers(leader), found.agents, found.now)
}

export interface Answers {
  /** Have looked, and have other keys or none. */
  readonly others: readonly AgentDocument[]
  /** Live, and have not looked yet. */
  readonly waiting: readonly AgentDocument[]
}

/** What the agents that may seal something have said about their keys for command `opid`. */
export function answersOf(agents: readonly AgentDocument[], now: Timestamp, opid: string, keys: SealingKeys): Answers {
  const alive = agents.filter(({ arb, plugins, hb }) => !arb && plugins !== undefined && !isStale(hb, now))
  return {
    others: alive.filter((agent) => agent.keys?.opid === opid && !areSame(agent.keys, keys)),
    waiting: alive.filter((agent) => agent.keys?.opid !== opid),
  }
}

/**
 * The members that hold data and have no live agent, by name, as the cluster has them: what a dead agent wrote in
 * `pbmAgents` goes after half a minute. Of hidden members of a shard nobody knows but their agents.
 */
export function unasked(
  replsets: readonly ReplsetTopology[],
  agents: readonly AgentDocument[],
  now: Timestamp,
): string[] {
  const dead = agents.filter(({ arb, plugins, hb }) => !arb && plugins !== undefined && isStale(hb, now))
  const alive = new Set(agents.filter(({ hb }) => !isStale(hb, now)).map(nameOf))
  const members = replsets.flatMap(({ rs, members }) =>
    members.filter(({ role }) => role !== 'arbiter').map(({ host }) => nameOf({ rs, n: host })),
  )
  return [...new Set([...members, ...dead.map(nameOf)])].filter((name) => !alive.has(name))
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

function nameOf({ rs, n }: Pick<AgentDocument, 'rs' | 'n'>): string {
  return `${rs}/${n}`
}
