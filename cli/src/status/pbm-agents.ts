import { type AgentDocument, type Config, isSealing, isStale } from '@pbmkit/core'
import type { AgentsView } from '../preflight.js'

/** What decides whether an agent of PBM's costs something. */
export interface MixedFacts extends AgentsView {
  readonly config: Pick<Config, 'encryption'> | undefined
  /** `rs/host:port` of who slices. */
  readonly slicers: readonly string[]
  /** There are schedules or notifications. */
  readonly hasRuns: boolean
}

const WHAT_TO_DO = "Run pbmkit's pbm-agent there instead (docs/upgrading.md)"

/** Alive, and not ours. */
export function pbmAgents({ agents, now }: Pick<AgentsView, 'agents' | 'now'>): AgentDocument[] {
  return agents.filter((agent) => isOfPbm(agent) && !agent.arb && !isStale(agent.hb, now))
}

/** Of a replica set, what is lost by PBM's agents beside its members, and what to do; undefined where nothing is. */
export function lostToPbm(rs: string, facts: MixedFacts): string | undefined {
  const foreign = pbmAgents(facts).filter((agent) => agent.rs === rs)
  if (foreign.length === 0) return undefined
  const hasOwn = facts.agents.some((agent) => !isOfPbm(agent) && !isStale(agent.hb, facts.now))
  const slices = foreign.some(({ n }) => facts.slicers.includes(`${rs}/${n}`))
  const lost = [
    ...(facts.hasRuns && leadsByPbm(rs, facts) ? ['schedules are not run and nobody is notified, for it leads'] : []),
    ...(isSealing(facts.config?.encryption) ? ['it would store in the clear'] : []),
    ...(slices ? ['the oplog it stores has no checksums'] : []),
    // Where all are PBM's, nobody expects that.
    ...(hasOwn
      ? ['no physical backups there, no physical restores, none of a part with --query or --keep-existing']
      : []),
  ]
  if (lost.length === 0) return undefined
  return `PBM's agent beside ${foreign.map(({ n }) => n).join(', ')}: ${lost.join('; ')}. ${WHAT_TO_DO}.`
}

/** As agents reckon who leads: the one beside the primary; where that one is gone, the first by name. */
function leadsByPbm(rs: string, { replsets: [leaders], agents, now }: MixedFacts): boolean {
  if (leaders?.rs !== rs) return false
  const alive = agents.filter((agent) => agent.rs === rs && !agent.arb && !isStale(agent.hb, now))
  const primary = leaders.members.find(({ role }) => role === 'primary')?.host
  const [first] = alive.toSorted((a, b) => (a.n < b.n ? -1 : 1))
  const leading = alive.find(({ n }) => n === primary) ?? first
  return leading !== undefined && isOfPbm(leading)
}

function isOfPbm({ plugins, pbmkit }: AgentDocument): boolean {
  return plugins === undefined && pbmkit === undefined
}
