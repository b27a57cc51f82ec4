import type { MongoClient, UUID } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { bucketsOf, isBuckets } from '../../mongo/time-series.js'
import { splitConnectionString } from '../../mongo/topology.js'
import { collectionOf, commandName, databaseOf, type Operation } from '../../oplog/entry.js'
import { findUuid } from '../../oplog/raw-fields.js'
import { commandTarget } from '../../oplog/replay/classify.js'
import type { Snapshot } from '../data/snapshot.js'

/*
 * Earlier backups of ours lacked the buckets of sharded time series on all shards but the primary shard of the database.
 */

/**
 * What a shard had of time series by the routing tables of a backup, and the backup lacks. Asked before anything is touched;
 * a shard that got its part while the backup was made has it from its oplog.
 */
export class LostBuckets {
  readonly #shard: string
  /** Names of buckets. */
  readonly #lost: Set<string>

  constructor(
    shard: string,
    routed: Iterable<string>,
    namespaces: readonly Pick<NamespaceMetadata, 'db' | 'collection'>[],
  ) {
    this.#shard = shard
    this.#lost = new Set(routed)
    for (const { db, collection } of this.#lost.size === 0 ? [] : namespaces) {
      this.#lost.delete(bucketsOf(`${db}.${collection}`))
    }
  }

  get isEmpty(): boolean {
    return this.#lost.size === 0
  }

  /** A command of the shard's oplog. */
  see(operation: Operation): void {
    if (operation.op !== 'c' || this.isEmpty) return
    const command = commandName(operation.o)
    if (command === 'create' || command === 'drop') this.#lost.delete(commandTarget(operation))
    if (command === 'renameCollection') this.#lost.delete(findString(operation.o, 'to') ?? '')
    const db = databaseOf(operation.ns)
    for (const ns of command === 'dropDatabase' ? this.#lost : []) if (databaseOf(ns) === db) this.#lost.delete(ns)
  }

  /** Throws `NAMESPACE_INCOMPLETE`. */
  refuse(): void {
    const [ns] = this.#lost
    if (ns !== undefined) throw incomplete(ns, this.#shard, 'Restore from a backup that was made later.')
  }
}

/** The buckets that the shard of replica set `rs` has by the routing tables in a dump of the config servers. */
export async function routedBuckets(config: Snapshot, rs: string, signal: AbortSignal): Promise<Set<string>> {
  const names = new Map<string, string>()
  await eachOf(config, 'collections', signal, (document) => {
    const [ns, uuid] = [findString(document, '_id') ?? '', findUuid(document, 'uuid')?.toString('hex')]
    if (isBuckets(ns) && uuid !== undefined) names.set(uuid, ns)
  })
  const found = new Set<string>()
  if (names.size === 0) return found
  let shard: string | undefined
  await eachOf(config, 'shards', signal, (document) => {
    if (splitConnectionString(findString(document, 'host') ?? '').rs === rs) shard = findString(document, '_id')
  })
  await eachOf(config, 'chunks', signal, (document) => {
    const ns = names.get(findUuid(document, 'uuid')?.toString('hex') ?? '')
    if (ns !== undefined && findString(document, 'shard') === shard) found.add(ns)
  })
  return found
}

/**
 * The same of the restored tables, which the oplog has brought to the restored time, and of what is there: throws
 * `NAMESPACE_INCOMPLETE`.
 */
export async function refuseLostBuckets(client: MongoClient, leader: MongoClient, shardId: string): Promise<void> {
  const config = leader.db('config')
  const routed = config.collection<{ _id: string; uuid: UUID }>('collections').find({ _id: /\.system\.buckets\./ })
  for await (const { _id: ns, uuid } of routed) {
    if ((await config.collection('chunks').findOne({ uuid, shard: shardId })) === null) continue
    const found = client.db(databaseOf(ns)).listCollections({ name: collectionOf(ns) }, { nameOnly: true })
    if (await found.hasNext()) continue
    throw incomplete(ns, shardId, 'All else is restored. Restore from a backup that was made later.')
  }
}

async function eachOf(
  config: Snapshot,
  table: string,
  signal: AbortSignal,
  see: (document: Buffer) => void,
): Promise<void> {
  await config.readNamespaces(
    async (_, documents) => {
      for await (const whole of wholeDocuments(documents)) for (const document of documentsIn(whole)) see(document)
    },
    { width: 1, signal, select: ({ db, collection }) => db === 'config' && collection === table },
  )
}

function incomplete(ns: string, shard: string, hint: string): PbmError {
  return new PbmError('NAMESPACE_INCOMPLETE', `The backup lacks what ${ns} had on shard ${shard}`, { hint })
}
