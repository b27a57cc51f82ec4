import {
  type AgentDocument,
  type AgentMark,
  type AgentPlugins,
  type Config,
  clusterTime,
  errorText,
  gossipClusterTime,
  judgeRights,
  type Member,
  PBM_COMPATIBLE_VERSION,
  publishAgent,
  readConfigAndTime,
  requirePhysical,
  rightsMissing,
  type SubsystemStatus,
  secondsOf,
  signedClusterTime,
  userOf,
  VERSION,
} from '@pbmkit/core'
import type { Document, MongoClient, Timestamp } from 'mongodb'
import type { CredentialWatch } from './credential-watch.js'
import type { KeyWatch } from './key-watch.js'
import type { StorageWatch } from './storage-watch.js'

export const STATUS_MS = 5_000
const FRESH_MS = 1_000
const REMEMBERED = 5
/** How long it holds that files can be copied, and that they can't. */
const PHYSICAL_MS = 300_000
const PHYSICAL_RETRY_MS = 30_000
const DUPLICATE_WARNING_MS = 60_000

export interface StatusOptions {
  readonly leader: MongoClient
  readonly node: MongoClient
  readonly self: Member
  /** Part of a sharded cluster. */
  readonly isSharded: boolean
  /** Of the mongod, at the agent's start. */
  readonly version: string
  readonly storage: StorageWatch
  readonly keys: KeyWatch
  readonly credentials: CredentialWatch
  readonly plugins: () => Promise<AgentPlugins>
  readonly warn: (message: string) => void
}

/** Writes this agent's document in `pbmAgents`: its node, and whether database, node and storage are well. */
export class StatusPublisher {
  readonly #options: StatusOptions
  /** Heartbeats of its own last reports: two may be under way at a time. */
  #written: readonly Timestamp[] = []
  #warnedAt = 0
  #last: { readonly agent: AgentDocument; readonly at: number } | undefined
  #lastNode: NodePart | undefined
  #rights: Rights | undefined
  #mark: AgentMark = {}
  #physical: { changes: number; at: number; status: SubsystemStatus } | undefined

  constructor(options: StatusOptions) {
    this.#options = options
  }

  /** What was reported last, and when (milliseconds since the epoch). */
  get last(): { readonly agent: AgentDocument; readonly at: number } | undefined {
    return this.#last
  }

  /** For this report and all later ones. */
  noteMark(mark: AgentMark): void {
    this.#mark = mark
  }

  /** Rejects only when the leader replica set can't be written: then there is nowhere to tell it. */
  async publish(): Promise<AgentDocument> {
    const { leader, self, storage, keys, credentials, plugins } = this.#options
    // The node last: the leader may be waited for through an election or a restart, and what was true before it may not be.
    const { config, now } = await readConfigAndTime(leader)
    const begun = performance.now()
    const node = await this.#node()
    const [stors, loadable] = await Promise.all([this.#storage(storage, config), plugins()])
    const refused = credentials.look()
    // A node or storage that let itself be waited for must not make the agent look silent.
    const isPassedOn = await this.#passTimeOn(now)
    const isFresh = performance.now() - begun < FRESH_MS && !isPassedOn
    const hb = isFresh ? now : await clusterTime(leader)
    const agent: AgentDocument = {
      n: self.node,
      rs: self.rs,
      ...node.part,
      v: PBM_COMPATIBLE_VERSION,
      pbmkit: VERSION,
      pbms: statusOf(refused.leader),
      nodes: refused.node === '' ? node.status : statusOf(refused.node),
      stors,
      hb,
      e: '',
      plugins: loadable,
      ...(keys.keys === undefined ? {} : { keys: keys.keys }),
      ...(node.restoreRights === undefined ? {} : { restoreRights: node.restoreRights }),
      ...(config === undefined ? {} : { epoch: config.epoch, place: storage.place }),
      mark: this.#mark,
    }
    const isFirst = this.#written.length === 0
    this.#written = [...this.#written, hb].slice(-REMEMBERED)
    const before = await publishAgent(leader, agent)
    this.#last = { agent, at: Date.now() }
    if (!isFirst) this.#warnOfDuplicate(before)
    return agent
  }

  /**
   * Tells the config servers of a cluster time that is ahead of theirs, as on a shard whose clock is: else it would come
   * there in a leap, and every heartbeat look hours old. Whether there was something to tell.
   */
  async #passTimeOn(now: Timestamp): Promise<boolean> {
    const { leader, node } = this.#options
    try {
      const time = await signedClusterTime(node)
      if (secondsOf(time.clusterTime) <= secondsOf(now) + 1) return false
      await gossipClusterTime(leader, time)
      return true
    } catch {
      // The node's part of this report tells what is wrong with it.
      return false
    }
  }

  #storage(storage: StorageWatch, config: Config | undefined): Promise<SubsystemStatus> {
    // An arbiter holds no data and never touches the storage.
    return this.#lastNode?.arb === true ? Promise.resolve({ ok: true, e: '' }) : storage.check(config)
  }

  async #node(): Promise<{ part: NodePart; status: SubsystemStatus; restoreRights?: string }> {
    const { node, self } = this.#options
    try {
      const { user, fault, restoreRights } = await this.#rightsNow()
      const physical = await this.#physicalNow()
      const part = { ...(await describeNode(node, self)), ...(user !== undefined && { user }), physical }
      this.#lastNode = part
      const ofRestores = restoreRights !== undefined && { restoreRights }
      return { part, status: statusOf(fault), ...ofRestores }
    } catch (error) {
      // 8: the state replSetGetStatus gives to a member that does not answer.
      const known = this.#lastNode ?? UNKNOWN_NODE
      return { part: { ...known, s: 8, str: '(not reachable/healthy)' }, status: { ok: false, e: errorText(error) } }
    }
  }

  /** Whether its files can be copied: seldom looked at, for what can be wrong with that seldom changes. */
  async #physicalNow(): Promise<SubsystemStatus> {
    const { node, credentials } = this.#options
    const { changes } = credentials
    const known = this.#physical
    const lasts = known?.status.ok === true ? PHYSICAL_MS : PHYSICAL_RETRY_MS
    if (known !== undefined && known.changes === changes && performance.now() - known.at < lasts) return known.status
    const fault =
      this.#lastNode?.arb === true ? 'it is an arbiter' : await requirePhysical(node).then(() => '', errorText)
    this.#physical = { changes, at: performance.now(), status: statusOf(fault) }
    return this.#physical.status
  }

  /** As they were at the start or when the user last changed. With each report only while one for backups is lacking. */
  async #rightsNow(): Promise<Rights> {
    const { node, isSharded, version, credentials } = this.#options
    const { changes } = credentials
    if (this.#rights?.changes === changes && this.#rights.fault === '') return this.#rights
    const connection = await node.db('admin').command({ connectionStatus: 1, showPrivileges: true })
    const authInfo = connection.authInfo as Document
    const textOf = (kind: 'agent' | 'backup-agent') => {
      const lacking = judgeRights(authInfo, kind, { sharded: isSharded, version })
      return lacking && errorText(rightsMissing(lacking))
    }
    const fault = textOf('backup-agent') ?? ''
    const restoreRights = fault === '' ? textOf('agent') : undefined
    this.#rights = { changes, user: userOf(authInfo), fault, restoreRights }
    return this.#rights
  }

  /** Two agents at one mongod would both answer as one nominee. */
  #warnOfDuplicate(before: AgentDocument | undefined): void {
    const { self, warn } = this.#options
    if (before === undefined || Date.now() - this.#warnedAt < DUPLICATE_WARNING_MS) return
    if (this.#written.some((own) => own.equals(before.hb))) return
    this.#warnedAt = Date.now()
    warn(`another agent reports for ${self.rs}/${self.node} too: run one agent per mongod, with the URI of that mongod`)
  }
}

type NodePart = Pick<
  AgentDocument,
  's' | 'str' | 'hdn' | 'psv' | 'arb' | 'delay' | 'repl_lag' | 'mv' | 'pv' | 'user' | 'physical'
>

interface Rights {
  /** Those of the credentials when it was asked. */
  readonly changes: number
  readonly user: string | undefined
  /** What is lacking for backups; '' where nothing. */
  readonly fault: string
  readonly restoreRights: string | undefined
}

const UNKNOWN_NODE: NodePart = {
  s: 8,
  str: 'UNKNOWN',
  hdn: false,
  psv: false,
  arb: false,
  delay: 0,
  repl_lag: 0,
  mv: '',
}

function statusOf(fault: string): SubsystemStatus {
  return { ok: fault === '', e: fault }
}

interface MemberStatus {
  name: string
  state: number
  stateStr: string
  self?: boolean
  optime?: { ts?: Timestamp }
}

async function describeNode(node: MongoClient, self: Member): Promise<NodePart> {
  const admin = node.db('admin')
  const [hello, status, build] = await Promise.all([
    admin.command({ hello: 1 }),
    admin.command({ replSetGetStatus: 1 }),
    admin.command({ buildInfo: 1 }),
  ])
  const members = status.members as MemberStatus[]
  const own = members.find((member) => member.self === true || member.name === self.node)
  const primary = members.find(({ state }) => state === 1)
  const lag = (primary?.optime?.ts?.t ?? 0) - (own?.optime?.ts?.t ?? 0)
  return {
    s: own?.state ?? 0,
    str: own?.stateStr ?? 'UNKNOWN',
    hdn: hello.hidden === true,
    psv: hello.passive === true,
    arb: hello.arbiterOnly === true,
    delay: Number(hello.secondaryDelaySecs ?? hello.slaveDelay ?? 0),
    repl_lag: own?.optime === undefined || primary === undefined ? 0 : Math.max(0, lag),
    mv: String(build.version),
    ...(build.psmdbVersion !== undefined && { pv: String(build.psmdbVersion) }),
  }
}
