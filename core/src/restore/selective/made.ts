import { createHash } from 'node:crypto'
import { Binary, BSON } from 'bson'
import type { MongoClient, UUID } from 'mongodb'
import { listLocks } from '../../control/locks.js'
import type { MadeNamespace } from '../../control/restore-document.js'
import { listUnfinishedBeside, setRestoreReplsetFields } from '../../control/restores.js'
import type { OperationLog } from '../../log.js'
import { applyOps } from '../../mongo/apply-ops.js'
import { bucketsOf, isBuckets, userName } from '../../mongo/time-series.js'
import { type Member, nodeInfo } from '../../mongo/topology.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { listDatabase, type TargetCollection } from '../data/target.js'
import { dropShardedCollections } from '../sharding/shard-cleanup.js'
import type { SelectivePlan } from './plan.js'
import type { Staged } from './staged.js'

const NAMESPACE_NOT_FOUND = 26

/** What a plan makes that the target does not have, and what tells it from what somebody else makes. */
export function madeBeside(
  { destinations, placeUuids, restored }: SelectivePlan,
  staged: ReadonlyMap<string, Staged>,
): MadeNamespace[] {
  const made: MadeNamespace[] = []
  for (const { ns, uuid } of destinations.values())
    if (uuid !== undefined && !staged.has(userName(ns))) made.push({ ns, id: uuid.toString('hex') })
  for (const [name, uuid] of placeUuids) {
    const { ns, kind, exists } = staged.get(name) ?? {}
    if (ns !== undefined && exists !== true)
      made.push({ ns: kind === 'timeseries' ? bucketsOf(ns) : ns, id: uuid.toString('hex') })
  }
  for (const { type, db, collection, options } of restored.values())
    if (type === 'view' && options !== undefined) made.push({ ns: `${db}.${collection}`, id: definitionHash(options) })
  return made
}

/** As a list of the server's collections is decoded, whatever types its numbers have. */
function definitionHash(options: Buffer): string {
  return createHash('sha256')
    .update(BSON.serialize(BSON.deserialize(options)))
    .digest('hex')
}

export interface UnfinishedContext {
  /** Direct connection to the mongod beside this agent. */
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly log: OperationLog
}

/**
 * Beside a primary: drops what failed restores have made beside the live ones, so that they can be repeated, by its UUID:
 * nothing that somebody else has made under such a name. Nothing while a restore runs, whose own it may be.
 */
export async function dropUnfinished({ node, leader, self, log }: UnfinishedContext): Promise<void> {
  const unfinished = await listUnfinishedBeside(leader)
  if (unfinished.length === 0) return
  const info = await nodeInfo(node)
  if (!info.isPrimary) return
  if ((await listLocks(leader)).some(({ type }) => type === 'restore' || type === 'replay')) return
  for (const { name, replsets } of unfinished) {
    // A shard may have nothing of what it is the primary shard of.
    const all = replsets.flatMap((part) => part.made ?? [])
    const made = new Map(all.filter(({ stays }) => stays !== true).map((one) => [one.ns, one]))
    if (made.size === 0) continue
    const routed = info.isSharded ? await routedOf(leader, [...made.values()]) : new Set<string>()
    if (info.shardId !== undefined) {
      const guard = deadlineGuard(new AbortController().signal)
      const cleanup = { client: node, leader, shardId: info.shardId, guard, log }
      await dropShardedCollections(cleanup, new Set([...routed].map(userName)))
    }
    const dropped = await dropOwn(
      node,
      [...made.values()].filter(({ ns }) => !routed.has(ns)),
    )
    for (const ns of dropped) log.info(`dropped ${ns}, which restore ${name} had made and not finished`)
    const own = replsets.find((part) => part.name === self.rs)?.made ?? []
    if (own.length > 0 && routed.size === 0)
      await setRestoreReplsetFields(leader, name, self.rs, { made: own.filter(({ stays }) => stays === true) })
  }
}

/** What had got as far as the routing tables. */
async function routedOf(leader: MongoClient, made: readonly MadeNamespace[]): Promise<Set<string>> {
  const ids = new Map(made.map(({ ns, id }) => [ns, id]))
  const collections = leader.db('config').collection<{ _id: string; uuid: UUID }>('collections')
  const found = await collections.find({ _id: { $in: [...ids.keys()] } }).toArray()
  return new Set(found.filter(({ _id, uuid }) => uuid.toHexString(false) === ids.get(_id)).map(({ _id }) => _id))
}

async function dropOwn(client: MongoClient, made: readonly MadeNamespace[]): Promise<string[]> {
  const dropped: string[] = []
  const byDatabase = Map.groupBy(made, ({ ns }) => databaseOf(ns))
  for (const [db, own] of byDatabase) {
    const there = new Map((await listDatabase(client, db)).map((one) => [`${db}.${one.name}`, one]))
    for (const { ns, id } of own) {
      const found = there.get(ns)
      if (found === undefined || !isSame(found, id)) continue
      await drop(client, found, there.get(userName(ns))).catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== NAMESPACE_NOT_FOUND) throw error
      })
      dropped.push(userName(ns))
    }
  }
  return dropped
}

function isSame({ type, uuid, options }: TargetCollection, id: string): boolean {
  return type === 'view' ? definitionHash(options) === id : uuid === id
}

/** By its UUID where it has one, whatever has its name by now. */
async function drop(client: MongoClient, { db, name, uuid, type }: TargetCollection, series?: TargetCollection) {
  const isSeries = isBuckets(`${db}.${name}`) && series?.type === 'timeseries'
  if (isSeries || type === 'view' || uuid === undefined) {
    await client.db(db).command({ drop: isSeries ? series.name : name, writeConcern: { w: 1 } })
    return
  }
  const ui = new Binary(Buffer.from(uuid, 'hex'), 4)
  await applyOps(client, [{ op: 'c', ns: `${db}.$cmd`, ui, o: { drop: collectionOf(`${db}.${name}`) } }])
}
