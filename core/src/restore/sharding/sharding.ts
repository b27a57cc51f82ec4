import type { MongoClient } from 'mongodb'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { Member, NodeInfo, ReplsetTopology } from '../../mongo/topology.js'
import type { Replay } from '../../oplog/replay/replay.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { awaitReplsets } from '../../protocol/convergence.js'
import { RESTORE_KIND } from '../../protocol/operation-kind.js'
import type { Clock } from '../../time/clock.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { openSnapshot, type Snapshot } from '../data/snapshot.js'
import type { OwnPart } from '../selective/choose.js'
import type { Agreement } from '../selective/plan.js'
import { settleTransactions } from './distributed-transactions.js'
import { LostBuckets, refuseLostBuckets, routedBuckets } from './lost-buckets.js'
import type { RoutedMerge } from './routed-merge.js'
import { isRoutingTable, RoutingTables, routedDatabases } from './routing-tables.js'
import { dropShardedDatabases, refreshRouting } from './shard-cleanup.js'
import { shardIds } from './shard-ids.js'

export interface ShardingOptions {
  /** Direct connection to the primary of this replica set. */
  readonly client: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly info: NodeInfo
  readonly cluster: readonly ReplsetTopology[]
  /** Name of the restore. */
  readonly name: string
  readonly backup: BackupDocument
  readonly rsMap: Readonly<Record<string, string>>
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly clock: Clock
  readonly log: OperationLog
  readonly guard: DeadlineGuard
}

/** Replays the changes of routing tables up to the restored time, and nothing else. */
export type ReplayRouting = (tables: RoutingTables) => Promise<void>

/** What a restore of one replica set has to do because it is one of many. */
export interface Sharding {
  /** On config servers: where the replay sends the routing tables. */
  readonly routing: RoutingTables | undefined
  /** Where a part is restored: waits until all know what each of them has. */
  agree?(own: OwnPart, replay: ReplayRouting): Promise<Agreement>
  /** On shards, where a part is restored: how documents get into what the cluster has. */
  readonly merge?: RoutedMerge | undefined
  /** Nothing has been touched yet. `own` is undefined where the backup has no part for this replica set. */
  prepare(own: Snapshot | undefined): Promise<void>
  /** After {@link prepare}, on shards: what only their oplog can still tell to be there. */
  readonly lost?: LostBuckets | undefined
  /** Whether {@link cleanUp} drops the database whole. */
  drops(db: string): boolean
  cleanUp(): Promise<void>
  load(snapshot: Snapshot): Promise<void>
  /** Between the last entry of the oplog and its end: distributed transactions are decided. */
  settle(replay: Replay | undefined): Promise<void>
  /** The restored routing tables take effect. */
  publish(): Promise<void>
  /** Shards read them. */
  refresh(): Promise<void>
  /** After a look, with nothing restored: what was put together for it goes. */
  discard(): Promise<void>
}

/** Of all that a backup has (PBM: control-plane.md §5.3). */
export class ShardedRestore implements Sharding {
  readonly #options: ShardingOptions
  readonly #tables: RoutingTables | undefined
  #replaced: ReadonlySet<string> = new Set()
  #lost: LostBuckets | undefined

  /** Throws SERVER_TOO_OLD. */
  constructor(options: ShardingOptions) {
    requireOwnCommands(options.info)
    this.#options = options
    const { client, info, log } = options
    this.#tables = info.isConfigServer ? new RoutingTables(client, log) : undefined
  }

  get routing(): RoutingTables | undefined {
    return this.#tables
  }

  /**
   * On shards: reads what {@link cleanUp} will drop from the lists of all parts. Before anything is touched: a list that is
   * missing, or that no key opens, must not come to light when other shards have dropped their data. On config servers:
   * {@link RoutingTables.check}.
   */
  async prepare(own: Snapshot | undefined): Promise<void> {
    if (own !== undefined) await this.#tables?.check(own, this.#options.guard.signal)
    if (this.#options.info.shardId !== undefined) await this.#lookAtOthers(own)
  }

  get lost(): LostBuckets | undefined {
    return this.#lost
  }

  drops(db: string): boolean {
    return this.#replaced.has(db)
  }

  /** On shards: drops the databases of the backup wherever their collections lie now. */
  async cleanUp(): Promise<void> {
    const { client, leader, info, guard, log } = this.#options
    if (info.shardId === undefined) return
    await dropShardedDatabases({ client, leader, shardId: info.shardId, guard, log }, this.#replaced)
  }

  /** On config servers: loads the routing tables of the dump. */
  async load(snapshot: Snapshot): Promise<void> {
    await this.#tables?.load(snapshot, this.#options.guard)
  }

  async settle(replay: Replay | undefined): Promise<void> {
    const { leader, name, self, cluster, clock, guard, log } = this.#options
    const { signal } = guard
    const replsets = cluster.map(({ rs }) => rs)
    await settleTransactions(replay, { leader, name, replset: self.rs, replsets, clock, signal, log })
  }

  /** On config servers: the restored routing tables take effect. */
  async publish(): Promise<void> {
    const { cluster, backup, rsMap, guard } = this.#options
    if (this.#tables === undefined) return
    const ids = shardIds(backup, cluster, rsMap, await this.#tables.shards())
    await this.#tables.publish(ids, guard)
  }

  /** On shards: waits for the routing tables and reads them. */
  async refresh(): Promise<void> {
    const { client, leader, name, info, cluster, clock, guard, log } = this.#options
    if (info.shardId === undefined) return
    const replsets = cluster.slice(0, 1).map(({ rs }) => rs)
    await awaitReplsets(RESTORE_KIND, { leader, name, replsets, state: 'done', signal: guard.signal, clock })
    await refreshRouting(client, leader, guard)
    log.debug('the routing tables are read anew')
    await refuseLostBuckets(client, leader, info.shardId)
  }

  async discard(): Promise<void> {}

  /** Of all replica sets: a collection may lie on shards now where the backup does not have it. */
  async #lookAtOthers(own: Snapshot | undefined): Promise<void> {
    const { backup, self, rsMap, info, guard } = this.#options
    const isOwn = ({ name }: BackupReplset) => (rsMap[name] ?? name) === self.rs
    const others = backup.replsets.filter((part) => !isOwn(part))
    const snapshots = await Promise.all(others.map((part) => this.#snapshotOf(part)))
    const namespaces = [...(own === undefined ? [] : [own]), ...snapshots].flatMap((snapshot) => snapshot.namespaces)
    const config = snapshots.find((snapshot) => snapshot.namespaces.some(isRoutingTable))
    // One without a collection gets the routing of the backup, too: what is in it here would be lost from sight.
    const empty = config === undefined ? [] : await routedDatabases(config, guard.signal)
    const databases = new Set([...namespaces.map(({ db }) => db), ...empty])
    for (const db of ['admin', 'config', 'local']) databases.delete(db)
    this.#replaced = databases
    const part = backup.replsets.find(isOwn)
    if (own === undefined || part === undefined || config === undefined) return
    const routed = await routedBuckets(config, part.name, guard.signal)
    this.#lost = new LostBuckets(info.shardId ?? '', routed, own.namespaces)
  }

  async #snapshotOf(part: BackupReplset): Promise<Snapshot> {
    const { store, backup, compression, guard } = this.#options
    return await openSnapshot(store, backup, part, compression, { signal: guard.signal })
  }
}

/** Before anything is dropped: servers before 5.0 lack the commands for it, and have other routing tables. */
function requireOwnCommands({ version = '' }: Pick<NodeInfo, 'version'>): void {
  if (!/^[1-4]\./.test(version)) return
  throw new PbmError('SERVER_TOO_OLD', `a sharded cluster of MongoDB ${version} can't be restored by these agents`, {
    hint: 'Restore it to a cluster of MongoDB 5.0 or later',
  })
}
