import type { MongoClient } from 'mongodb'
import { listAgents } from '../control/agents.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import { clusterMembers } from '../mongo/topology.js'
import type { NoticeContext, Noticed } from './noticed.js'

/** A restart of an agent, or of its host, is no loss. */
const PATIENCE_MS = 120_000

/**
 * `agentLost`: an agent that was there is gone, dead or stopped. Who was there is remembered, for the report of a dead agent is
 * deleted in the end (PBM: control-plane.md §4, Candidates).
 */
export async function lostAgents(leader: MongoClient, { documents }: NoticeContext): Promise<Noticed> {
  if (!documents.notifications.some(({ on }) => on.includes('agentLost'))) return {}
  const [agents, time] = await Promise.all([listAgents(leader), clusterTime(leader)])
  const alive = new Set(agents.filter(({ hb }) => !isStale(hb, time)).map(({ rs, n }) => `${rs}/${n}`))
  const known = [...new Set([...documents.notices.agents, ...alive])].sort()
  const silent = known.filter((member) => !alive.has(member))
  if (silent.length === 0) return { state: { agents: known } }
  // Only while one is silent: a member may have been taken out of the cluster.
  const members = new Set(
    (await clusterMembers(leader)).flatMap(({ rs, members: own }) => own.map(({ host }) => `${rs}/${host}`)),
  )
  const lost = silent.filter((member) => members.has(member))
  return {
    conditions: lost.map((member) => ({
      ...{ key: `agentLost/${member}`, event: 'agentLost' as const, patienceMs: PATIENCE_MS },
      text: `the agent of ${member} gives no sign of life: see pbm status`,
    })),
    state: { agents: known.filter((member) => alive.has(member) || members.has(member)) },
  }
}
