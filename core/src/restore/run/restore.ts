import type { MongoClient } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { CommandDocument, RestoreCommand } from '../../control/command-document.js'
import { readConfig } from '../../control/config.js'
import { emptyRestore } from '../../control/new-restore.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import { storeOf } from '../../encryption/sealed-store.js'
import { errorText } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { Member } from '../../mongo/topology.js'
import { clusterMembers, type NodeInfo } from '../../mongo/topology.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { PluginHost } from '../../plugin-host/host.js'
import { CIPHERS, CLOCK, LEADER, NODE, OPERATION_LOG, SELF, WITH_STORE, type WithStore } from '../../protocol/tokens.js'
import { awaitSlicersGone, resumeAfterRestore, type Suspended, suspendOthers } from '../../recovery/suspension.js'
import type { Clock } from '../../time/clock.js'
import { checkReplsets } from '../sharding/shard-ids.js'
import { ShardedRestore } from '../sharding/sharding.js'
import { findRestorable } from './find-backup.js'
import { chunksUpTo } from './point-in-time.js'
import { type RestoreTuning, restoreNothing, restoreReplset } from './replset.js'
import { RestoreRun, type RunDescription, type RunSteps } from './run.js'
import { onLockedPrimary, type RestoreOutcome } from './run-lock.js'
import { refuseProfileBase, refuseSelective, refuseUnsupported, replsetOfBackup } from './select.js'
import { noteUnbuilt } from './unbuilt-indexes.js'

export type { RestoreOutcome } from './run-lock.js'

type Noted = (suspended: Suspended) => void

/**
 * A logical restore, on the primary of a replica set (PBM: control-plane.md §5.3). The lock is taken here, so that a
 * command that reaches several agents runs once, and the storage is opened with it held. Whatever goes wrong ends in the restore's document, with the reason.
 */
@injectable()
export class Restore {
  constructor(
    @inject(NODE) private readonly node: MongoClient,
    @inject(LEADER) private readonly leader: MongoClient,
    @inject(SELF) private readonly self: Member,
    @inject(OPERATION_LOG) private readonly log: OperationLog,
    @inject(CLOCK) private readonly clock: Clock,
    @inject(WITH_STORE) private readonly withStore: WithStore,
    @inject(PluginHost) private readonly host: PluginHost,
    @inject(CIPHERS, { isOptional: true }) private readonly ciphers: Ciphers | undefined,
  ) {}

  /** Rejects with what the restore failed with; it is written to the document before. */
  async run(
    command: CommandDocument & { cmd: 'restore' },
    { signal }: { signal: AbortSignal },
  ): Promise<RestoreOutcome> {
    const { node, leader, self, log, clock } = this
    const { restore } = command
    const opid = command._id.toHexString()
    let suspended: Suspended | undefined
    const onNoted: Noted = (noted) => {
      suspended = noted
    }
    const record: RunDescription['record'] = (now, hb) => ({
      ...emptyRestore(restore, opid, now, hb),
      ...(suspended === undefined ? {} : { suspended }),
    })
    const described = { kind: 'restore' as const, name: restore.name, record }
    return await onLockedPrimary({ node, leader, self, log, clock }, { ...described, opid, signal }, (info, stopped) =>
      this.#execute(
        restore,
        new RestoreRun({ leader, self, log, clock }, { ...described, info, stopped }),
        info,
        onNoted,
      ),
    )
  }

  async #execute(command: RestoreCommand, run: RestoreRun, info: NodeInfo, onNoted: Noted): Promise<void> {
    const { leader, log } = this
    log.info(`restore of ${command.backupName} begins`)
    try {
      await run.execute((steps) =>
        this.withStore(steps.signal, (store) => this.#restore(command, info, store, onNoted, steps)),
      )
    } catch (error) {
      // Nothing has happened, so all goes on as if the restore had never been asked for. Who watches over dead operations
      // does it where this fails.
      if (info.isClusterLeader) {
        await resumeAfterRestore(leader, command.name, log).catch((fault: unknown) =>
          log.warning(`what the restore switched off is not on again yet: ${errorText(fault)}`),
        )
      }
      throw error
    }
  }

  async #restore(
    command: RestoreCommand,
    info: NodeInfo,
    store: ObjectStore,
    onNoted: Noted,
    { signal, progress, reach }: RunSteps,
  ): Promise<void> {
    const { node, leader, self, log, host } = this
    refuseUnsupported(command)
    const backup = await findRestorable(leader, store, command.backupName, signal)
    refuseProfileBase(backup, command)
    refuseSelective(backup)
    const rsMap = command.rsMap ?? {}
    const cluster = await clusterMembers(leader)
    checkReplsets(backup, cluster, rsMap)
    const part = replsetOfBackup(backup, self.rs, rsMap)
    const pointInTime = await chunksUpTo({ leader, host, rs: part?.name, backup, target: command.oplogTS })
    const compression = await host.compression(backup.compression)
    const config = await readConfig(leader)
    const stored = storeOf(store, this.ciphers, backup)
    const sharding = info.isSharded
      ? new ShardedRestore({
          ...{ client: node, leader, self, info, cluster, name: command.name, backup, rsMap, compression },
          ...{ store: stored, clock: this.clock, log, signal },
        })
      : undefined
    const suspending = {
      leader,
      name: command.name,
      isSharded: info.isSharded,
      signal,
      clock: this.clock,
      log,
      onNoted,
    }
    // Everything has been looked at and nothing changed: no longer than now is anything off for it.
    const reachState = async (state: 'cleanupCluster' | 'running' | 'dumpDone') => {
      if (state !== 'cleanupCluster') return await reach(state)
      await reach(state, () => suspendOthers(suspending))
      // PBM's agent, where it leads, waits for no slicer but its own.
      await awaitSlicersGone(suspending, self.rs)
    }
    if (part === undefined) await restoreNothing({ sharding, reach: reachState, log })
    else {
      const unbuilt = await restoreReplset({
        client: node,
        store: stored,
        backup,
        part,
        compression,
        tuning: tuningOf(command, config?.restore ?? {}),
        pointInTime,
        signal,
        log,
        progress,
        sharding,
        reach: reachState,
      })
      await noteUnbuilt(leader, command.name, self.rs, unbuilt)
    }
    await sharding?.refresh()
    if (info.isClusterLeader) log.info('make a full backup now: point-in-time recovery can only go on from a new one')
  }
}

function tuningOf(
  command: RestoreCommand,
  config: {
    verify?: boolean
    numParallelCollections?: number
    numInsertionWorkers?: number
    indexCommitQuorum?: string
  },
): RestoreTuning {
  return {
    verify: config.verify,
    numParallelCollections: command.numParallelColls || config.numParallelCollections || undefined,
    numInsertionWorkers: command.numInsertionWorkers || config.numInsertionWorkers || undefined,
    commitQuorum: command.indexCommitQuorum || config.indexCommitQuorum || undefined,
  }
}
