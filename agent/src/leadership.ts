import { clusterTime, isStale, listAgents, type Member, type NodeInfo } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/**
 * Whether this agent has the duties of the cluster leader: opening backups and looking after dead operations. That is the
 * agent beside the primary of the leader replica set; where that one is dead or was never started, the first of the
 * others by name. PBM has no such stand-in: there, an agent killed beside the primary leaves its operations as they were.
 */
export async function leadsCluster(
  { leader, leaderReplset, self }: { leader: MongoClient; leaderReplset: string; self: Member },
  info: NodeInfo,
): Promise<boolean> {
  if (info.isClusterLeader) return true
  if (self.rs !== leaderReplset || info.isArbiter) return false
  const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
  const alive = agents.filter(({ rs, hb, arb }) => rs === leaderReplset && !arb && !isStale(hb, now))
  if (alive.some(({ n }) => n === info.primary)) return false
  return alive.map(({ n }) => n).sort()[0] === self.node
}
