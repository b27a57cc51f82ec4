import type { MongoClient } from 'mongodb'
import { ObjectId } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import { AGENT_GONE_SECONDS, listAgents } from '../../control/agents.js'
import type { CommandDocument } from '../../control/command-document.js'
import { readConfig, readEpoch } from '../../control/config.js'
import { emptyReplset, emptyRestore } from '../../control/new-restore.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import {
  beatRestore,
  findRestoreByOpid,
  insertRestore,
  setRestoreFields,
  setRestoreReplsetFields,
  setRestoreStatus,
} from '../../control/restores.js'
import { unixSeconds } from '../../control/wire.js'
import { errorText, PbmError } from '../../errors.js'
import { clusterTime, secondsOf } from '../../mongo/cluster-time.js'
import { clusterMembers, type NodeInfo, nodeInfo } from '../../mongo/topology.js'
import { busyText } from '../../protocol/busy.js'
import { type Heartbeat, startHeartbeat } from '../../protocol/heartbeat.js'
import { isHeld } from '../../protocol/lock.js'
import { acquireLockAfterResync } from '../../protocol/lock-wait.js'
import { ProgressPublisher } from '../../protocol/progress.js'
import { resumeAfterRestore, suspendOthers } from '../../recovery/suspension.js'
import type { OpenStore } from '../../store/open-store.js'
import { until } from '../../time/until.js'
import { RestoreContext } from '../run/context.js'
import { fetchFiles } from './fetch.js'
import type { TakeOverJournal } from './journal.js'
import { journalOf, keptDocuments, type Prepared, preparePhysical, removeFresh } from './prepare.js'
import type { KeptDocuments } from './standalone.js'
import { SyncFiles } from './sync-files.js'

/** What is left to be done when the agent has let go of its mongod. */
export interface PlannedTakeOver {
  readonly journal: TakeOverJournal
  readonly kept: KeptDocuments
  readonly self: { readonly rs: string; readonly node: string }
  /** All that take part. */
  readonly nodes: readonly string[]
  /** Speaks for all; its agent took the lock. */
  readonly isCoordinator: boolean
}

/** How long the record may take to be there, and the agents to look whether they can take part. */
const RECORD_MS = 45_000
const JOIN_MS = 120_000
const POLL_MS = 200
const DEFAULT_PARALLEL_FILES = 4

type Command = CommandDocument & { cmd: 'restore' }

/**
 * A physical restore up to the moment that the servers end: every member looks whether it can, brings the files beside its
 * data, and checks them. Until then nothing is touched, and the database serves.
 */
@injectable()
export class PhysicalRestore {
  readonly #context

  constructor(@inject(RestoreContext) context: RestoreContext) {
    this.#context = context
  }

  /**
   * Undefined where this member has no part. Rejects with what it failed with, which record and storage say before.
   *
   * @param stores `backup` has the backup, `main` what the members agree by.
   */
  async prepare(
    command: Command,
    stores: { readonly backup: OpenStore; readonly main: OpenStore },
    signal: AbortSignal,
  ): Promise<PlannedTakeOver | undefined> {
    const { node, leader, self, log, clock } = this.#context
    const info = await nodeInfo(node)
    if (info.isArbiter) return undefined
    if (!info.isPrimary) {
      const record = await this.#findRecord(command, signal)
      if (record === undefined || record.status === 'error') return undefined
      return await this.#takePart(command, record, { info, stores, signal, isCoordinator: false })
    }
    const epoch = (await readEpoch(leader)) ?? (await clusterTime(leader))
    const opid = command._id.toHexString()
    const header = { type: 'restore' as const, replset: self.rs, node: self.node, opid, epoch }
    const lock = await acquireLockAfterResync({ leader, header, clock, log, signal })
    if (!isHeld(lock)) {
      if (lock.refused === 'concurrent') throw new PbmError('OPERATION_RUNNING', busyText(lock.by))
      return undefined
    }
    try {
      const record = await this.#announce(command, info)
      const held = AbortSignal.any([signal, lock.signal])
      return await this.#takePart(command, record, { info, stores, signal: held, isCoordinator: true })
    } finally {
      await lock.release()
    }
  }

  async #findRecord({ _id }: Command, signal: AbortSignal): Promise<RestoreDocument | undefined> {
    const { leader, clock } = this.#context
    const find = () => findRestoreByOpid(leader, _id.toHexString())
    return await until(find, { clock, signal, everyMs: POLL_MS, timeoutMs: RECORD_MS })
  }

  async #announce({ _id, restore }: Command, info: NodeInfo): Promise<RestoreDocument> {
    const { leader, self } = this.#context
    if (info.isSharded)
      throw new PbmError('RESTORE_UNSUPPORTED', 'physical restores of sharded clusters are not supported yet')
    const [now, hb, [replset]] = [unixSeconds(), await clusterTime(leader), await clusterMembers(leader)]
    const nodes = (replset?.members ?? []).filter(({ role }) => role !== 'arbiter').map(({ host }) => host)
    const record: RestoreDocument = {
      ...emptyRestore(restore, _id.toHexString(), now, hb),
      type: 'physical',
      bcp_chain: [restore.backupName],
      l: `${self.rs}/${self.node}`,
      replsets: [
        {
          ...emptyReplset(self.rs, now),
          node: self.node,
          nodes: nodes.map((name) => ({ name, status: 'starting', last_transition_ts: now, conditions: [] })),
          identity: new ObjectId().toHexString(),
        },
      ],
    }
    if (!(await insertRestore(leader, record)))
      throw new PbmError('RESTORE_EXISTS', `There is a restore ${record.name} already`)
    return record
  }

  async #takePart(
    command: Command,
    record: RestoreDocument,
    given: {
      info: NodeInfo
      stores: { backup: OpenStore; main: OpenStore }
      signal: AbortSignal
      isCoordinator: boolean
    },
  ): Promise<PlannedTakeOver> {
    const { node, leader, self, log, clock, host, ciphers } = this.#context
    const { info, stores, signal, isCoordinator } = given
    const { restore } = command
    const nodes = nodesOf(record)
    const sync = new SyncFiles({
      store: stores.main,
      restore: record.name,
      rs: self.rs,
      node: self.node,
      signal,
      clock,
    })
    const stopBeat = sync.beat(isCoordinator)
    const heartbeat = isCoordinator ? this.#startHeartbeat(record) : undefined
    let prepared: Prepared | undefined
    try {
      log.info(`physical restore of ${restore.backupName} begins`)
      if (isCoordinator) await this.#requireAgents(nodes)
      const preparing = { node, leader, self, log, host, ciphers, info, store: stores.backup, signal }
      prepared = await preparePhysical(restore, preparing)
      await sync.tell('starting')
      const reach = async (state: 'starting' | 'running' | 'copyDone', timeoutMs?: number) => {
        if (!isCoordinator) return await this.#follow(sync, state, timeoutMs)
        await sync.awaitNodes(nodes, state === 'running' ? 'starting' : state, timeoutMs)
        if (state === 'copyDone') await this.#suspend(record, signal)
        await sync.tellAll(state)
      }
      await reach('starting', JOIN_MS)
      await reach('running')
      if (isCoordinator) await setRestoreStatus(leader, record.name, 'running', { by: 'leader' })
      await sync.tell('running')
      await this.#fetch(record, prepared, { isCoordinator, parallel: restore.numParallelFiles })
      log.info('all files of the backup are here, and as they were stored')
      await sync.tell('copyDone')
      await reach('copyDone')
      const identity = record.replsets[0]?.identity ?? ''
      const journal = await journalOf(prepared, { node, record, identity, keepOldFiles: false })
      const kept = await keptDocuments(leader)
      return { journal, kept, self, nodes, isCoordinator }
    } catch (error) {
      const text = errorText(error)
      await sync.tell('error', text).catch((fault: unknown) => log.warning(errorText(fault)))
      if (isCoordinator) {
        await sync.tellAll('error', text).catch((fault: unknown) => log.warning(errorText(fault)))
        await this.#fail(record, text)
      }
      if (prepared !== undefined) await removeFresh(prepared).catch(() => undefined)
      throw error
    } finally {
      await heartbeat?.stop()
      await stopBeat()
    }
  }

  #startHeartbeat({ name }: RestoreDocument): Heartbeat {
    const { leader, clock, log } = this.#context
    return startHeartbeat({
      clock,
      beat: () => beatRestore(leader, name),
      reason: () => new PbmError('OPERATION_GONE', `the record of restore ${name} is gone`),
      onFailure: (error) => log.warning(`the heartbeat of the restore can't be written: ${errorText(error)}`),
    })
  }

  async #follow(
    sync: SyncFiles,
    state: 'starting' | 'running' | 'copyDone',
    timeoutMs: number | undefined,
  ): Promise<void> {
    const met = await sync.awaitCluster([state], timeoutMs)
    if (met === state) return
    if (met === undefined)
      throw new PbmError('RESTORE_NODE', `the member that leads the restore has not come to ${state} in time`)
    throw new PbmError('RESTORE_NODE', `the restore has failed: ${await sync.clusterError()}`)
  }

  /** PBM's own agents would go other ways, and a member without any would keep its old data. */
  async #requireAgents(nodes: readonly string[]): Promise<void> {
    const { leader, self } = this.#context
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const alive = agents.filter(({ rs, hb }) => rs === self.rs && secondsOf(now) - secondsOf(hb) <= AGENT_GONE_SECONDS)
    const faults = nodes.flatMap((node) => {
      const agent = alive.find(({ n }) => n === node)
      if (agent === undefined) return [`${node}: no agent is alive`]
      if (agent.physical === undefined) return [`${node}: its agent restores no physical backups as we do`]
      return agent.physical.ok ? [] : [`${node}: ${agent.physical.e}`]
    })
    if (faults.length === 0) return
    throw new PbmError('NO_CANDIDATE', `every member has to take part in a physical restore: ${faults.join('; ')}`, {
      hint: 'See pbm status; every member but arbiters needs a pbmkit agent beside it',
    })
  }

  async #suspend({ name }: RestoreDocument, signal: AbortSignal): Promise<void> {
    const { leader, clock, log } = this.#context
    await suspendOthers({ leader, name, isSharded: false, signal, clock, log })
  }

  async #fetch(
    { name }: RestoreDocument,
    { fetching, files, folder }: Prepared,
    { isCoordinator, parallel }: { isCoordinator: boolean; parallel: number | undefined },
  ): Promise<void> {
    const { leader, self, clock } = this.#context
    const progress = isCoordinator
      ? new ProgressPublisher(clock, (told) => setRestoreReplsetFields(leader, name, self.rs, { progress: told }))
      : undefined
    const bytes = files.reduce((sum, { fileSize }) => sum + fileSize, 0)
    progress?.phase('files', { bytes, documents: 0 })
    const configured = (await readConfig(leader))?.restore?.numParallelFiles
    const width = parallel || configured || DEFAULT_PARALLEL_FILES
    await fetchFiles(fetching, files, { folder, parallel: width, progress }).finally(() => progress?.settle())
  }

  async #fail({ name }: RestoreDocument, text: string): Promise<void> {
    const { leader, log } = this.#context
    const error = `${text}: Nothing of the data was changed.`
    await setRestoreStatus(leader, name, 'error', { error }).catch((fault: unknown) => log.error(errorText(fault)))
    await resumeAfterRestore(leader, name, log).catch((fault: unknown) => log.warning(errorText(fault)))
  }
}

function nodesOf({ replsets }: RestoreDocument): string[] {
  return replsets[0]?.nodes?.map(({ name }) => name) ?? []
}

export interface EndedTakeOver {
  /** As it began. */
  readonly record: RestoreDocument
  readonly status: 'done' | 'partlyDone' | 'error'
  readonly error?: string
}

/** The agent's, when the database serves again: writes down how the restore has ended. */
export async function recordTakeOver(leader: MongoClient, { record, status, error }: EndedTakeOver): Promise<void> {
  if (status === 'error') {
    await setRestoreStatus(leader, record.name, 'error', { error: error ?? '' })
    return
  }
  const now = unixSeconds()
  await insertRestore(leader, {
    ...record,
    hb: await clusterTime(leader),
    status,
    ...(error === undefined ? {} : { error }),
    conditions: [{ timestamp: record.start_ts, status: 'starting' }],
    replsets: record.replsets.map((replset) => ({ ...replset, status, last_transition_ts: now })),
  })
  await setRestoreFields(leader, record.name, { last_transition_ts: now })
}
