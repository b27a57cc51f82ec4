import {
  type AgentDocument,
  agentErrors,
  type Config,
  isStale,
  listSlicerLocks,
  type MajorityStatus,
  type MemberRole,
  majorityStatus,
  otherPlaceText,
  type PitrConfig,
  PRIMARY_STATE,
  priorityOf,
  readConfig,
  readRunDocuments,
  type StoragePlace,
  storagePlaces,
} from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import type { Colours } from '../output/colour.js'
import { indent, table } from '../output/table.js'
import { type AgentsView, agentsView, lastHeard } from '../preflight.js'
import { lostToPbm, pbmAgents } from './pbm-agents.js'

/** PBM's letters; any other member state stands as the server's word. */
const LETTERS: Readonly<Record<MemberRole, string>> = {
  primary: 'P',
  secondary: 'S',
  hidden: 'H',
  delayed: 'D',
  arbiter: 'A',
}

/** The `cluster` section, with PBM's names. */
export interface ClusterSection {
  rs: string
  nodes: NodeEntry[]
  /** Of the leader replica set, why nothing can be done in it. */
  error?: string
  /** Ours: what is lost by PBM's agents beside its members, and what to do. */
  pbmAgents?: string
}

export interface NodeEntry {
  host: string
  /** `v2.15.0`, of PBM; empty where no agent ever reported. */
  agent: string
  /** Ours: the version of the agent itself. Absent for one of PBM's. */
  pbmkit?: string
  role: string
  prio_pitr: string
  prio_backup: string
  ok: boolean
  errors?: string[]
  /** Ours: why its agent can back up, and not restore. */
  restoreRights?: string
  /** Ours: '' where its files can be copied, else why not. */
  physical?: string
}

const COPY =
  'what the last backup wrote was not there: is it a copy of the folder, not the share itself? The next backup tells whether it is mended'

type Priority = PitrConfig['priority']

export async function clusterSection(leader: MongoClient, withPriority: boolean): Promise<ClusterSection[]> {
  const [view, config, majority] = await Promise.all([agentsView(leader), readConfig(leader), majorityStatus(leader)])
  const mixed = await mixedFacts(leader, view, config)
  const places = config === undefined ? [] : storagePlaces(view.agents, view.now, config.epoch)
  return view.replsets.map(({ rs, members }) => {
    const lost = mixed && lostToPbm(rs, mixed)
    return {
      rs,
      ...(lost !== undefined && { pbmAgents: lost }),
      ...(rs === majority.set && !majority.isThere && { error: withoutMajority(majority) }),
      nodes: members.map(({ host, role }) => {
        const agent = view.agents.find((candidate) => candidate.rs === rs && candidate.n === host)
        const priority = (map: Priority) => (withPriority ? priorityOfMember(host, role, map).toFixed(1) : '')
        return {
          host,
          agent: agent === undefined ? '' : `v${agent.v}`,
          ...(agent?.pbmkit === undefined ? {} : { pbmkit: agent.pbmkit }),
          role: roleOf(role, agent, view.now),
          prio_pitr: priority(config?.pitr?.priority),
          prio_backup: priority(config?.backup?.priority),
          ...condition(agent, role, view.now, places),
        }
      }),
    }
  })
}

/** Read only where an agent of PBM's is alive. */
async function mixedFacts(leader: MongoClient, view: AgentsView, config: Config | undefined) {
  if (pbmAgents(view).length === 0) return undefined
  const [locks, { schedules, notifications }] = await Promise.all([listSlicerLocks(leader), readRunDocuments(leader)])
  const slicers = locks.filter(({ hb }) => !isStale(hb, view.now)).map(({ replset, node }) => `${replset}/${node}`)
  return { ...view, config, slicers, hasRuns: schedules.length + notifications.length > 0 }
}

function withoutMajority({ away }: MajorityStatus): string {
  return `no majority of the members that hold data is up, so no command is acknowledged: ${away.join(', ')}`
}

/** An agent's own word on its node is newer than the replica-set configuration, while it is alive. */
function roleOf(role: MemberRole, agent: AgentDocument | undefined, now: Timestamp): string {
  const usual = agent === undefined || isStale(agent.hb, now) || [1, 2, 7].includes(agent.s)
  return usual ? LETTERS[role] : agent.str
}

function condition(
  agent: AgentDocument | undefined,
  role: MemberRole,
  now: Timestamp,
  places: readonly StoragePlace[],
): Pick<NodeEntry, 'ok' | 'errors' | 'restoreRights' | 'physical'> {
  if (role === 'arbiter') return { ok: true }
  if (agent === undefined) return { ok: false, errors: ['no agent'] }
  if (isStale(agent.hb, now)) return { ok: false, errors: [lastHeard(agent, now)] }
  const elsewhere = otherPlaceText(`${agent.rs}/${agent.n}`, places)
  // A copy is told from the place itself only by what was written after it was made.
  const isCopy = agent.stors.ok && elsewhere === undefined && agent.mark?.seen === false
  const place = isCopy ? COPY : elsewhere
  const errors = [...agentErrors(agent), ...(place === undefined ? [] : [`storage: ${place}`])]
  const { restoreRights, physical } = agent
  const noted = {
    ...(restoreRights === undefined ? {} : { restoreRights }),
    ...(physical === undefined ? {} : { physical: physical.ok ? '' : physical.e }),
  }
  return errors.length === 0 ? { ok: true, ...noted } : { ok: false, errors }
}

/** As for a nomination; also of a member that has no agent. */
function priorityOfMember(host: string, role: MemberRole, priority: Priority): number {
  const facts = { n: host, s: role === 'primary' ? PRIMARY_STATE : 0, delay: role === 'delayed' ? 1 : 0 }
  if (role === 'arbiter' && Object.keys(priority ?? {}).length === 0) return 0
  return priorityOf({ ...facts, hdn: role === 'hidden' }, { priority })
}

export function clusterText(section: readonly ClusterSection[], withPriority: boolean, colours: Colours): string {
  const priorities = withPriority ? ['BACKUP PRIORITY', 'PITR PRIORITY'] : []
  return section
    .map(({ rs, nodes, error, pbmAgents: lost }) => {
      const rows = nodes.map((node) => [
        node.host,
        node.role,
        ...(withPriority ? [node.prio_backup, node.prio_pitr] : []),
        agentText(node),
        conditionText(node, colours),
      ])
      const fault = error === undefined ? '' : `: ${colours.bad(error)}`
      const members = table(['MEMBER', 'ROLE', ...priorities, 'AGENT', 'STATE'], rows, colours)
      const lines = lost === undefined ? members : `${members}\n${colours.caution(lost)}`
      return `${colours.strong(rs)}${fault}\n${indent(lines)}`
    })
    .join('\n')
}

function agentText({ agent, pbmkit }: NodeEntry): string {
  if (agent === '') return '-'
  return pbmkit === undefined ? `PBM ${agent}` : `${pbmkit} (PBM ${agent})`
}

function conditionText(node: NodeEntry, colours: Colours): string {
  if (node.role === 'A') return colours.quiet('arbiter: needs no agent')
  if (node.ok && node.restoreRights !== undefined) return colours.caution('OK for backups; its user may not restore')
  if (node.ok) return colours.good('OK')
  return (node.errors ?? ['not OK']).map((error) => colours.bad(error)).join('\n')
}
