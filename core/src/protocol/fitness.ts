import type { Timestamp } from 'mongodb'
import type { PhysicalConfig } from '../config/document.js'
import { AGENT_GONE_SECONDS, type AgentDocument, PRIMARY_STATE, SECONDARY_STATE } from '../control/agents.js'
import { NO_ENCRYPTION } from '../encryption/ciphers.js'
import { secondsOf } from '../mongo/cluster-time.js'
import type { ReplsetTopology } from '../mongo/topology.js'
import { isPackageName, type PluginKind, withoutAlias } from '../plugin-host/naming.js'

/** Replication lag in seconds from which a node is not asked (PBM: control-plane.md §4, Candidates). */
export const MAX_LAG_SECONDS = 21

/** The plugins that an operation needs, as the configuration names them. */
export interface AgentNeeds extends Readonly<Partial<Record<PluginKind, string>>> {
  /** Set where the files of a member are to be copied. */
  readonly physical?: { readonly allowPrimary: boolean; readonly isExternal?: boolean } | undefined
}

/**
 * Why an agent's node is not asked. `silent`: no heartbeat for too long. `leader`, `node`, `storage`: it can't reach the leader
 * replica set, its mongod, the storage. `sealing`: PBM's own agents would store in the clear. `plugin`: one that it has not.
 */
export type Unfitness =
  | {
      readonly code: 'silent' | 'arbiter' | 'state' | 'delayed' | 'lagging' | 'leader' | 'node' | 'storage' | 'sealing'
    }
  | { readonly code: 'plugin'; readonly kind: PluginKind; readonly name: string }
  /** Its files can't be copied, and why. */
  | { readonly code: 'physical'; readonly reason: string }

/** Undefined for an agent whose node may be asked (PBM: control-plane.md §4, Candidates). */
export function unfitness(agent: AgentDocument, now: Timestamp, needs: AgentNeeds = {}): Unfitness | undefined {
  if (secondsOf(now) - secondsOf(agent.hb) > AGENT_GONE_SECONDS) return { code: 'silent' }
  if (agent.arb) return { code: 'arbiter' }
  if (agent.s !== PRIMARY_STATE && agent.s !== SECONDARY_STATE) return { code: 'state' }
  if (agent.delay > 0) return { code: 'delayed' }
  if (agent.repl_lag >= MAX_LAG_SECONDS) return { code: 'lagging' }
  if (!agent.pbms.ok) return { code: 'leader' }
  if (!agent.nodes.ok) return { code: 'node' }
  // Where a plugin is missing, that is why it can't reach the storage.
  const missing = missingPlugin(agent, needs)
  if (missing !== undefined) return missing
  if (!agent.stors.ok) return { code: 'storage' }
  return needs.physical === undefined ? undefined : physicalUnfitness(agent, needs.physical)
}

function physicalUnfitness(
  { s, physical }: AgentDocument,
  { allowPrimary, isExternal }: NonNullable<AgentNeeds['physical']>,
) {
  const unfit = (reason: string): Unfitness => ({ code: 'physical', reason })
  if (physical === undefined) return unfit('its agent makes no physical backups')
  if (!physical.ok) return unfit(physical.e)
  if (s !== PRIMARY_STATE || allowPrimary) return undefined
  if (isExternal === true)
    return unfit('it is the primary, where nothing could be written for as long as the copy takes')
  return unfit('it is the primary, which would be locked (backup.physical.allowPrimary allows it)')
}

/** What a physical backup needs; the primary is asked where the configuration allows it, or nobody else has the data. */
export function physicalNeeds(
  { members }: Pick<ReplsetTopology, 'members'>,
  { allowPrimary }: PhysicalConfig = {},
): AgentNeeds['physical'] {
  return { allowPrimary: allowPrimary === true || members.filter(({ role }) => role !== 'arbiter').length === 1 }
}

/** What an external one needs: never a primary, for not even its own record could be written while that is locked. */
export const EXTERNAL_NEEDS: AgentNeeds['physical'] = { allowPrimary: false, isExternal: true }

/** The agents whose nodes may be asked. */
export function candidates(agents: readonly AgentDocument[], now: Timestamp, needs: AgentNeeds = {}): AgentDocument[] {
  return agents.filter((agent) => unfitness(agent, now, needs) === undefined)
}

/** Agents of ours tell what they can load; PBM's own have what PBM has. */
function missingPlugin({ plugins }: AgentDocument, needs: AgentNeeds): Unfitness | undefined {
  if (plugins === undefined)
    return (needs.encryption ?? NO_ENCRYPTION) === NO_ENCRYPTION ? undefined : { code: 'sealing' }
  for (const kind of ['storage', 'compression', 'encryption'] as const) {
    const name = withoutAlias(kind, needs[kind] ?? 'none')
    // One configured by its package name is known to the agent by the name it gives itself.
    if (name === 'none' || isPackageName(name) || plugins[kind]?.includes(name) === true) continue
    return { code: 'plugin', kind, name }
  }
  return undefined
}
