import type { MongoClient } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { CommandDocument, RestoreCommand } from '../control/command-document.js'
import { readConfig } from '../control/config.js'
import { listSlicerLocks } from '../control/locks.js'
import { resumePitr, suspendPitr } from '../control/pitr-suspension.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import { clusterMembers, type NodeInfo } from '../mongo/topology.js'
import { PluginHost } from '../plugin/host.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { Ciphers } from '../sealing/ciphers.js'
import { storeOf } from '../sealing/sealed-store.js'
import type { Clock } from '../time/clock.js'
import { CIPHERS, CLOCK, LEADER, type Member, NODE, OPERATION_LOG, SELF, STORE } from '../tokens.js'
import { emptyRestore } from './documents.js'
import { findRestorable } from './find-backup.js'
import { chunksUpTo } from './point-in-time.js'
import { type RestoreTuning, restoreNothing, restoreReplset } from './replset.js'
import { RestoreRun, type RunDescription, type RunSteps } from './run.js'
import { onLockedPrimary, type RestoreOutcome } from './run-lock.js'
import { refuseProfileBase, refuseSelective, refuseUnsupported, replsetOfBackup } from './select.js'
import { checkReplsets } from './shard-ids.js'
import { ShardedRestore } from './sharding.js'

export type { RestoreOutcome } from './run-lock.js'

const SLICER_WAIT_MILLIS = 120_000
const SLICER_POLL_MILLIS = 200

/**
 * A logical restore, on the primary of a replica set (PBM: control-plane.md §5.3). The lock is taken here, so that a
 * command that reaches several agents runs once. Whatever goes wrong ends in the restore's document, with the reason.
 */
@injectable()
export class Restore {
  constructor(
    @inject(NODE) private readonly node: MongoClient,
    @inject(LEADER) private readonly leader: MongoClient,
    @inject(SELF) private readonly self: Member,
    @inject(OPERATION_LOG) private readonly log: OperationLog,
    @inject(CLOCK) private readonly clock: Clock,
    @inject(STORE) private readonly store: ObjectStore,
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
    const record: RunDescription['record'] = (now, hb) => emptyRestore(restore, opid, now, hb)
    const described = { kind: 'restore' as const, name: restore.name, record }
    return await onLockedPrimary({ node, leader, self, log, clock }, { ...described, opid, signal }, (info, stopped) =>
      this.#execute(restore, new RestoreRun({ leader, self, log, clock }, { ...described, info, stopped }), info),
    )
  }

  async #execute(command: RestoreCommand, run: RestoreRun, info: NodeInfo): Promise<void> {
    const { leader, log } = this
    log.info(`restore of ${command.backupName} begins`)
    let suspended = false
    const suspend = async () => {
      await suspendPitr(leader)
      suspended = true
    }
    let sharding: ShardedRestore | undefined
    const begun = (begins: ShardedRestore | undefined) => {
      sharding = begins
    }
    try {
      await run.execute((steps) => this.#restore(command, info, steps, { suspend, begun }))
    } catch (error) {
      // Nothing has happened, so the chain of chunks goes on as if the restore had never been asked for.
      if (suspended && !run.isTouched) await resumePitr(leader).catch(() => undefined)
      if (!run.isTouched) await sharding?.startBalancerAgain()
      throw error
    }
  }

  async #restore(
    command: RestoreCommand,
    info: NodeInfo,
    { signal, progress, reach, touched }: RunSteps,
    { suspend, begun }: { suspend: () => Promise<void>; begun: (sharding: ShardedRestore | undefined) => void },
  ): Promise<void> {
    const { node, leader, self, log, store, host } = this
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
    begun(sharding)
    if (info.isClusterLeader && config?.pitr?.enabled === true) {
      await suspend()
      log.warning(
        'point-in-time recovery was on and is off now: make a full backup when the restore is done, then it goes on by itself',
      )
    }
    await sharding?.stopBalancer(config?.restore?.timeouts?.balancerStop)
    await this.#awaitSlicerGone(signal)
    const reachState = async (state: 'cleanupCluster' | 'running' | 'dumpDone') => {
      await reach(state)
      if (state === 'cleanupCluster') touched()
    }
    if (part === undefined) await restoreNothing({ sharding, reach: reachState, log })
    else
      await restoreReplset({
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
    await sharding?.refresh()
    if (info.isClusterLeader) log.info('make a full backup now: point-in-time recovery can only go on from a new one')
  }

  /** A slicer that still runs would store what the restore does. It stops by itself once it sees the new epoch. */
  async #awaitSlicerGone(signal: AbortSignal): Promise<void> {
    const { leader, self, clock } = this
    const until = clock.now() + SLICER_WAIT_MILLIS
    for (;;) {
      const now = await clusterTime(leader)
      const live = (await listSlicerLocks(leader, { replset: self.rs })).filter(({ hb }) => !isStale(hb, now))
      if (live.length === 0) return
      if (clock.now() > until) {
        throw new PbmError('SLICER_RUNS', `The oplog of ${self.rs} is still being stored by ${live[0]?.node ?? ''}`, {
          hint: 'Turn point-in-time recovery off and see that the agent there is alive, then restore again.',
        })
      }
      await clock.sleep(SLICER_POLL_MILLIS, signal)
    }
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
