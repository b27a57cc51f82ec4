import type { MongoClient } from 'mongodb'
import type { Config } from '../config/document.js'
import { listAgents } from '../control/agents.js'
import type { LogContext } from '../control/log-writer.js'
import { beatPitr, setPitrStatus } from '../control/pitr.js'
import { resumePitr } from '../control/pitr-suspension.js'
import type { OperationLog } from '../log.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { clusterMembers } from '../mongo/topology.js'
import type { PluginHost } from '../plugin-host/host.js'
import { candidates } from '../protocol/fitness.js'
import { HEARTBEAT_MS } from '../protocol/heartbeat.js'
import { placesText, type StoragePlace, storagePlaces } from '../protocol/storage-places.js'
import type { Clock } from '../time/clock.js'
import { delaysSlicing } from './blockers.js'
import { missingSnapshot } from './catch-up.js'
import { electSlicers } from './nomination.js'
import { betterPlaced } from './placement.js'
import { slicingNeeds } from './settings.js'
import { findNewestBase, findNewestRestore } from './starting-point.js'
import type { SlicingView } from './view.js'
import { withoutCandidate } from './without-candidate.js'

export interface SlicingLeaderOptions {
  readonly leader: MongoClient
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: (context: LogContext) => OperationLog
}

/** After an election that left a replica set without a slicer. */
const RETRY_MS = 10_000
/** Agents tell of their nodes each 5 s; after an election of a primary they need two rounds to agree. */
const STEADY_MS = 10_000
/** Before members of a shard that no backup has are asked again: an election stops all others. */
const REFUSED_MS = 10 * 60_000
/** A storage that has just been given an identity is seen by all agents once each has looked: each 15 s, told within 5 s. */
const DIFFERENT_MS = 25_000

/**
 * The cluster leader's duties for slicing: the heartbeat of `pbmPITR`, elections where nobody slices, handing over to a
 * better placed member, and switching slicing on again after a restore. PBM's monitors do this each 15 s to 2 min (PBM:
 * control-plane.md §5.4, Monitors).
 */
export class SlicingLeader {
  readonly #options: SlicingLeaderOptions
  #beatenAt = Number.NEGATIVE_INFINITY
  #retryAt = Number.NEGATIVE_INFINITY
  #electedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #hopeless: readonly string[] = []
  /** Members that can't store the oplog of their shard, which no backup has, and until when they are not asked again. */
  readonly #refused = new Map<string, number>()
  #told = ''
  #priorities = ''
  #differentSince: number | undefined
  readonly #betterSince = new Map<string, number>()

  constructor(options: SlicingLeaderOptions) {
    this.#options = options
  }

  /** Does what is due. May take as long as an election. */
  async step(view: SlicingView, signal: AbortSignal): Promise<void> {
    const { config } = view
    if (config === undefined) return
    if (config.pitr?.enabled !== true) return await this.#resume(view, config)
    await this.#beat(view)
    if (delaysSlicing(view.operations) !== undefined) return
    const replsets = (await clusterMembers(this.#options.leader)).map(({ rs }) => rs)
    const without = replsets.filter((rs) => !view.slicers.some(({ replset }) => replset === rs))
    const hopeless = view.slicers.length === 0 ? [] : await this.#withoutCandidate(config, without)
    const idle = without.filter((rs) => !hopeless.includes(rs))
    // A shard that was removed: nobody would ever want its oplog.
    const isOver = view.slicers.some(({ replset }) => !replsets.includes(replset))
    if (idle.length === 0 && !isOver) return await this.#place(view, config, replsets)
    this.#betterSince.clear()
    const now = this.#options.clock.now()
    // One that was elected and failed at once would fail again.
    const failed = view.document?.replsets.some(({ status }) => status === 'error') === true
    if (now < this.#retryAt || (failed && now < this.#electedAt + RETRY_MS)) return
    // An election is the whole cluster's, so those that slice stop for it, after a last chunk.
    if (view.slicers.length === 0) await this.#elect(config, replsets, signal)
    else if (view.document?.status !== 'reconfig') await setPitrStatus(this.#options.leader, 'reconfig')
  }

  async #beat({ document }: SlicingView): Promise<void> {
    const { clock, leader } = this.#options
    if (document === undefined || clock.now() - this.#beatenAt < HEARTBEAT_MS) return
    this.#beatenAt = clock.now()
    await beatPitr(leader)
  }

  /**
   * Replica sets where an election finds nobody: it would stop all the others, each time. Those without an agent that is well,
   * and shards added since the last full backup where no member can begin with what its shard ever did.
   */
  async #withoutCandidate(config: Config, replsets: readonly string[]): Promise<readonly string[]> {
    const { leader, host, clock } = this.#options
    if (replsets.length === 0) return []
    if (clock.now() < this.#askedAt + RETRY_MS) return this.#hopeless.filter((rs) => replsets.includes(rs))
    this.#askedAt = clock.now()
    const { oplogOnly } = config.pitr ?? {}
    const hasBase = async (rs: string) =>
      oplogOnly === true || (await findNewestBase(leader, config, host, rs)) !== undefined
    const bases = await Promise.all(replsets.map(hasBase))
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const { unwell, added } = withoutCandidate({
      replsets,
      withBase: new Set(replsets.filter((_rs, at) => bases[at] === true)),
      fit: candidates(agents, now, slicingNeeds(config)),
      isRefused: (node) => this.#isRefused(node),
    })
    const whyUnwell = 'no agent there is well (pbm status shows why)'
    const whyAdded = 'no full backup has it yet, and no agent there can begin with all that it ever did'
    const why = [
      ...unwell.map((rs) => `${rs}: ${whyUnwell}`),
      ...added.map((rs) => `${rs}: ${whyAdded}; make one with pbm backup`),
    ].join('; ')
    const log = this.#options.log({ event: 'pitr', epoch: config.epoch })
    if (why !== '') this.#tell(config, `the oplog of some replica sets can't be stored: ${why}`, log)
    this.#hopeless = [...unwell, ...added]
    return this.#hopeless
  }

  #isRefused(node: string): boolean {
    return (this.#refused.get(node) ?? 0) > this.#options.clock.now()
  }

  async #elect(config: Config, replsets: readonly string[], signal: AbortSignal): Promise<void> {
    const { leader, clock, host } = this.#options
    const log = this.#options.log({ event: 'pitr', epoch: config.epoch })
    if (config.pitr?.oplogOnly !== true) {
      const [base, restore] = await Promise.all([findNewestBase(leader, config, host), findNewestRestore(leader)])
      const missing = missingSnapshot(base, restore)
      if (missing !== undefined) return this.#tell(config, `the oplog can't be stored: ${missing}`, log)
    }
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const seen = storagePlaces(agents, now, config.epoch)
    const places = withoutFaults(seen)
    if (places.length > 1) return this.#tell(config, `the oplog can't be stored: ${placesText(places)}`, log)
    const fault = seen[0]?.fault
    if (places.length === 0 && fault !== undefined)
      return this.#tell(config, `the oplog can't be stored: ${fault}`, log)
    const fit = candidates(agents, now, slicingNeeds(config)).filter(({ rs }) => replsets.includes(rs))
    if (fit.length === 0) {
      return this.#tell(config, "the oplog can't be stored: no agent is well (pbm status shows why)", log)
    }
    const rules = { priority: config.pitr?.priority }
    const { winners, refusals } = await electSlicers({ leader, replsets, fit, rules, signal, log, clock })
    this.#electedAt = clock.now()
    for (const [rs, node] of winners) log.info(`${rs}/${node} stores the oplog`)
    const idle = replsets.filter((rs) => !winners.has(rs))
    if (idle.length === 0) {
      this.#told = ''
      return
    }
    this.#retryAt = clock.now() + RETRY_MS
    for (const { n, rs } of fit) if (idle.includes(rs)) this.#refused.set(n, clock.now() + REFUSED_MS)
    for (const rs of idle) {
      const reasons = new Set(refusals.filter(({ name }) => name === rs).map(({ error }) => error))
      const why = reasons.size === 0 ? 'no agent took it' : [...reasons].join('; ')
      this.#tell(config, `nobody stores the oplog of ${rs}: ${why}`, log)
    }
  }

  /** Once for each reason and configuration: `status` shows the newest error of the present configuration. */
  #tell(config: Config, text: string, log: OperationLog): void {
    const key = `${config.epoch.toString()} ${text}`
    if (this.#told === key) return
    this.#told = key
    log.error(text)
  }

  /** Hands over where another member has been better placed for a while, and at once when priorities were changed. */
  async #place({ slicers, document, now }: SlicingView, config: Config, replsets: readonly string[]): Promise<void> {
    const { leader, clock } = this.#options
    if (document?.status === 'reconfig') return
    const rules = { priority: config.pitr?.priority }
    const priorities = JSON.stringify(rules)
    const changed = this.#priorities !== '' && this.#priorities !== priorities
    this.#priorities = priorities
    const agents = await listAgents(leader)
    if (this.#isDifferent(withoutFaults(storagePlaces(agents, now, config.epoch)), config))
      return await setPitrStatus(leader, 'reconfig')
    const fit = candidates(agents, now, slicingNeeds(config))
    for (const rs of replsets) {
      const holder = slicers.find(({ replset }) => replset === rs)?.node ?? ''
      const ofSet = fit.filter((agent) => agent.rs === rs)
      const better = betterPlaced(holder, ofSet, rules)
      if (better === undefined) {
        this.#betterSince.delete(rs)
        continue
      }
      const since = this.#betterSince.get(rs) ?? clock.now()
      this.#betterSince.set(rs, since)
      if (!changed && clock.now() - since < STEADY_MS) continue
      const log = this.#options.log({ event: 'pitr', epoch: config.epoch })
      log.info(`${rs}/${better} is better placed to store the oplog than ${holder}, which hands over`)
      this.#betterSince.clear()
      return await setPitrStatus(leader, 'reconfig')
    }
  }

  /** Chunks at several places are a gap at each: slicing stops, and no election is held until all see one place again. */
  #isDifferent(places: readonly StoragePlace[], config: Config): boolean {
    const { clock } = this.#options
    if (places.length < 2) {
      this.#differentSince = undefined
      return false
    }
    this.#differentSince ??= clock.now()
    if (clock.now() - this.#differentSince < DIFFERENT_MS) return false
    const log = this.#options.log({ event: 'pitr', epoch: config.epoch })
    this.#tell(config, `the oplog can't be stored: ${placesText(places)}`, log)
    return true
  }

  /** A restore has switched slicing off; the first snapshot since switches it on again. */
  async #resume({ document, operations }: SlicingView, config: Config): Promise<void> {
    if (document?.resume !== true || delaysSlicing(operations) !== undefined) return
    const { leader, host, clock } = this.#options
    if (clock.now() < this.#retryAt) return
    this.#retryAt = clock.now() + 1_000
    const [base, restore] = await Promise.all([findNewestBase(leader, config, host), findNewestRestore(leader)])
    const waits = config.pitr?.oplogOnly !== true && missingSnapshot(base, restore) !== undefined
    const log = this.#options.log({ event: 'pitr', epoch: config.epoch })
    if (waits) {
      const text = 'point-in-time recovery is off since a restore; it goes on by itself after the next full backup'
      if (this.#told !== text) log.warning(text)
      this.#told = text
      return
    }
    this.#told = ''
    this.#retryAt = Number.NEGATIVE_INFINITY
    await resumePitr(leader)
    log.info('point-in-time recovery is on again, as it was before the restore')
  }
}

/** A member that sees another storage than the one that was used is known to be wrong, and stores no oplog. */
function withoutFaults(places: readonly StoragePlace[]): StoragePlace[] {
  return places.filter(({ fault }) => fault === undefined)
}
