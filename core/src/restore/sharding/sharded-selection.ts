import type { ChosenThere, ExistingNamespace } from '../../control/restore-document.js'
import { clearChosen, setRestoreReplsetFields } from '../../control/restores.js'
import { PbmError } from '../../errors.js'
import { bucketsOf } from '../../mongo/time-series.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { databaseOf } from '../../oplog/entry.js'
import type { Replay } from '../../oplog/replay/replay.js'
import { awaitReplsets } from '../../protocol/convergence.js'
import { RESTORE_KIND } from '../../protocol/operation-kind.js'
import { isData } from '../data/collections.js'
import type { Snapshot } from '../data/snapshot.js'
import { listDatabase } from '../data/target.js'
import { type OwnPart, refuseMissingUsers } from '../selective/choose.js'
import { type Agreement, chosenNames, destinationOf, missingOf, type Wanted } from '../selective/plan.js'
import { existingNamespace } from '../selective/staged.js'
import { agreementOf } from './agreement.js'
import { awaitParts, type PartsBoard, type PartsWait } from './await-parts.js'
import { ChosenRouting, isIn } from './chosen-routing.js'
import { settleTransactions } from './distributed-transactions.js'
import { RoutedMerge } from './routed-merge.js'
import { dropShardedCollections, refreshRouting } from './shard-cleanup.js'
import { shardIds } from './shard-ids.js'
import { type ReplayRouting, ShardedRestore, type Sharding, type ShardingOptions } from './sharding.js'

/** `board`: where replica sets tell each other what they have of a selection. */
export function shardingOf(options: ShardingOptions, wanted: Wanted | undefined, board: PartsBoard): Sharding {
  return wanted === undefined ? new ShardedRestore(options) : new ShardedSelection(options, wanted, board)
}

/**
 * What a restore of chosen namespaces has to do because its replica set is one of many. Each shard brings back its own
 * part, under UUIDs that all make by themselves; when all are there, the config servers list what is sharded as if it had
 * been sharded anew. So whatever a mongos or a shard remembers is older than what it is told, and it asks anew. Nothing
 * else of the routing tables is written. What is there and stays is merged by {@link RoutedMerge}.
 */
export class ShardedSelection implements Sharding {
  readonly #options: ShardingOptions
  readonly #wanted: Wanted
  readonly #board: PartsBoard
  readonly #routing: ChosenRouting | undefined
  readonly #parts: PartsWait
  readonly merge: RoutedMerge | undefined
  #agreement: Agreement | undefined

  /** Throws SERVER_TOO_OLD. */
  constructor(options: ShardingOptions, wanted: Wanted, board: PartsBoard) {
    if (wanted.keepExisting === true) requireRouter(options.info)
    this.#options = options
    this.#wanted = wanted
    this.#board = board
    const { client, leader, info, log, cluster, backup, rsMap, name, clock, guard } = options
    const ids = shardIds(backup, cluster, rsMap)
    this.#routing = info.isConfigServer ? new ChosenRouting({ client, log, guard, cluster, ids }) : undefined
    this.#parts = { leader, name, replsets: cluster.map(({ rs }) => rs), clock, signal: guard.signal }
    const { shardId } = info
    this.merge = shardId === undefined ? undefined : new RoutedMerge({ client, leader, shardId, ids, guard, log })
  }

  /** The tables have been put together by then, so the replay of the data passes them over. */
  get routing(): undefined {
    return undefined
  }

  /**
   * Says what there is of the selection here, and waits until all have done so. Nothing of the target has been touched.
   * Throws what {@link agreementOf} and, on config servers, {@link ChosenRouting.check} throw.
   */
  async agree({ whole, wanted, history, resharded }: OwnPart, replayRouting: ReplayRouting): Promise<Agreement> {
    if (this.#routing !== undefined && wanted.usersAndRoles) refuseMissingUsers(whole)
    await this.#routing?.stage(whole, wanted.selection, replayRouting)
    const { entries, near } = missingOf(history, wanted.selection)
    const gone = entries.filter((one) => one.gone !== undefined)
    return await this.#agree(
      { names: [...chosenNames(history, wanted.selection)], gone, near: [...near] },
      wanted,
      resharded,
    )
  }

  async #agree(own: ChosenThere, wanted: Wanted, resharded: OwnPart['resharded'] = new Map()): Promise<Agreement> {
    const { name, self } = this.#options
    const routing = await this.#routing?.facts(wanted)
    this.#routing?.refuseResharded(resharded)
    const existing = wanted.keepExisting === true ? { existing: await this.#existing() } : {}
    await this.#board.write({ ...own, ...existing, ...(routing === undefined ? {} : { routing }) })
    const replsets = await this.#board.read()
    const agreement = agreementOf(replsets, { restore: name, rs: self.rs, selection: wanted.selection })
    await this.#routing?.check(agreement, wanted)
    this.#agreement = agreement
    return agreement
  }

  /** What a mongos shows of the selection because this shard has it. */
  async #existing(): Promise<ExistingNamespace[]> {
    const { client, leader, info } = this.#options
    if (info.shardId === undefined) return []
    const isChosen = isIn(this.#wanted.selection)
    const databases = leader.db('config').collection<{ _id: string }>('databases').find({ primary: info.shardId })
    const found: ExistingNamespace[] = []
    for await (const { _id: db } of databases) {
      const chosen = (await listDatabase(client, db)).filter((one) => isData(one) && isChosen(`${db}.${one.name}`))
      found.push(...chosen.map(existingNamespace))
    }
    return found
  }

  /** A replica set that the backup does not have has nothing of the selection. */
  async prepare(own: Snapshot | undefined): Promise<void> {
    if (own === undefined) await this.#agree({ names: [], gone: [], near: [] }, this.#wanted)
  }

  drops(): boolean {
    return false
  }

  /**
   * Collections are dropped on all shards by the primary shard of their database; databases that are not there are made,
   * so that nobody else decides on which shard they begin.
   */
  async cleanUp(): Promise<void> {
    const { client, leader, info, guard, log } = this.#options
    const { everywhere, existing } = this.#agreed()
    await this.#routing?.createDatabases()
    if (info.shardId === undefined || this.#wanted.renaming !== undefined) return
    // Of what is not there, too: shards may have something of it that no mongos shows.
    const replaced = new Set([...everywhere].filter((ns) => !existing.has(ns)))
    await dropShardedCollections({ client, leader, shardId: info.shardId, guard, log }, replaced)
  }

  async load(): Promise<void> {}

  async settle(replay: Replay | undefined): Promise<void> {
    await settleTransactions(replay, { ...this.#parts, replset: this.#options.self.rs, log: this.#options.log })
  }

  /** On config servers, when all shards have their parts: what is sharded is routed from then on. */
  async publish(): Promise<void> {
    if (this.#routing === undefined) return
    const { leader, name, self } = this.#options
    const others = this.#parts.replsets.filter((rs) => rs !== self.rs)
    await awaitParts({ ...this.#parts, replsets: others }, 'parts of all shards', ({ loaded }) => loaded === true)
    await this.#routing.publish(this.#agreed())
    await clearChosen(leader, name)
  }

  /** On shards: tells that its part is there, and reads the routing tables when they have been written. */
  async refresh(): Promise<void> {
    const { client, leader, name, info, self, cluster, clock, guard } = this.#options
    if (info.shardId === undefined) return
    await setRestoreReplsetFields(leader, name, self.rs, { loaded: true })
    const replsets = cluster.slice(0, 1).map(({ rs }) => rs)
    await awaitReplsets(RESTORE_KIND, { leader, name, replsets, state: 'done', signal: guard.signal, clock })
    const namespaces = [...this.#agreed().everywhere].map((ns) => destinationOf(this.#wanted, ns))
    const routed = namespaces.flatMap((ns) => [ns, bucketsOf(ns)])
    const databases = [...new Set(namespaces.map(databaseOf))]
    await refreshRouting(client, leader, guard, { namespaces: routed, databases })
  }

  async discard(): Promise<void> {
    await this.#routing?.discard()
  }

  #agreed(): Agreement {
    if (this.#agreement === undefined) throw new RangeError('nothing was agreed on')
    return this.#agreement
  }
}

/** Documents are put into what is there by the router within each shard. */
function requireRouter({ version = '' }: Pick<NodeInfo, 'version'>): void {
  if (!/^[1-5]\./.test(version)) return
  throw new PbmError(
    'SERVER_TOO_OLD',
    `--keep-existing on a sharded cluster needs MongoDB 6.0, and this is ${version}`,
    {
      hint: 'Put it beside the live one, with --ns-from and --ns-to, and copy what is missing through a mongos.',
    },
  )
}
