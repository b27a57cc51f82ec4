import type { MongoClient, Timestamp } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import { beginUsing, requireKnownStorage } from '../catalog/known-storage.js'
import { refuseTakenName } from '../catalog/taken-name.js'
import type { Config } from '../config/document.js'
import type { BackupDocument, BackupReplset, BackupStatus } from '../control/backup-document.js'
import {
  acknowledgeNomination,
  addBackupSize,
  findBackup,
  removeUnbegunBackup,
  setBackupFields,
  setBackupStatus,
  setReplsetFields,
} from '../control/backups.js'
import type { CommandDocument } from '../control/command-document.js'
import { requireConfig } from '../control/config.js'
import type { LockDocument } from '../control/locks.js'
import { isMain, requireStorage } from '../control/profiles.js'
import { requireRights } from '../control/rights.js'
import type { ConfiguredStorage } from '../control/storage-memory.js'
import type { Ciphers } from '../encryption/ciphers.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { gossipClusterTime, signedClusterTime, writtenByNow } from '../mongo/causal.js'
import type { ServerOptions } from '../mongo/server-options.js'
import type { Member } from '../mongo/topology.js'
import { clusterMembers, type NodeInfo, nodeInfo } from '../mongo/topology.js'
import { toTimestamp } from '../oplog/entry.js'
import { lastWriteAfter } from '../oplog/reading/last-write-after.js'
import { findOplogStart, majorityLastWrite } from '../oplog/reading/window.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import { PluginHost } from '../plugin-host/host.js'
import { busyText } from '../protocol/busy.js'
import { type HeldLock, isHeld } from '../protocol/lock.js'
import { acquireLockAfterResync } from '../protocol/lock-wait.js'
import { awaitNomination } from '../protocol/nomination.js'
import { BACKUP_KIND } from '../protocol/operation-kind.js'
import { OperationRun, type OperationSteps } from '../protocol/operation-run.js'
import {
  CIPHERS,
  CLOCK,
  COMPRESSION,
  LEADER,
  NODE,
  NODE_URI,
  OPERATION_LOG,
  SELF,
  STORE,
  WITH_PRIMARY,
  type WithPrimary,
} from '../protocol/tokens.js'
import { pauseBalancer, resumeBalancer } from '../recovery/balancer-pause.js'
import type { OpenStore } from '../store/open-store.js'
import { transferOf } from '../store/wrappers/meter.js'
import type { Clock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { requireAllShards, requireNoBarriers } from './cluster-changes.js'
import { compressionLevel } from './compression-level.js'
import { endAfterAllDumps, lastWriteOf, passTimeToLeader, setClusterTime, setLatestWrite } from './cut.js'
import { discardBackup, recordLostBackup } from './failure.js'
import { awaitNothingHalfDone, halfDoneSince } from './half-done.js'
import { joinBackup } from './join.js'
import type { RunOptions } from './leader.js'
import { ReplsetBackup } from './logical/replset.js'
import { requireOneFolder } from './mark.js'
import { holdPart } from './physical/external-part.js'
import { decidedSource, decideSource, makeBase, requireChain } from './physical/increment.js'
import { longestLock } from './physical/longest-lock.js'
import { type OnePoint, storeFiles } from './physical/part.js'
import { requirePhysical } from './physical/readiness.js'
import { requireSpareMember } from './physical/spare-member.js'
import { publishBackup } from './publish.js'
import { PartSealing, refuseLayout } from './sealing.js'

type BackupCommandDocument = CommandDocument & { cmd: 'backup' }

/** How long the replica sets are given to begin (PBM: control-plane.md §5.1). */
const STARTING_SECONDS = 33

/**
 * How long deleting the objects of a failed backup may keep its failure from being told, and the next backup from beginning:
 * a storage that hangs does so for ever. The watch over failed backups deletes what is left.
 */
const DISCARD_MS = 120_000

const DEFAULT_PARALLEL_FILES = 2

/** What a part ended with, for its record, and how many objects it has. */
interface StoredPart {
  readonly ended: Partial<BackupReplset> & Pick<BackupReplset, 'size' | 'size_uncompressed'>
  readonly objects: number
}

/** What every step of the work needs. */
interface BackupWork extends OperationSteps<BackupStatus> {
  readonly command: BackupCommandDocument
  readonly config: Config
  readonly info: NodeInfo
  /** Whether this replica set leads the backup: the leader replica set's nominee does. */
  readonly leads: boolean
  /** From then on the backup's folder has objects of its own. */
  readonly onBegun: () => void
}

/**
 * One replica set's part of a backup, on the agent that its election chose; the nominee of the leader replica set also
 * leads the others from state to state (PBM: control-plane.md §5.1, steps 4 to 16).
 */
@injectable()
export class BackupNominee {
  readonly #context

  constructor(
    @inject(NODE) node: MongoClient,
    @inject(LEADER) leader: MongoClient,
    @inject(WITH_PRIMARY) withPrimary: WithPrimary,
    @inject(SELF) self: Member,
    @inject(STORE) store: OpenStore,
    @inject(COMPRESSION) compression: CompressionPlugin,
    @inject(OPERATION_LOG) log: OperationLog,
    @inject(CLOCK) clock: Clock,
    @inject(PluginHost) host: PluginHost,
    @inject(CIPHERS, { isOptional: true }) ciphers: Ciphers | undefined,
    @inject(NODE_URI, { isOptional: true }) uri: string | undefined,
  ) {
    this.#context = { node, leader, withPrimary, self, store, compression, log, clock, host, ciphers, uri }
  }

  /**
   * Waits for the nomination and does the work. Resolves with whether this agent did it; rejects when it failed, after
   * everything is marked and cleaned.
   */
  async run(command: BackupCommandDocument, { signal }: RunOptions): Promise<boolean> {
    const { leader, self, clock, log } = this.#context
    const backup = command.backup.name
    const opid = command._id.toHexString()
    const outcome = await awaitNomination({ leader, backup, opid, rs: self.rs, node: self.node, signal, clock })
    if (outcome !== 'nominated') {
      log.debug(`not nominated for backup ${backup}: ${outcome}`)
      return false
    }
    const config = await requireConfig(leader)
    const lock = await acquireLockAfterResync({
      leader,
      clock,
      log,
      signal,
      header: { type: 'backup', replset: self.rs, node: self.node, opid, epoch: config.epoch },
    })
    if (!isHeld(lock)) {
      log.debug(`backup ${backup} is not for this agent: ${lock.refused}`)
      if (lock.refused === 'concurrent') await this.#refuse(command, lock.by)
      return false
    }
    try {
      await this.#execute(command, config, lock, signal)
      return true
    } finally {
      await lock.release()
    }
  }

  /** Both were let begin at the same moment. No other member gets the lock either: whoever waits may know at once. */
  async #refuse(command: BackupCommandDocument, by: LockDocument | undefined): Promise<void> {
    const { leader, log } = this.#context
    const backup = command.backup.name
    const error = busyText(by)
    log.error(`backup ${backup} does not begin: ${error}`)
    if (await removeUnbegunBackup(leader, backup, command._id.toHexString())) return
    await setBackupStatus(leader, backup, 'error', { error, by: 'leader' })
  }

  async #execute(command: BackupCommandDocument, config: Config, lock: HeldLock, signal: AbortSignal) {
    const { node, leader, self, log, clock } = this.#context
    const { name } = command.backup
    const [info, leading, members] = await Promise.all([nodeInfo(node), nodeInfo(leader), clusterMembers(leader)])
    const leads = leading.rs === self.rs
    const replsets = members.map(({ rs }) => rs)
    let known: BackupDocument | undefined
    let hasBegun = false
    const onBegun = () => {
      hasBegun = true
    }
    const run = new OperationRun(
      { leader, self, log, clock },
      {
        kind: BACKUP_KIND,
        title: `backup ${name}`,
        ...{ name, leads, replsets, lock, signal },
        announce: async () => {
          await acknowledgeNomination(leader, name, self.rs, self.node)
          known = await findBackup(leader, name)
        },
        discard: async () => {
          if (hasBegun) await this.#discard(command, replsets)
        },
        putBack: async ({ text }) => {
          if (known !== undefined) await recordLostBackup(leader, known, text)
        },
        resume: () => this.#startBalancerAgain(name, info),
      },
    )
    await run.execute((steps) => this.#work({ ...steps, command, config, info, leads, onBegun }))
  }

  async #work(work: BackupWork): Promise<void> {
    const { command, config, info, leads, onBegun, signal, guard, reach } = work
    const { leader, node, self, log, clock, store, compression, ciphers, host } = this.#context
    const { name, type } = command.backup
    await requireRights(node, 'backup-agent', { sharded: info.isSharded, version: info.version })
    const server = type === 'logical' ? undefined : await requirePhysical(node)
    if (type === 'external') await requireSpareMember(node, info)
    // Of an external one, only the record is stored.
    const sealing = type === 'external' ? undefined : await this.#sealing(config, type)
    const { from, start } = await findOplogStart(node)
    log.info(`backup of ${self.rs} from ${self.node} begins`)
    const storage = await this.#configured(command)
    if (leads) await this.#initialise(command, storage, { sealing, signal })
    if (leads && info.isSharded) {
      await pauseBalancer(leader, name, { signal, clock, log, timeoutSeconds: config.backup?.timeouts?.balancerStop })
    }
    const described = { config, info, self, suffix: compression.suffix, backup: name }
    const join = () =>
      joinBackup(leader, {
        ...{ ...described, encryption: sealing?.record, mongodOpts: server?.mongodOpts },
        start: toTimestamp(start),
      })
    await reach('running', {
      join,
      timeoutMs: (config.backup?.timeouts?.startingStatus || STARTING_SECONDS) * 1000,
    })
    onBegun()
    if (leads) await setClusterTime(leader, name, 'first')
    if (leads && info.isSharded) await requireAllShards(leader, name)

    const { ended, objects } = await this.#storePart(work, sealing, { server, from: toTimestamp(from) })
    await setReplsetFields(leader, name, self.rs, { ...ended, ...sealing?.ended(objects) })
    const transfer = transferOf(store.figures?.())
    if (transfer !== undefined) await setReplsetFields(leader, name, self.rs, { transfer })
    await addBackupSize(leader, name, { size: ended.size, uncompressed: ended.size_uncompressed })

    const publish = async () => {
      if (info.isSharded) await requireNoBarriers({ leader, node, signal }, name)
      await this.#startBalancerAgain(name, info)
      if (server !== undefined && !info.isSharded) await setClusterTime(leader, name, 'first')
      if (type === 'incremental') await requireChain({ leader, store, signal }, name)
      // A share may have gone while it was written to.
      await requireKnownStorage(store, storage, { signal })
      await publishBackup({ leader, store, ciphers, host, guard }, name)
    }
    await reach('done', { before: publish })
    log.info('backup finished')
  }

  async #storePart(
    work: BackupWork,
    sealing: PartSealing | undefined,
    { server, from }: { readonly server: ServerOptions | undefined; readonly from: Timestamp },
  ): Promise<StoredPart> {
    if (server === undefined) return await this.#storeData(work, sealing, from)
    if (work.command.backup.type !== 'external') return await this.#storeFiles(work, sealing, server)
    return { ended: await holdPart(this.#context, work, server), objects: 0 }
  }

  async #storeData(
    { command, config, info, signal, reach }: BackupWork,
    sealing: PartSealing | undefined,
    start: Timestamp,
  ): Promise<StoredPart> {
    const { leader, node, withPrimary, self, store, compression, log, clock } = this.#context
    const wait = { member: self.node, clock, signal, log }
    const part = new ReplsetBackup({
      ...{ node, leader, withPrimary, compression, log, clock, signal, config, info, start },
      store: sealing?.store(command.backup.name) ?? store,
      sealed: sealing !== undefined,
      command: command.backup,
      replset: self.rs,
    })
    try {
      const { begun, finish } = await part.dump()
      if (info.shardId !== undefined) await awaitNothingHalfDone(node, { clock, log, signal })
      const dumped = await majorityLastWrite(node)
      if (info.isSharded) await passTimeToLeader(node, leader, begun)
      await reach('dumpDone')
      const end = await (info.isSharded ? endAfterAllDumps(node, leader, wait) : lastWriteAfter(node, begun, wait))
      const { oplog, stored, objects, bytes, uncompressedBytes } = await finish(end)
      const halfDone = info.shardId === undefined ? [] : await halfDoneSince(node, dumped, signal)
      const ended = {
        ...{ last_write_ts: end, size: bytes, size_uncompressed: uncompressedBytes },
        ...{ oplog_objects: oplog, objects: stored },
        ...(halfDone.length === 0 ? {} : { half_done: halfDone }),
      }
      return { ended, objects }
    } finally {
      await part.close()
    }
  }

  /** What was acknowledged before the command is in the files, however far this member was behind. */
  async #storeFiles(work: BackupWork, sealing: PartSealing | undefined, server: ServerOptions): Promise<StoredPart> {
    const { command, config, info, signal, progress } = work
    const { node, leader, withPrimary, self, store, compression, log, clock, ciphers, uri = '' } = this.#context
    const { numParallelFiles, name, type } = command.backup
    const source = type === 'incremental' ? await decidedSource({ leader, store }, ciphers, name) : undefined
    const begun = await withPrimary((primary) => writtenByNow(primary))
    await lastWriteAfter(node, begun, { member: self.node, clock, signal, log })
    const { lastWrite, objects, bytes, uncompressedBytes, stored, isUpon } = await storeFiles({
      ...{ node, uri, server, compression, log, clock, signal, progress },
      store: sealing?.store(name) ?? store,
      sealed: sealing !== undefined,
      command: command.backup,
      replset: self.rs,
      level: compressionLevel(command.backup, config),
      maxLockMs: longestLock(config, info),
      parallel: numParallelFiles || config.backup?.numParallelFiles || DEFAULT_PARALLEL_FILES,
      increment: type === 'incremental' ? { source } : undefined,
      cluster: info.isSharded ? this.#onePoint(work) : undefined,
    })
    // Of a cluster, other parts may be made upon it.
    if (source !== undefined && !isUpon && !info.isSharded) await makeBase({ leader, log }, name)
    const ended = {
      // What changes the cluster is looked for from where it began.
      ...{ ...(!info.isSharded && { first_write_ts: lastWrite }), last_write_ts: lastWrite },
      ...{ size: bytes, size_uncompressed: uncompressedBytes, objects: stored },
    }
    return { ended, objects }
  }

  /** All are locked at once, and get what was written up to the last of their copies. */
  #onePoint({ command, signal, reach }: BackupWork): OnePoint {
    const { node, leader, self, log, clock } = this.#context
    const { name } = command.backup
    return {
      ready: () => reach('copyReady'),
      agree: async (lastWrite) => {
        await setReplsetFields(leader, name, self.rs, { last_write_ts: lastWrite })
        await gossipClusterTime(leader, await signedClusterTime(node))
        await reach('dumpDone', { before: () => setLatestWrite(leader, name) })
        const operation = await lastWriteOf(leader, name)
        const time = { operation, cluster: await signedClusterTime(leader) }
        await lastWriteAfter(node, time, { member: self.node, clock, signal, log })
        return operation
      },
    }
  }

  async #configured({ backup: { profile } }: BackupCommandDocument): Promise<ConfiguredStorage> {
    const { leader, host } = this.#context
    const storage = await requireStorage(leader, profile)
    return { leader, host, storage, ...(isMain(profile) ? {} : { profile }) }
  }

  /** Nobody writes into the backup's folder before. */
  async #initialise(
    command: BackupCommandDocument,
    storage: ConfiguredStorage,
    { sealing, signal }: { sealing: PartSealing | undefined; signal: AbortSignal },
  ): Promise<void> {
    const { store, leader, clock, log, self } = this.#context
    const { name, type } = command.backup
    await beginUsing(store, storage, { signal })
    await refuseTakenName(store, name, { signal })
    await setBackupFields(leader, name, { began_here: true })
    await requireOneFolder({ leader, store, clock, log, signal }, { backup: name, opid: command._id.toHexString() })
    if (type === 'incremental')
      await decideSource({ leader, store, self, log, signal }, command.backup, sealing?.record.type)
  }

  /** Before anything is written: a backup whose key is missing must not begin. */
  async #sealing(config: Config, type: BackupDocument['type']): Promise<PartSealing | undefined> {
    const { store, ciphers, self } = this.#context
    const method = await ciphers?.current()
    if (method === undefined || ciphers === undefined) return undefined
    if (type === 'logical') refuseLayout(config)
    return new PartSealing(store, ciphers, method, self.rs)
  }

  /** Where this fails, the agent that watches over dead operations does it. */
  async #startBalancerAgain(backup: string, info: NodeInfo): Promise<void> {
    const { leader, log } = this.#context
    if (!info.isSharded) return
    try {
      if ((await findBackup(leader, backup))?.balancer_stopped !== true) return
      await resumeBalancer(leader, backup, log)
    } catch (error) {
      log.error(`the balancer could not be started again: ${errorText(error)}`)
    }
  }

  async #discard(command: BackupCommandDocument, replsets: readonly string[]): Promise<void> {
    const { leader, store, compression, log } = this.#context
    const { name } = command.backup
    const begun = { name, opid: command._id.toHexString(), replsets, suffix: compression.suffix }
    const late = () => new Error('the storage takes too long; it is tried again later')
    const discarding = discardBackup(leader, store, begun, AbortSignal.timeout(DISCARD_MS))
    await inTime(discarding, DISCARD_MS, late).catch((error: unknown) =>
      log.error(`cannot delete the objects: ${errorText(error)}`),
    )
  }
}
