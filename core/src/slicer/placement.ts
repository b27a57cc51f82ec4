import type { AgentDocument } from '../control/agents.js'
import { type PriorityRules, priorityOf } from '../protocol/priority.js'

/**
 * The member that should slice in place of `holder`: one with a higher priority, or any where the holder is not fit any
 * more. Undefined while the holder is as good as any, so that equals don't take turns. `fit` are the agents of the
 * replica set that may be asked ({@link candidates}).
 */
export function betterPlaced(
  holder: string,
  fit: readonly Pick<AgentDocument, 'n' | 's' | 'delay' | 'hdn'>[],
  rules: PriorityRules,
): string | undefined {
  const own = fit.find(({ n }) => n === holder)
  const best = fit
    .filter(({ n }) => n !== holder)
    .map((agent) => ({ n: agent.n, score: priorityOf(agent, rules) }))
    .sort((a, b) => b.score - a.score || (a.n < b.n ? -1 : 1))[0]
  if (best === undefined) return undefined
  return own === undefined || best.score > priorityOf(own, rules) ? best.n : undefined
}
