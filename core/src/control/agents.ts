import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { AGENTS, CONTROL_DATABASE } from '../mongo/control-names.js'
import type { InspectedPlugin } from '../plugin-host/host.js'
import { readNumber } from './wire.js'

/** What an agent tells of itself and its node every 5 s (PBM: control-plane.md §1.4, §6). */
export interface AgentDocument {
  /** `host:port` from `hello.me`. */
  n: string
  rs: string
  /** Member state as replSetGetStatus counts: 1 primary, 2 secondary, 7 arbiter. */
  s: number
  /** Member state as a word: `PRIMARY`. */
  str: string
  hdn: boolean
  psv: boolean
  arb: boolean
  /** Configured delay in seconds. */
  delay: number
  /** Seconds behind the primary. */
  repl_lag: number
  /** Version of PBM that the agent is or speaks as, without a "v". */
  v: string
  /** Ours; PBM ignores it: the version of the agent itself. */
  pbmkit?: string
  /** Version of the server. */
  mv: string
  /** Version of Percona Server; absent elsewhere. */
  pv?: string
  /** The connection to the leader replica set. */
  pbms: SubsystemStatus
  /** The connection to the node. */
  nodes: SubsystemStatus
  /** The storage. */
  stors: SubsystemStatus
  /** Cluster time of this report. */
  hb: Timestamp
  /** Any other trouble; '' for none. */
  e: string
  /** Ours; PBM ignores it: the plugins this agent can load. Its absence tells a PBM agent. */
  plugins?: AgentPlugins
  /** Ours too: the keys this agent seals with. Absent where nothing is sealed, or nobody has looked yet. */
  keys?: AgentKeys
  /** And whom it is logged in as at its node, `DB.USER`: a restore leaves them as they are. Absent without authentication. */
  user?: string
  /** What the database user lacks for restores; absent where nothing. */
  restoreRights?: string
  /** Whether physical backups can be made of its node. Its absence tells an agent that can make none. */
  physical?: SubsystemStatus
  /** And the epoch of the configuration that `stors` is about; absent where there is none. */
  epoch?: Timestamp
  /** And what it sees as that storage. */
  place?: AgentPlace
  /** And whether it saw what the last backup had written to its storage for that; absent in earlier versions. */
  mark?: AgentMark
}

export interface AgentMark {
  /** The backup's command. */
  opid?: string
  /** Absent where the storage could not be read. */
  seen?: boolean
}

export interface AgentPlace {
  /** What the storage calls itself; absent where nothing was ever written there, or it can't be read. */
  id?: string
  /** It is not the storage that the cluster has used. */
  other?: boolean
  /** Which place of the configuration that is (`storageFingerprint`). */
  at?: string
  /** The command for which the agent looked anew, and tried to write; absent where it looked of its own accord. */
  opid?: string
}

export interface AgentKeys {
  /** The encryption method's name. */
  method: string
  /** Ids of the keys that new objects are sealed for; empty where they can't be had. */
  ids: string[]
  /** Why there are none; '' when all is well. */
  e: string
  /** The command for which the agent looked anew; absent where it looked of its own accord. */
  opid?: string
}

export interface SubsystemStatus {
  ok: boolean
  /** '' when ok. */
  e: string
}

export interface AgentPlugins {
  storage: string[]
  compression: string[]
  encryption?: string[]
  /** Each with its version and what is wrong with it; absent until the agent has looked. */
  installed?: InspectedPlugin[]
}

/** Member states as replSetGetStatus counts them. */
export const PRIMARY_STATE = 1
export const SECONDARY_STATE = 2

/** Seconds after which the document of a silent agent is removed (PBM: control-plane.md §4, Candidates). */
export const AGENT_GONE_SECONDS = 35

const agents = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(AGENTS)

/** A report is only good as long as it is new: it never waits for the majority. */
const REPORT = { writeConcern: { w: 1 } } as const

/** Returns what stood there before. */
export async function publishAgent(leader: MongoClient, agent: AgentDocument): Promise<AgentDocument | undefined> {
  const before = await agents(leader).findOneAndReplace({ n: agent.n, rs: agent.rs }, inOrder(agent), {
    upsert: true,
    returnDocument: 'before',
    ...REPORT,
  })
  return before === null ? undefined : readAgent(before)
}

/**
 * All that ever reported and were not removed, the silent ones too; by replica set and node. As the primary has them: an
 * agent whose reports no majority can acknowledge is not dead.
 */
export async function listAgents(leader: MongoClient): Promise<AgentDocument[]> {
  return (
    await agents(leader)
      .find({}, { sort: { rs: 1, n: 1 }, readConcern: { level: 'local' } })
      .toArray()
  ).map(readAgent)
}

/** On a clean exit. */
export async function removeAgent(leader: MongoClient, agent: { n: string; rs: string }): Promise<void> {
  await agents(leader).deleteOne({ n: agent.n, rs: agent.rs }, REPORT)
}

/** Removes agents silent for longer than {@link AGENT_GONE_SECONDS} by cluster time. The cluster leader calls it. */
export async function removeGoneAgents(leader: MongoClient): Promise<void> {
  const now = await clusterTime(leader)
  const oldest = new Timestamp({ t: Math.max(0, secondsOf(now) - AGENT_GONE_SECONDS), i: now.getLowBitsUnsigned() })
  await agents(leader).deleteMany({ hb: { $lt: oldest } })
}

/** Whether all three subsystems are well (PBM: control-plane.md §4, §6). */
export function isAgentOk(agent: AgentDocument): boolean {
  return agent.pbms.ok && agent.nodes.ok && agent.stors.ok
}

/** What is wrong, in PBM's words for the three subsystems; [] when nothing is. */
export function agentErrors(agent: AgentDocument): string[] {
  const errors = agent.e === '' ? [] : [agent.e]
  if (!agent.pbms.ok) errors.push(`PBM connection: ${agent.pbms.e}`)
  if (!agent.nodes.ok) errors.push(`node connection: ${agent.nodes.e}`)
  if (!agent.stors.ok) errors.push(`storage: ${agent.stors.e}`)
  return errors
}

/** PBM's order of fields, so that documents of both read alike. */
function inOrder(agent: AgentDocument): Document {
  const { n, rs, s, str, hdn, psv, arb, delay, repl_lag, v, mv, pv, pbms, nodes, stors, hb, e } = agent
  const { pbmkit, plugins, keys, user, restoreRights, physical, epoch, place, mark } = agent
  return {
    ...{ n, rs, s, str, hdn, psv, arb, delay, repl_lag, v, mv },
    ...(pv === undefined || pv === '' ? {} : { pv }),
    ...{ pbms, nodes, stors, hb, e },
    ...(pbmkit === undefined ? {} : { pbmkit }),
    ...(plugins === undefined ? {} : { plugins }),
    ...(keys === undefined ? {} : { keys }),
    ...(user === undefined ? {} : { user }),
    ...(restoreRights === undefined ? {} : { restoreRights }),
    ...(physical === undefined ? {} : { physical }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(place === undefined ? {} : { place }),
    ...(mark === undefined ? {} : { mark }),
  }
}

export function readAgent(found: Document): AgentDocument {
  const { _id, ...raw } = found
  return {
    ...(raw as AgentDocument),
    s: readNumber(raw.s),
    delay: readNumber(raw.delay),
    repl_lag: readNumber(raw.repl_lag),
    pbms: subsystem(raw.pbms),
    nodes: subsystem(raw.nodes),
    stors: subsystem(raw.stors),
    e: (raw.e as string | undefined) ?? '',
  }
}

function subsystem(raw: unknown): SubsystemStatus {
  const { ok, e } = (raw ?? {}) as Partial<SubsystemStatus>
  return { ok: ok === true, e: e ?? '' }
}
