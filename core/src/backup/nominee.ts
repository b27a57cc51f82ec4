import type { MongoClient } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import { ensureInitObject } from '../catalog/init-object.js'
import type { Config } from '../config/document.js'
import type { BackupDocument } from '../control/backup-document.js'
import {
  acknowledgeNomination,
  addBackupSize,
  beatBackup,
  findBackup,
  setBackupStatus,
  setReplsetFields,
  setReplsetStatus,
} from '../control/backups.js'
import type { CommandDocument } from '../control/command-document.js'
import { requireConfig } from '../control/config.js'
import type { LockDocument } from '../control/locks.js'
import type { Ciphers } from '../encryption/ciphers.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Member } from '../mongo/topology.js'
import { clusterMembers, type NodeInfo, nodeInfo } from '../mongo/topology.js'
import { toTimestamp } from '../oplog/entry.js'
import { findOplogStart, majorityLastWrite } from '../oplog/reading/window.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { busyText } from '../protocol/busy.js'
import { awaitBackupReplsets, awaitBackupState, watchBackup } from '../protocol/convergence.js'
import { startHeartbeat } from '../protocol/heartbeat.js'
import { type HeldLock, isHeld } from '../protocol/lock.js'
import { acquireLockBehindResync } from '../protocol/lock-wait.js'
import { awaitNomination } from '../protocol/nomination.js'
import { CIPHERS, CLOCK, COMPRESSION, LEADER, NODE, OPERATION_LOG, SELF, STORE } from '../protocol/tokens.js'
import { pauseBalancer, resumeBalancer } from '../recovery/balancer-pause.js'
import { transferFigures, transferOf } from '../store/wrappers/meter.js'
import type { Clock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { endAfterAllDumps, passTimeToLeader } from './cut.js'
import { discardBackup, isCanceled, recordLostBackup } from './failure.js'
import { joinBackup } from './join.js'
import type { RunOptions } from './leader.js'
import { ReplsetBackup } from './logical/replset.js'
import { publishBackup, setClusterTime } from './publish.js'
import { PartSealing, refuseLayout } from './sealing.js'

type BackupCommandDocument = CommandDocument & { cmd: 'backup' }

/** How long the replica sets are given to begin (PBM: control-plane.md §5.1). */
const STARTING_SECONDS = 33

/**
 * How long deleting the objects of a failed backup may keep its failure from being told, and the next backup from beginning:
 * a storage that hangs does so for ever. The watch over failed backups deletes what is left.
 */
const DISCARD_MILLIS = 120_000

/** A fact of the run that every step needs. */
interface Run {
  readonly command: BackupCommandDocument
  readonly config: Config
  readonly info: NodeInfo
  /** Whether this replica set leads the backup: the leader replica set's nominee does. */
  readonly leads: boolean
  readonly replsets: readonly string[]
  readonly lock: HeldLock
  /** Aborted by a cancel, a lost lock or a lost record. */
  readonly signal: AbortSignal
}

/**
 * One replica set's part of a backup, on the agent that its election chose; the nominee of the leader replica set also
 * leads the others from state to state (PBM: control-plane.md §5.1, steps 4 to 16).
 */
@injectable()
export class BackupNominee {
  constructor(
    @inject(NODE) private readonly node: MongoClient,
    @inject(LEADER) private readonly leader: MongoClient,
    @inject(SELF) private readonly self: Member,
    @inject(STORE) private readonly store: ObjectStore,
    @inject(COMPRESSION) private readonly compression: CompressionPlugin,
    @inject(OPERATION_LOG) private readonly log: OperationLog,
    @inject(CLOCK) private readonly clock: Clock,
    @inject(PluginHost) private readonly host: PluginHost,
    @inject(CIPHERS, { isOptional: true }) private readonly ciphers: Ciphers | undefined,
  ) {}

  /**
   * Waits for the nomination and does the work. Resolves with whether this agent did it; rejects when it failed, after
   * everything is marked and cleaned.
   */
  async run(command: BackupCommandDocument, { signal }: RunOptions): Promise<boolean> {
    const { leader, self, clock, log } = this
    const backup = command.backup.name
    const opid = command._id.toHexString()
    const outcome = await awaitNomination({ leader, backup, opid, rs: self.rs, node: self.node, signal, clock })
    if (outcome !== 'nominated') {
      log.debug(`not nominated for backup ${backup}: ${outcome}`)
      return false
    }
    const config = await requireConfig(leader)
    const lock = await acquireLockBehindResync({
      leader,
      clock,
      log,
      signal,
      header: { type: 'backup', replset: self.rs, node: self.node, opid, epoch: config.epoch },
    })
    if (!isHeld(lock)) {
      log.debug(`backup ${backup} is not for this agent: ${lock.refused}`)
      if (lock.refused === 'concurrent') await this.refuse(backup, lock.by)
      return false
    }
    try {
      await acknowledgeNomination(leader, backup, self.rs, self.node)
      await this.withHeartbeat(command, config, lock, signal)
      return true
    } finally {
      await lock.release()
    }
  }

  /** Both were let begin at the same moment. No other member gets the lock either: whoever waits may know at once. */
  private async refuse(backup: string, by: LockDocument | undefined): Promise<void> {
    const error = busyText(by)
    this.log.error(`backup ${backup} does not begin: ${error}`)
    await setBackupStatus(this.leader, backup, 'error', { error, by: 'leader' })
  }

  private async withHeartbeat(command: BackupCommandDocument, config: Config, lock: HeldLock, canceled: AbortSignal) {
    const { leader, clock, log } = this
    const backup = command.backup.name
    const info = await nodeInfo(this.node)
    const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
    const leads = (await nodeInfo(leader)).rs === this.self.rs
    const heartbeat = leads
      ? startHeartbeat({
          clock,
          beat: () => beatBackup(leader, backup),
          reason: (why, cause) =>
            why === 'gone'
              ? new PbmError('OPERATION_GONE', `the record of backup ${backup} is gone: was admin.pbmBackups dropped?`)
              : new PbmError('BACKUP_SILENT', `no heartbeat of backup ${backup} could be written in time`, { cause }),
          onFailure: (error) => log.warning(`cannot write the heartbeat of the backup: ${errorText(error)}`),
        })
      : undefined
    // One set alone has nobody else to fail.
    const watch = replsets.length > 1 ? watchBackup({ leader, name: backup, clock, leads }) : undefined
    const signals = [canceled, lock.signal, ...[heartbeat, watch].flatMap((part) => part?.signal ?? [])]
    const signal = AbortSignal.any(signals)
    const known = await findBackup(leader, backup)
    try {
      await this.work({ command, config, info, leads, replsets, lock, signal })
    } catch (error) {
      // Whatever a stage says of being stopped: the reason is why it was stopped.
      const reason = signal.aborted ? signal.reason : error
      await this.fail(command, reason, { leads, replsets, known })
      throw reason
    } finally {
      watch?.stop()
      if (leads && info.isSharded) await this.startBalancerAgain(backup)
      await heartbeat?.stop()
    }
  }

  /** Where this fails, the agent that watches over dead operations does it. */
  private async startBalancerAgain(backup: string): Promise<void> {
    try {
      if ((await findBackup(this.leader, backup))?.balancer_stopped !== true) return
      await resumeBalancer(this.leader, backup, this.log)
    } catch (error) {
      this.log.error(`the balancer could not be started again: ${errorText(error)}`)
    }
  }

  private async work(run: Run): Promise<void> {
    const { leader, clock } = this
    const { signal, leads, replsets, info, config } = run
    const { name } = run.command.backup
    const timeoutMillis = (config.backup?.timeouts?.startingStatus || STARTING_SECONDS) * 1000
    const sealing = await this.sealing(config)
    const { from, start } = await findOplogStart(this.node)
    this.log.info(`backup of ${this.self.rs} from ${this.self.node} begins`)
    if (leads) await ensureInitObject(this.store, { signal })
    if (leads && info.isSharded) {
      const timeoutSeconds = config.backup?.timeouts?.balancerStop
      await pauseBalancer(leader, name, { signal, clock, log: this.log, timeoutSeconds })
    }
    await joinBackup(leader, {
      ...{ config, info, self: this.self, suffix: this.compression.suffix, backup: name },
      start: toTimestamp(start),
      encryption: sealing?.record,
    })
    if (leads) {
      await awaitBackupReplsets({ leader, name, signal, clock, timeoutMillis, state: 'running', replsets })
      await setBackupStatus(leader, name, 'running', { by: 'leader' })
      await setClusterTime(leader, name, 'first')
    } else {
      await awaitBackupState({ leader, name, signal, clock, state: 'running' })
    }
    const { node, compression, log } = this
    const store = sealing?.store(name) ?? this.store
    const part = new ReplsetBackup({
      ...{ node, leader, store, compression, log, clock, signal, config, info },
      start: toTimestamp(from),
      sealed: sealing !== undefined,
      command: run.command.backup,
      replset: this.self.rs,
    })
    const sizes = await part.run(async () => {
      if (info.isSharded) await passTimeToLeader(node, leader)
      await setReplsetStatus(leader, name, this.self.rs, 'dumpDone', { by: 'nominee' })
      if (leads) {
        await awaitBackupReplsets({ leader, name, signal, clock, state: 'dumpDone', replsets })
        await setBackupStatus(leader, name, 'dumpDone', { by: 'leader' })
      } else {
        await awaitBackupState({ leader, name, signal, clock, state: 'dumpDone' })
      }
      return info.isSharded ? await endAfterAllDumps(node, leader) : await majorityLastWrite(node)
    })
    const ended = { last_write_ts: sizes.end, oplog_objects: sizes.oplog, ...sealing?.ended(sizes.objects) }
    await setReplsetFields(leader, name, this.self.rs, ended)
    const transfer = transferOf(transferFigures(this.store))
    if (transfer !== undefined) await setReplsetFields(leader, name, this.self.rs, { transfer })
    await addBackupSize(leader, name, { size: sizes.bytes, uncompressed: 0 })
    run.lock.assertHeld()
    await setReplsetStatus(leader, name, this.self.rs, 'done', { by: 'nominee' })
    if (leads) await this.complete(run)
    else await awaitBackupState({ leader, name, signal, clock, state: 'done' })
    this.log.info('backup finished')
  }

  /** Before anything is written: a backup whose key is missing must not begin. */
  private async sealing(config: Config): Promise<PartSealing | undefined> {
    const method = await this.ciphers?.current()
    if (method === undefined || this.ciphers === undefined) return undefined
    refuseLayout(config)
    return new PartSealing(this.store, this.ciphers, method, this.self.rs)
  }

  /** All parts are done. */
  private async complete({ command, signal, replsets, lock, info }: Run): Promise<void> {
    const { leader, clock } = this
    const { name } = command.backup
    await awaitBackupReplsets({ leader, name, signal, clock, state: 'done', replsets })
    if (info.isSharded) await this.startBalancerAgain(name)
    await publishBackup({ leader, store: this.store, ciphers: this.ciphers, host: this.host, lock, signal }, name)
  }

  /** Every step is tried, whatever becomes of the others: what can't be told in one place is in another. */
  private async fail(
    command: BackupCommandDocument,
    reason: unknown,
    { leads, replsets, known }: { leads: boolean; replsets: readonly string[]; known: BackupDocument | undefined },
  ): Promise<void> {
    const { name } = command.backup
    const status = isCanceled(reason) ? 'canceled' : 'error'
    const error = errorText(reason)
    if (status === 'canceled') this.log.warning('backup canceled')
    else this.log.error(`backup failed: ${error}`)
    const attempt = async (what: string, step: () => Promise<unknown>) => {
      await step().catch((fault: unknown) => this.log.error(`cannot ${what}: ${errorText(fault)}`))
    }
    const mark = { error, by: 'nominee' as const }
    await attempt('mark the replica set', () => setReplsetStatus(this.leader, name, this.self.rs, status, mark))
    if (!leads) return
    // Objects first: once the backup reads as ended, nothing of it is left.
    const begun = { name, opid: command._id.toHexString(), replsets, suffix: this.compression.suffix }
    const late = () => new Error('the storage takes too long; it is tried again later')
    const discard = () => discardBackup(this.leader, this.store, begun, AbortSignal.timeout(DISCARD_MILLIS))
    await attempt('delete the objects', () => inTime(discard(), DISCARD_MILLIS, late))
    await attempt('mark the backup', () => setBackupStatus(this.leader, name, status, { error, by: 'leader' }))
    if (known === undefined) return
    await attempt('put its record back', () => recordLostBackup(this.leader, known, error))
  }
}
