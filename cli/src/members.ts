import { type AgentDocument, isStale, type MemberRole, type ReplsetTopology } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'

/**
 * The cluster with what the agents say of their members: of shards, the config servers know neither who is primary nor
 * which members are hidden or arbiters. The leader replica set, the first, tells that itself.
 */
export function withAgentsWord(
  replsets: readonly ReplsetTopology[],
  agents: readonly AgentDocument[],
  now: Timestamp,
): ReplsetTopology[] {
  const [leader, ...shards] = replsets
  if (leader === undefined) return []
  return [leader, ...shards.map((shard) => completed(shard, agents, now))]
}

function completed(shard: ReplsetTopology, agents: readonly AgentDocument[], now: Timestamp): ReplsetTopology {
  const own = agents.filter(({ rs, hb }) => rs === shard.rs && !isStale(hb, now))
  const listed = shard.members.map((member) => {
    const agent = own.find(({ n }) => n === member.host)
    return agent === undefined ? member : { ...member, role: roleOf(agent) }
  })
  const unlisted = own
    .filter(({ n }) => !shard.members.some(({ host }) => host === n))
    .map((agent) => ({ host: agent.n, role: roleOf(agent) }))
  return { ...shard, members: [...listed, ...unlisted] }
}

function roleOf({ s, arb, delay, hdn }: AgentDocument): MemberRole {
  if (arb) return 'arbiter'
  if (s === 1) return 'primary'
  if (delay > 0) return 'delayed'
  return hdn ? 'hidden' : 'secondary'
}
