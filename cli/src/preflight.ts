import {
  type AgentDocument,
  type AgentNeeds,
  type BackupDocument,
  type Config,
  clusterMembers,
  clusterTime,
  EXTERNAL_NEEDS,
  isResync,
  isStale,
  listAgents,
  missingPluginHint,
  operationInTheWay,
  PbmError,
  physicalNeeds,
  type ReplsetTopology,
  rfc3339,
  type Unfitness,
  unfitness,
  until,
} from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { withAgentsWord } from './members.js'
import { shortDuration } from './output/durations.js'
import type { Session } from './session.js'

/** An agent that fails to reach its storage tries again with each report, every 5 s. */
const REPORT_SECONDS = 5
const LOOK_AGAIN_MS = 250
/** How long reading the storage anew is waited for: silently at first, for it mostly takes a moment. */
const UNTOLD_MS = 1_000
const RESYNC_MS = 120_000
/** The same before the configuration changes, which may be to mend the very storage that hangs. */
export const CONFIG_PATIENCE_MS = 5_000

export interface BusyLimits {
  /** How long reading the storage anew is waited for; default: until the deadline, or 2 minutes where there is none. */
  readonly patienceMs?: number
  /** From `--wait-time`, in milliseconds since the epoch: it counts this wait, too. */
  readonly deadline?: number | undefined
}

/**
 * Refuses while an operation with a live heartbeat holds a lock: OPERATION_RUNNING (exit code 4). Reading the storage anew
 * is waited for: it begins by itself after `pbm config`, and where agents find an empty list. Where the deadline ends that,
 * WAIT_TIME (exit code 3).
 */
export async function refuseIfBusy(session: Session, leader: MongoClient, limits: BusyLimits = {}): Promise<void> {
  const lock = await operationAfterResync(session, leader, limits)
  if (lock === undefined) return
  if (isResync(lock) && limits.deadline !== undefined && session.clock.now() >= limits.deadline)
    throw new PbmError('WAIT_TIME', 'the wait time is over: the list of backups is still being read from the storage', {
      hint: 'Nothing was begun. See pbm status, and try again when it has ended.',
    })
  throw new PbmError(
    'OPERATION_RUNNING',
    `another operation is running: ${lock.type} on ${lock.replset}/${lock.node}${lock.opid === undefined ? '' : ` (operation ${lock.opid})`}`,
    {
      hint:
        lock.type === 'backup'
          ? 'See pbm status; wait for its end, or stop it with pbm cancel-backup.'
          : 'See pbm status, and try again when it has ended.',
    },
  )
}

async function operationAfterResync({ clock, signal, output }: Session, leader: MongoClient, limits: BusyLimits) {
  const { deadline, patienceMs = deadline === undefined ? RESYNC_MS : Number.POSITIVE_INFINITY } = limits
  const end = Math.min(clock.now() + patienceMs, deadline ?? Number.POSITIVE_INFINITY)
  const left = () => Math.max(0, end - clock.now())
  try {
    const untold = Math.min(UNTOLD_MS, left())
    const lock = await operationInTheWay(leader, { clock, signal, patienceMs: untold })
    if (!isResync(lock) || left() === 0) return lock
    output.note('Waiting until the list of backups has been read from the storage …')
    return await operationInTheWay(leader, { clock, signal, patienceMs: left() })
  } catch (error) {
    if (!signal.aborted) throw error
    throw new PbmError('INTERRUPTED', 'stopped waiting; nothing was begun')
  }
}

/**
 * What a backup needs before its command is worth sending: on every replica set an agent beside a member fit for it, and one
 * beside the leader's primary, which starts the work. Fails with NO_AGENTS or NO_CANDIDATE, naming every agent and its reason.
 */
export async function requireBackupAgents(
  leader: MongoClient,
  config: Config,
  { compression, type }: { readonly compression: string; readonly type: BackupDocument['type'] },
): Promise<void> {
  const encryption = config.encryption?.type ?? 'none'
  const needs = { storage: config.storage.type, compression, encryption }
  const mayBegin = async () => {
    const view = await agentsView(leader)
    const faults = view.replsets.flatMap((replset) => {
      return backupFaults(replset, view, { ...needs, physical: filesNeeds(type, replset, config) })
    })
    if (faults.length === 0) {
      requirePrimaryAgents(view, view.replsets.slice(0, 1), 'start a backup')
      return true
    }
    // Right after pbm config the last report of an agent is about the storage before.
    const outdated = view.agents.some((agent) => !isStale(agent.hb, view.now) && !hasTried(agent, config))
    if (!outdated || !faults.every(({ storageOnly }) => storageOnly)) throw faults[0]?.error
    return false
  }
  await until(mayBegin, { everyMs: LOOK_AGAIN_MS })
}

/** Why no physical backup could be made now, where a logical one could; undefined where nothing is known against it. */
export function physicalFault(view: AgentsView, config: Pick<Config, 'storage' | 'encryption' | 'backup'>) {
  const needs = { storage: config.storage.type, encryption: config.encryption?.type ?? 'none' }
  const faultsOf = (type: 'logical' | 'physical') =>
    view.replsets.flatMap((replset) =>
      backupFaults(replset, view, { ...needs, physical: filesNeeds(type, replset, config) }),
    )
  return faultsOf('logical').length === 0 ? faultsOf('physical')[0]?.error : undefined
}

function filesNeeds(
  type: BackupDocument['type'],
  replset: ReplsetTopology,
  config: Pick<Config, 'backup'>,
): AgentNeeds['physical'] {
  if (type === 'logical') return undefined
  return type === 'external' ? EXTERNAL_NEEDS : physicalNeeds(replset, config.backup?.physical)
}

/** What a restore needs: a live agent beside every replica set's primary, which may. */
export async function requireRestoreAgents(leader: MongoClient): Promise<void> {
  const view = await agentsView(leader)
  requirePrimaryAgents(view, view.replsets, 'restore')
  const primaries = view.replsets.flatMap(({ members }) => members.filter(({ role }) => role === 'primary'))
  for (const { rs, n, restoreRights } of view.agents) {
    if (restoreRights === undefined || !primaries.some(({ host }) => host === n)) continue
    throw new PbmError('RIGHTS_MISSING', `the agent on ${rs}/${n}, which has to restore, can't: ${restoreRights}`)
  }
}

/** Whether every member that has data has an agent of ours that can put other files in the place of its own. */
export async function canReplaceFiles(leader: MongoClient): Promise<boolean> {
  const { replsets, agents, now } = await agentsView(leader)
  const isFit = (rs: string, host: string) =>
    agents.some(
      (agent) => agent.rs === rs && agent.n === host && !isStale(agent.hb, now) && agent.physical?.ok === true,
    )
  return replsets.every(({ rs, members }) => members.every(({ host, role }) => role === 'arbiter' || isFit(rs, host)))
}

/** What resync and delete need: any live agent on the leader replica set. */
export async function requireLeaderAgent(leader: MongoClient): Promise<void> {
  const view = await agentsView(leader)
  const [replset] = view.replsets
  if (replset === undefined) return
  const agents = view.agents.filter(({ rs }) => rs === replset.rs)
  if (!agents.some((agent) => !isStale(agent.hb, view.now))) throw noLiveAgent(replset.rs, agents, view.now)
}

export interface AgentsView {
  readonly replsets: ReplsetTopology[]
  readonly agents: AgentDocument[]
  readonly now: Timestamp
}

export async function agentsView(leader: MongoClient): Promise<AgentsView> {
  const [replsets, agents, now] = await Promise.all([clusterMembers(leader), listAgents(leader), clusterTime(leader)])
  return { replsets: withAgentsWord(replsets, agents, now), agents, now }
}

/** Whether what an agent says of the storage is about this configuration. Those of PBM don't tell. */
export function hasTried({ hb, epoch }: AgentDocument, config: Config): boolean {
  return epoch === undefined ? hb.t > config.epoch.t + REPORT_SECONDS : epoch.gte(config.epoch)
}

interface Fault {
  readonly error: PbmError
  readonly storageOnly: boolean
}

function backupFaults(replset: ReplsetTopology, { agents, now }: AgentsView, needs: AgentNeeds): Fault[] {
  const own = agents.filter(({ rs }) => rs === replset.rs)
  if (!own.some((agent) => !isStale(agent.hb, now)))
    return [{ error: noLiveAgent(replset.rs, own, now), storageOnly: false }]
  const unfit: { text: string; code: Unfitness['code'] }[] = []
  for (const agent of own) {
    const reason = unfitness(agent, now, needs)
    if (reason === undefined) return []
    unfit.push({ text: `${agent.n}: ${unfitnessText(agent, now, reason)}`, code: reason.code })
  }
  const told = unfit.map(({ text }) => text).join('; ')
  return [
    {
      error: new PbmError('NO_CANDIDATE', `no member of ${replset.rs} can make the backup: ${told}`, {
        hint: 'Mend what is named (pbm status shows all agents), then try again.',
      }),
      storageOnly: unfit.some(({ code }) => code === 'storage'),
    },
  ]
}

function unfitnessText(agent: AgentDocument, now: Timestamp, reason: Unfitness): string {
  switch (reason.code) {
    case 'silent':
      return lastHeard(agent, now)
    case 'arbiter':
      return 'an arbiter holds no data'
    case 'state':
      return `is ${agent.str}`
    case 'delayed':
      return 'is delayed on purpose'
    case 'lagging':
      return `is ${agent.repl_lag} s behind the primary`
    case 'leader':
      return `can't reach the control collections: ${agent.pbms.e}`
    case 'node':
      return `its mongod: ${agent.nodes.e}`
    case 'storage':
      return `storage: ${agent.stors.e}`
    case 'sealing':
      return "an agent of PBM's, which can't encrypt"
    case 'physical':
      return reason.reason
    case 'plugin':
      return `its installation has no ${reason.kind} plugin '${reason.name}' (${missingPluginHint(reason.kind, reason.name)})`
  }
}

function requirePrimaryAgents(view: AgentsView, replsets: readonly ReplsetTopology[], purpose: string): void {
  for (const replset of replsets) {
    const own = view.agents.filter(({ rs }) => rs === replset.rs)
    if (!own.some((agent) => !isStale(agent.hb, view.now))) throw noLiveAgent(replset.rs, own, view.now)
    const primary = replset.members.find(({ role }) => role === 'primary')
    // Of a shard it is known only by the agent beside it.
    if (primary === undefined && replset !== view.replsets[0])
      throw new PbmError(
        'NO_AGENTS',
        `no live pbm-agent beside the primary of ${replset.rs}, which has to ${purpose}`,
        {
          hint: `Start pbm-agent beside every member of ${replset.rs}; after an election, try again in some seconds.`,
        },
      )
    if (primary === undefined)
      throw new PbmError('NO_PRIMARY', `${replset.rs} has no primary just now`, {
        hint: 'Try again when an election has ended; see pbm status.',
      })
    const agent = own.find(({ n }) => n === primary.host)
    if (agent === undefined || isStale(agent.hb, view.now))
      throw new PbmError(
        'NO_AGENTS',
        `no live pbm-agent beside the primary of ${replset.rs}, which has to ${purpose}: ${
          agent === undefined ? `${primary.host} has none` : `${agent.n}: ${lastHeard(agent, view.now)}`
        }`,
        { hint: `Start pbm-agent on the machine of ${primary.host}.` },
      )
  }
}

function noLiveAgent(rs: string, agents: readonly AgentDocument[], now: Timestamp): PbmError {
  const hint = `Start pbm-agent beside every member of ${rs}: pbm-agent --mongodb-uri mongodb://user:password@host:port/`
  if (agents.length === 0) return new PbmError('NO_AGENTS', `no pbm-agent serves the replica set ${rs}`, { hint })
  const told = agents.map((agent) => `${agent.n}: ${lastHeard(agent, now)}`).join('; ')
  return new PbmError('NO_AGENTS', `every pbm-agent of ${rs} is dead: ${told}`, { hint })
}

/** `lost agent, last heartbeat 2031-02-03T04:05:06Z (5m00s ago)`. */
export function lastHeard(agent: AgentDocument, now: Timestamp): string {
  return `lost agent, last heartbeat ${rfc3339(agent.hb.t)} (${shortDuration((now.t - agent.hb.t) * 1000)} ago)`
}
