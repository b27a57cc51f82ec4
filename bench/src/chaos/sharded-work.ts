import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, type ShardedCluster, seededRandom } from '@pbmkit/conformance/testbed'
import type { Document } from 'mongodb'
import { pick } from './shape.js'
import { ReplicaSetWork, type Work } from './work.js'

/** Documents of `bank.accounts`: never changed, but moved from shard to shard. */
const ACCOUNTS = 400
const MAJORITY = { writeConcern: { w: 'majority' } } as const

type Account = { _id: number }

/**
 * On each shard what goes on in a replica set; `bank.accounts`, whose chunks move all the time; and sharded collections that are
 * made, renamed and dropped. There is no mongos: each is sent what one would send.
 */
export class ShardedWork implements Work {
  readonly #cluster: ShardedCluster
  readonly #parts: readonly ReplicaSetWork[]
  readonly #stopping = new AbortController()
  readonly #running: Promise<unknown>

  private constructor(cluster: ShardedCluster, parts: readonly ReplicaSetWork[], random: Random) {
    this.#cluster = cluster
    this.#parts = parts
    const own = () => seededRandom(random(2 ** 31))
    this.#running = Promise.all([this.#repeat(own(), moveChunk), this.#repeat(own(), changeCollections)])
  }

  static async begin(cluster: ShardedCluster, random: Random): Promise<ShardedWork> {
    const databases = (await cluster.config.client()).db('config').collection<{ _id: string }>('databases')
    const known = new Set((await databases.find().toArray()).map(({ _id }) => _id))
    const [first] = cluster.shards
    if (first !== undefined && !known.has('bank')) {
      await cluster.createDatabase('bank', first.id)
      await cluster.shardCollection('bank.accounts', { key: { _id: 1 } })
      const accounts = (await first.set.client()).db('bank').collection<Account>('accounts')
      await accounts.insertMany(
        Array.from({ length: ACCOUNTS }, (_, _id) => ({ _id })),
        MAJORITY,
      )
    }
    const parts: ReplicaSetWork[] = []
    for (const { id, set } of cluster.shards) {
      for (const db of ['ledger', 'chaos']) {
        if (!known.has(`${db}_${id}`)) await cluster.createDatabase(`${db}_${id}`, id)
      }
      parts.push(await ReplicaSetWork.begin(await set.client(), random, `_${id}`))
    }
    return new ShardedWork(cluster, parts, random)
  }

  isUnderWay(): boolean {
    return this.#parts.every((part) => part.isUnderWay())
  }

  lastAcknowledged(): bigint {
    return this.#parts.map((part) => part.lastAcknowledged()).reduce((last, time) => (time > last ? time : last), 0n)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#running, ...this.#parts.map((part) => part.stop())])
  }

  async wipe(): Promise<void> {
    for (const part of this.#parts) await part.wipe()
    for (const { set } of this.#cluster.shards) {
      await (await set.client()).db('bank').collection('accounts').deleteMany({}, MAJORITY)
    }
  }

  async faults(time: bigint): Promise<string[]> {
    const faults = await Promise.all([...this.#parts.map((part) => part.faults(time)), this.#accountFaults()])
    return faults.flat()
  }

  /** Each account must be on the shard that its chunk is on; others may still have copies. */
  async #accountFaults(): Promise<string[]> {
    const config = (await this.#cluster.config.client()).db('config')
    const collection = await config
      .collection<{ _id: string } & Document>('collections')
      .findOne({ _id: 'bank.accounts' })
    const chunks = await config.collection('chunks').find({ uuid: collection?.uuid }).toArray()
    let found = 0
    for (const { shard, min, max } of chunks) {
      const accounts = (await this.#cluster.shard(shard).set.client()).db('bank').collection('accounts')
      const inside = accounts
        .find({}, { projection: { _id: 1 } })
        .min(min)
        .max(max)
        .hint({ _id: 1 })
      found += (await inside.toArray()).length
    }
    return found === ACCOUNTS ? [] : [`${found} of ${ACCOUNTS} accounts are where their chunks are`]
  }

  async #repeat(random: Random, step: (cluster: ShardedCluster, random: Random) => Promise<unknown>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // Whatever is killed meanwhile, or refused.
      await step(this.#cluster, random).catch(() => undefined)
      await sleep(random(800))
    }
  }
}

async function moveChunk(cluster: ShardedCluster, random: Random): Promise<void> {
  const { id } = pick(random, cluster.shards)
  const from = random(ACCOUNTS)
  await cluster.moveRange('bank.accounts', id, {
    ...(random(3) === 0 ? {} : { min: { _id: from } }),
    ...(random(3) === 0 ? {} : { max: { _id: from + 1 + random(ACCOUNTS) } }),
    waitForDelete: random(2) === 0,
  })
}

/** What a mongos sends to the primary shard of `bank`. */
async function changeCollections(cluster: ShardedCluster, random: Random): Promise<void> {
  const config = (await cluster.config.client()).db('config')
  const bank: Document | null = await config.collection<{ _id: string }>('databases').findOne({ _id: 'bank' })
  if (bank === null) return
  const name = `t${random(3)}`
  const send = async (command: Document) => {
    const primary = await cluster.shard(bank.primary).set.client()
    await primary.db('bank').command({ ...command, databaseVersion: bank.version, ...MAJORITY })
  }
  switch (random(4)) {
    case 0:
      return await send({ _shardsvrDropCollection: name })
    case 1:
      return await send({
        ...{ _shardsvrRenameCollection: name, to: `bank.t${random(3)}`, dropTarget: random(2) === 0, stayTemp: false },
      })
    case 2:
      return await send({ _shardsvrCollMod: 'accounts', validationLevel: pick(random, ['moderate', 'strict']) })
    default:
      return await cluster.shardCollection(`bank.${name}`)
  }
}
