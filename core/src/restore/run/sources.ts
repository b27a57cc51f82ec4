import type { MongoClient } from 'mongodb'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { readConfig } from '../../control/config.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import { storeOf } from '../../encryption/sealed-store.js'
import type { OperationLog } from '../../log.js'
import { clusterMembers, type Member, type NodeInfo, type ReplsetTopology } from '../../mongo/topology.js'
import { openTransactionBytes } from '../../oplog/replay/open-transactions-limit.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { PluginHost } from '../../plugin-host/host.js'
import type { OpenStore } from '../../store/open-store.js'
import type { Wanted } from '../selective/plan.js'
import { checkReplsets } from '../sharding/shard-ids.js'
import { sealedOnly } from '../verify/sealed-only.js'
import { findRestorable } from './find-backup.js'
import { withNewcomers } from './newcomers.js'
import { chunksUpTo, type PointInTime } from './point-in-time.js'
import type { RestoreTuning } from './prepare.js'
import { nameInBackup, refuseProfileBase, refuseUnsupported, replsetOfBackup, wantedOf } from './select.js'

export interface SourcesContext {
  readonly leader: MongoClient
  readonly self: Member
  readonly info: NodeInfo
  readonly log: OperationLog
  readonly host: PluginHost
  readonly ciphers: Ciphers | undefined
  readonly store: OpenStore
  readonly signal: AbortSignal
}

/** What a restore is made from. */
export interface Sources {
  readonly backup: BackupDocument
  /** Undefined for all that it has. */
  readonly wanted: Wanted | undefined
  readonly rsMap: Readonly<Record<string, string>>
  readonly cluster: readonly ReplsetTopology[]
  /** Of this replica set; undefined where the backup has none, and it did not come empty after it. */
  readonly part: BackupReplset | undefined
  readonly pointInTime: PointInTime | undefined
  readonly compression: CompressionPlugin
  readonly tuning: RestoreTuning
  /** Opens what is sealed, and refuses what should be. */
  readonly stored: OpenStore
}

/** Finds what a command asks for, and refuses what can't be had or is not supported. No data is read. */
export async function findSources(command: RestoreCommand, context: SourcesContext): Promise<Sources> {
  const { leader, self, log, host, ciphers, store, signal } = context
  refuseUnsupported(command)
  const listed = await findRestorable(leader, store, command, signal)
  const trusted = await sealedOnly(ciphers, { allowUnsealed: command.allowUnsealed, log })
  const backup = await trusted.backup(store, listed, { signal })
  refuseProfileBase(backup, command)
  const wanted = wantedOf(command, backup)
  const rsMap = command.rsMap ?? {}
  const cluster = await clusterMembers(leader)
  const isPart = wanted !== undefined
  const chunksOf = { leader, host, rs: nameInBackup(self.rs, rsMap), backup, target: command.oplogTS, isPart }
  const pointInTime = await chunksUpTo(chunksOf)
  const whole = withNewcomers(backup, pointInTime?.newcomers ?? new Map())
  checkReplsets(whole, cluster, rsMap)
  const part = partOf(whole, self.rs, rsMap)
  await trusted.chunks(pointInTime?.chunks.map(({ object }) => object) ?? [])
  const compression = await host.compression(backup.compression)
  const tuning = tuningOf(command, (await readConfig(leader))?.restore ?? {})
  const stored = trusted.store(storeOf(store, ciphers, backup), backup)
  return { backup, wanted, rsMap, cluster, part, pointInTime, compression, tuning, stored }
}

/** What files hold is of one moment: nothing of the oplog before belongs to it. */
function partOf(
  backup: BackupDocument,
  rs: string,
  rsMap: Readonly<Record<string, string>>,
): BackupReplset | undefined {
  const part = replsetOfBackup(backup, rs, rsMap)
  if (part === undefined || backup.type === 'logical') return part
  return { ...part, first_write_ts: part.last_write_ts }
}

function tuningOf(
  command: RestoreCommand,
  config: {
    verify?: boolean
    numParallelCollections?: number
    numParallelFiles?: number
    numInsertionWorkers?: number
    batchSize?: number
    indexCommitQuorum?: string
    openTransactionsGB?: number
  },
): RestoreTuning {
  return {
    verify: config.verify,
    numParallelCollections: command.numParallelColls || config.numParallelCollections || undefined,
    numParallelFiles: command.numParallelFiles || config.numParallelFiles || undefined,
    numInsertionWorkers: command.numInsertionWorkers || config.numInsertionWorkers || undefined,
    batchSize: config.batchSize || undefined,
    openTransactionBytes: openTransactionBytes(config),
    withoutUsersAndRoles: command.withoutUsersAndRoles,
    commitQuorum: command.indexCommitQuorum || config.indexCommitQuorum || undefined,
  }
}
