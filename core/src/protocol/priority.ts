import { type AgentDocument, PRIMARY_STATE } from '../control/agents.js'

const DEFAULT_SCORE = 1

export interface PriorityRules {
  /** `backup.priority` of the configuration: `host:port` → score. Any entry turns all other rules off. */
  priority?: Readonly<Record<string, number>> | undefined
  /** `host:port` → factor, for what an operation knows of nodes: one that slices, say. */
  coefficients?: Readonly<Record<string, number>> | undefined
  /** `host:port` of the one that is asked before all others, whatever the rest says. */
  first?: string | undefined
}

/**
 * How much a node is wanted, higher first. Hidden 2, secondary 1, primary 0.5, delayed 0; from the configuration's map
 * where it has any entry, with 1 for nodes it does not name and for negative values (PBM: control-plane.md §4).
 */
export function priorityOf(
  agent: Pick<AgentDocument, 'n' | 's' | 'delay' | 'hdn'>,
  { priority = {}, coefficients = {} }: PriorityRules = {},
): number {
  if (Object.keys(priority).length > 0) {
    const score = own(priority, agent.n)
    return score === undefined || score < 0 ? DEFAULT_SCORE : score
  }
  const coefficient = own(coefficients, agent.n)
  if (coefficient !== undefined) return DEFAULT_SCORE * coefficient
  if (agent.s === PRIMARY_STATE) return DEFAULT_SCORE / 2
  if (agent.delay > 0) return 0
  return agent.hdn ? DEFAULT_SCORE * 2 : DEFAULT_SCORE
}

/**
 * The nodes of one replica set by descending priority; equals form a group, in random order.
 * `random` yields numbers from 0 up to, not including, 1.
 */
export function nominationGroups(
  agents: readonly AgentDocument[],
  rs: string,
  rules: PriorityRules = {},
  random: () => number = Math.random,
): string[][] {
  const groups = new Map<number, string[]>()
  for (const agent of agents) {
    if (agent.rs !== rs) continue
    const score = priorityOf(agent, rules)
    groups.set(score, [...(groups.get(score) ?? []), agent.n])
  }
  const { first } = rules
  const isFirst = (node: string) => node === first
  const all = [...groups].sort(([a], [b]) => b - a).map(([, nodes]) => nodes)
  const others = all.map((nodes) =>
    shuffle(
      nodes.filter((node) => !isFirst(node)),
      random,
    ),
  )
  return [all.flat().filter(isFirst), ...others].filter((nodes) => nodes.length > 0)
}

function shuffle(nodes: readonly string[], random: () => number): string[] {
  return nodes
    .map((node) => ({ node, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ node }) => node)
}

function own(map: Readonly<Record<string, number>>, key: string): number | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined
}
