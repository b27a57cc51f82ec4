import {
  type AgentPlugins,
  agentErrors,
  allRepairs,
  type BackupDocument,
  backupCanceled,
  type CommandDocument,
  deleteFailed,
  ensureControlCollections,
  errorText,
  inTime,
  isCanceled,
  type Log,
  leftoversOf,
  type Member,
  nodeInfo,
  noteRefused,
  openLog,
  operationCanceled,
  PbmError,
  PluginHost,
  recordRefusal,
  removeAgent,
  requireConfig,
  seeStorage,
  storageFingerprint,
  systemClock,
  untriedServerText,
  type WithPrimary,
  wasUsed,
  watchCommands,
  watchStaleOperations,
} from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import type { Logger } from 'pino'
import { type Connections, workWithPrimary } from './connect.js'
import { CredentialWatch } from './credential-watch.js'
import { dispatch } from './dispatch.js'
import { needsFirstResync, resyncCommand } from './first-resync.js'
import { KeyWatch } from './key-watch.js'
import { leadsCluster } from './leadership.js'
import { clearLeftBehind } from './left-behind.js'
import type { LocalRepair } from './local-repair.js'
import { type LocalRepairs, localRepairs } from './local-repairs.js'
import type { MetricsSource } from './metrics/metrics.js'
import { noticeSender } from './notify/send.js'
import type { AgentContext, HandedOver } from './operations/context.js'
import { PluginWatch } from './plugin-watch.js'
import { RunDuties } from './run-duties.js'
import type { Settings } from './settings.js'
import { Slicing } from './slicing-loop.js'
import { STATUS_MS, StatusPublisher } from './status.js'
import { StorageWatch } from './storage-watch.js'
import { openStorageOf } from './storages.js'
import { takeOverFile } from './take-overs.js'
import { type Task, Tasks } from './tasks.js'

/** How long marking, cleaning and unlocking may take once work was told to stop. */
const MARK_MS = 20_000

/** How often an agent looks whether slicing, which reads it anyway, has seen another configuration. */
const EPOCH_POLL_MS = 250

export interface AgentOptions {
  readonly settings: Settings
  readonly connections: Connections
  readonly logger: Logger
  /** What this agent can load, where a simulation has looked for all of its agents at once. */
  readonly plugins?: () => Promise<AgentPlugins>
}

/**
 * One agent beside one mongod: reports its status, follows the command feed, and runs what concerns its node. Connections
 * outlive elections and restarts of servers; what fails meanwhile is tried again.
 */
export class Agent {
  readonly #context: AgentContext
  readonly #connections: Connections
  readonly #settings: Settings
  readonly #central: Log
  readonly #tasks = new Tasks()
  readonly #stopping = new AbortController()
  readonly #leaving = new AbortController()
  #handedOver: HandedOver | undefined
  readonly #storage: StorageWatch
  readonly #status: StatusPublisher
  readonly #slicing: Slicing
  readonly #duties: RunDuties
  readonly #loops: Promise<void>[] = []
  readonly #repairs: LocalRepairs

  private constructor(options: AgentOptions, leaderReplset: string) {
    const { settings, connections, logger } = options
    const { node, leader, info } = connections
    const self: Member = { rs: info.rs, node: info.me }
    const host = new PluginHost({
      resolveFrom: import.meta.url,
      pluginDir: settings.pluginDir,
      localAccess: settings.localAccess,
    })
    this.#settings = settings
    this.#connections = connections
    const { dumpParallelCollections } = settings
    const { signal } = this.#stopping
    const keys = new KeyWatch({ host, node: self.node, signal })
    const answerWithKeys: AgentContext['answerWithKeys'] = async (encryption, opid) => {
      await keys.answer(encryption, opid)
      await this.#status.publish()
    }
    const withPrimary: WithPrimary = (work) =>
      info.rs === leaderReplset ? work(leader) : workWithPrimary(settings.mongodbUri, work)
    const answerWithStorage: AgentContext['answerWithStorage'] = async (config, opid, how) => {
      const status = await this.#storage.answer(config, opid, how)
      await this.#status.publish()
      return status
    }
    const handOver = (handedOver: HandedOver) => {
      this.#handedOver = handedOver
      this.#leaving.abort()
    }
    const answerWithMark: AgentContext['answerWithMark'] = async (mark) => {
      this.#status.noteMark(mark)
      await this.#status.publish()
    }
    const answers = { answerWithKeys, answerWithStorage, answerWithMark }
    const physical = { handOver, takeOverFile: takeOverFile(settings), startCommand: settings.mongodStart }
    const { scratch } = settings
    const work = { ...physical, scratch, ...answers, withPrimary, nodeUri: settings.mongodbUri }
    const given = { clock: systemClock, dumpParallelCollections, ...work }
    this.#context = { leader, node, leaderReplset, self, host, ...given }
    this.#central = openLog({ leader, local: logger.child(self), self })
    const checkup = this.#central.operation({ event: 'agentCheckup' })
    this.#storage = new StorageWatch({
      ...{ host, node: self.node, signal, keys, clock: systemClock },
      warn: (text) => checkup.warning(text),
      isUsed: (storage) => wasUsed(leader, storage, host),
      see: async (store, storage, call) => ({
        ...(await seeStorage(store, { leader, host, storage }, call)),
        at: await storageFingerprint(storage, host),
      }),
    })
    this.#repairs = localRepairs({
      ...{ leader, node, self, clock: systemClock, log: checkup },
      backsUp: () => this.#tasks.running.some(({ kind }) => kind === 'backup'),
    })
    this.#slicing = new Slicing(
      this.#context,
      (context) => this.#central.operation(context),
      () => this.#storage.doubt(),
    )
    const { localAccess, allowNotify: allowed } = settings
    const send = noticeSender({ cluster: leaderReplset, localAccess, allowed, host, signal })
    this.#duties = new RunDuties(this.#context, this.#central, send)
    const watch = new PluginWatch({ resolveFrom: import.meta.url, pluginDir: settings.pluginDir, signal })
    this.#status = new StatusPublisher({
      leader,
      node,
      self,
      isSharded: info.isSharded,
      version: info.version,
      storage: this.#storage,
      keys,
      credentials: new CredentialWatch({
        ...{ uri: settings.mongodbUri, node, leader, clock: systemClock, everyMs: settings.checkUser * 1000 },
        isShard: leaderReplset !== self.rs,
      }),
      plugins: options.plugins ?? (() => watch.plugins()),
      warn: (text) => checkup.warning(text),
    })
  }

  /** Creates what is missing in the control database. */
  static async start(options: AgentOptions): Promise<Agent> {
    const { leader, leaderReplset, node } = options.connections
    await clearLeftBehind(
      { node, scratchFolder: options.settings.scratch.folder },
      { warning: (text) => options.logger.warn(text) },
    )
    await ensureControlCollections(leader)
    return new Agent(options, leaderReplset)
  }

  get metricsSource(): MetricsSource {
    const { leader, self } = this.#context
    return { leader, self, mongodbVersion: this.#connections.info.version, lastReport: () => this.#status.last }
  }

  /**
   * Works until the signal aborts, or until a physical restore needs the mongod for itself: then what is left to be done is
   * given. Rejects with a fault that can't be mended by trying again.
   */
  async runUntil(signal: AbortSignal): Promise<HandedOver | undefined> {
    const ended = AbortSignal.any([signal, this.#stopping.signal, this.#leaving.signal])
    // Whoever sees an agent reported may send it a command at once: from then on none may be missed.
    const listening = Promise.withResolvers<void>()
    const following = this.#follow(ended, listening.resolve)
    this.#loops.push(following)
    await Promise.race([listening.promise, following])
    if (ended.aborted) return this.#handedOver
    await this.#announce()
    const loops = [
      this.#report(ended),
      this.#watchStale(ended),
      this.#readStorageAtFirst(ended),
      ...Object.values(this.#repairs).map((repair: LocalRepair) => repair.run(ended)),
      this.#slicing.runUntil(ended),
      this.#duties.run(ended),
    ]
    this.#loops.push(...loops)
    await Promise.all([following, ...loops])
    return this.#handedOver
  }

  /** The first report. */
  async #announce(): Promise<void> {
    const { info } = this.#connections
    const checkup = this.#central.operation({ event: 'agentCheckup' })
    if (info.isArbiter) checkup.info('this node is an arbiter: it holds no data, so this agent only reports its status')
    if (info.delaySecs > 0) {
      checkup.info(`this node is delayed by ${info.delaySecs} s: this agent takes no backups and does not slice`)
    }
    const { nodes, stors, restoreRights } = await this.#status.publish()
    if (!nodes.ok) checkup.warning(`node: ${nodes.e}`)
    if (!stors.ok) checkup.warning(`storage: ${stors.e}`)
    if (restoreRights !== undefined) checkup.warning(`this agent can't restore: ${restoreRights}`)
    checkup.info(`started beside ${info.rs}/${info.me}, MongoDB ${info.version}`)
    const untried = untriedServerText(info.version)
    if (untried !== undefined) checkup.warning(untried)
  }

  /**
   * Lets running work end within the grace period, else stops it, which marks it and deletes its partial objects; releases
   * locks; takes the status document away. With `keepsConnections`, a lock that was handed over goes on being held.
   */
  async stop(why: string, { keepsConnections = false } = {}): Promise<void> {
    const { self, leader } = this.#context
    const log = this.#central.operation({ event: 'agentCheckup' })
    this.#stopping.abort()
    const slicing = this.#slicing.stop(this.#settings.stopGrace * 1000)
    if (this.#tasks.running.length > 0) {
      const names = this.#tasks.running.map(({ name }) => name).join(', ')
      log.info(`waiting up to ${this.#settings.stopGrace} s for ${names}`)
      if (!(await this.#tasks.settled(this.#settings.stopGrace * 1000))) {
        this.#tasks.abortAll(new PbmError('AGENT_STOPPED', `the agent on ${self.node} ${why}`))
        if (!(await this.#tasks.settled(MARK_MS))) log.error(`gave up waiting for ${names}`)
      }
    }
    await slicing
    const late = () => new Error('gave up waiting for the leader replica set to answer')
    await inTime(
      Promise.allSettled([...this.#loops, this.#repairs.ttl.underWay, this.#repairs.lock.underWay]),
      MARK_MS,
      late,
    ).catch((error) => log.warning(errorText(error)))
    await this.#storage.close()
    await inTime(removeAgent(leader, { n: self.node, rs: self.rs }), MARK_MS, late).catch(() => undefined)
    log.info('the agent stops')
    await this.#central.close()
    if (!keepsConnections) await this.#connections.close()
  }

  async #follow(signal: AbortSignal, onReady: () => void): Promise<void> {
    const { leader, self } = this.#context
    const log = this.#central.operation({ event: 'agentCheckup' })
    const commands = watchCommands(leader, {
      signal,
      replset: self.rs,
      onCancel: (command) => this.#cancel(command),
      onReady,
      onTrouble: (text) => log.warning(text),
    })
    for await (const command of commands) {
      try {
        if (command.cmd === 'cancelBeside') this.#cancel(command, command.cancelBeside.kind, operationCanceled())
        else this.#take(command)
      } catch (error) {
        log.error(`command ${command._id.toHexString()} can't be carried out: ${errorText(error)}`)
      }
    }
  }

  #cancel(command: CommandDocument, kind = 'backup', reason = backupCanceled()): void {
    const log = this.#central.operation({ event: command.cmd, opid: command._id.toHexString() })
    if (this.#tasks.abort(kind, reason) > 0) log.info(`canceling the ${kind}`)
    else log.debug(`no ${kind} runs here`)
  }

  #take(command: CommandDocument): Task {
    const opid = command._id.toHexString()
    const { kind, name, object, work } = dispatch(command)
    const early = this.#central.operation({ event: kind, object, opid })
    return this.#tasks.start(
      { kind, name },
      async (signal) => {
        const { leader, node } = this.#context
        const info = await nodeInfo(node)
        if (info.isArbiter) return
        const leads = await leadsCluster(this.#context, info)
        try {
          const config = await requireConfig(leader)
          const log = this.#central.operation({ event: kind, object, opid, epoch: config.epoch })
          await work({ ...this.#context, command, opid, config, info, leads, log, signal })
        } catch (error) {
          // As things are by now: an election may be what it failed by.
          const now = await nodeInfo(node)
          const isBusy = error instanceof PbmError && error.code === 'OPERATION_RUNNING'
          if (isBusy) await noteRefused(leader, command._id)
          else if (now.isPrimary || (await leadsCluster(this.#context, now))) {
            await recordRefusal(leader, command, errorText(error), isCanceled(signal.reason) ? 'canceled' : 'error')
          }
          throw error
        } finally {
          if (command.cmd === 'replay') this.#repairs.ttl.begin(this.#stopping.signal)
          if (command.cmd === 'backup' && command.backup.type !== 'logical')
            this.#repairs.lock.begin(this.#stopping.signal)
        }
      },
      (text) => early.error(text),
    )
  }

  async #report(signal: AbortSignal): Promise<void> {
    const log = this.#central.operation({ event: 'agentCheckup' })
    let told = ''
    let epoch: Timestamp | undefined
    while (!signal.aborted) {
      epoch = await this.#untilNextReport(epoch, signal)
      if (signal.aborted) return
      try {
        const trouble = agentErrors(await this.#status.publish()).join('; ')
        if (trouble !== told) trouble === '' ? log.info('all well again') : log.warning(trouble)
        told = trouble
      } catch (error) {
        const text = `the leader replica set can't be reached: ${errorText(error)}`
        if (text !== told) log.warning(text)
        told = text
      }
    }
  }

  /** A changed configuration is looked at soon: whoever changed it waits for what the agents say of the storage. */
  async #untilNextReport(known: Timestamp | undefined, signal: AbortSignal): Promise<Timestamp | undefined> {
    const { clock } = this.#context
    const due = clock.now() + STATUS_MS
    let epoch = known
    while (clock.now() < due && !signal.aborted) {
      await clock.sleep(EPOCH_POLL_MS, signal).catch(() => undefined)
      epoch = this.#slicing.epoch ?? epoch
      if (epoch !== undefined && (known === undefined || !epoch.equals(known))) return epoch
    }
    return epoch
  }

  async #watchStale(signal: AbortSignal): Promise<void> {
    const { leader, leaderReplset, node, host, clock } = this.#context
    const log = this.#central.operation({ event: 'agentCheckup' })
    const openStore = (backup: BackupDocument) => openStorageOf(backup, { ...this.#context, log })
    const repairs = [
      this.#duties.repair,
      ...allRepairs({
        ...{ leader, leaderReplset, host, clock, log, openStore },
        carryOut: (command) => this.#take(command).ended,
        logOf: (opid) => this.#central.operation({ event: 'resync', opid }),
      }),
    ]
    await watchStaleOperations({
      ...{ leader, signal, log, repairs },
      isClusterLeader: async () => await leadsCluster(this.#context, await nodeInfo(node)),
      onFailedBackup: (backup) =>
        deleteFailed(
          openStore,
          leftoversOf([backup], () => undefined),
          signal,
          ({ name }, objects) => log.info(`deleted ${objects} objects of failed backup ${name}`),
        ),
    })
  }

  /** A cluster that lost or never had its list of backups finds what is on the storage without being told. */
  async #readStorageAtFirst(signal: AbortSignal): Promise<void> {
    try {
      if (await needsFirstResync(this.#context, signal)) this.#take(resyncCommand())
    } catch (error) {
      if (signal.aborted) return
      this.#central.operation({ event: 'resync' }).warning(`the storage was not read at the start: ${errorText(error)}`)
    }
  }
}
