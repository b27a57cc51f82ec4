import type { ShardedCluster } from '@pbmkit/conformance/testbed'

/** What all accounts hold together, whatever is transferred between them. */
export const TOTAL = 100_000
const ACCOUNTS = 100

interface Account {
  _id: number
  balance: number
}

/**
 * `bank.accounts`, sharded by `_id`: those below 50 on s1, the others on s2, which is also a zone; `bank.moving`, for its
 * chunks to be moved; `side`, whose primary shard is s2, unsharded.
 */
export async function loadAccounts(cluster: ShardedCluster): Promise<void> {
  await cluster.createDatabase('bank', 's1')
  await cluster.createDatabase('side', 's2')
  await cluster.shardCollection('bank.accounts', { key: { _id: 1 } })
  await cluster.moveRange('bank.accounts', 's2', { min: { _id: ACCOUNTS / 2 }, waitForDelete: true })
  for (const [id, from] of [
    ['s1', 0],
    ['s2', ACCOUNTS / 2],
  ] as const) {
    const accounts = await accountsOn(cluster, id)
    await accounts.insertMany(
      Array.from({ length: ACCOUNTS / 2 }, (_, n) => ({ _id: from + n, balance: TOTAL / ACCOUNTS })),
    )
    await accounts.createIndex({ balance: 1 }, { hidden: true })
  }
  await cluster.shardCollection('bank.moving', { key: { _id: 1 } })
  const s1 = await cluster.shard('s1').set.client()
  await s1
    .db('bank')
    .collection<Account>('moving')
    .insertMany(Array.from({ length: 200 }, (_, _id) => ({ _id, balance: 0 })))
  const s2 = await cluster.shard('s2').set.client()
  await s2
    .db('side')
    .collection('notes')
    .insertMany([{ text: 'one' }, { text: 'two' }])
  const config = (await cluster.config.client()).db('config')
  await config.collection<{ _id: string }>('shards').updateOne({ _id: 's2' }, { $set: { tags: ['rich'] } })
  const upper = { _id: 1_000 }
  await config.collection('tags').insertOne({ ns: 'bank.accounts', min: { _id: 500 }, max: upper, tag: 'rich' })
}

export async function sumOfAccounts(cluster: ShardedCluster): Promise<number> {
  const owners = await ownersOf(cluster)
  let sum = 0
  for (const { id } of cluster.shards) {
    const accounts = await accountsOn(cluster, id)
    // A shard may still have documents of chunks that it gave away.
    for await (const { _id, balance } of accounts.find()) if (owners(_id) === id) sum += balance
  }
  return sum
}

/** Transfers between random accounts, each in one transaction over the shards they are on. */
export class Transfers {
  readonly #cluster: ShardedCluster
  #stopped = false
  done = 0

  constructor(cluster: ShardedCluster) {
    this.#cluster = cluster
  }

  stop(): void {
    this.#stopped = true
  }

  /** Until stopped. A transfer that meets a lock or another transfer is given up, on all shards. */
  async run(): Promise<void> {
    const owners = await ownersOf(this.#cluster)
    while (!this.#stopped) {
      const [from, to] = [randomAccount(), randomAccount()]
      if (from === to) continue
      const amount = 1 + Math.floor(Math.random() * 50)
      const give = (_id: number, by: number) => ({
        update: 'accounts',
        updates: [{ q: { _id }, u: { $inc: { balance: by } } }],
      })
      try {
        await this.#cluster.transaction(async (run) => {
          await run(owners(from), 'bank', give(from, -amount))
          await run(owners(to), 'bank', give(to, amount))
        })
        this.done++
      } catch {
        // Its shards have aborted it.
      }
    }
  }
}

function randomAccount(): number {
  return Math.floor(Math.random() * ACCOUNTS)
}

async function accountsOn(cluster: ShardedCluster, id: string) {
  return (await cluster.shard(id).set.client()).db('bank').collection<Account>('accounts')
}

/** The shard of each account, by the routing table as it is now. */
async function ownersOf(cluster: ShardedCluster): Promise<(account: number) => string> {
  const config = (await cluster.config.client()).db('config')
  const collection = await config.collection<{ _id: string; uuid: unknown }>('collections').findOne({
    _id: 'bank.accounts',
  })
  const chunks = await config.collection('chunks').find({ uuid: collection?.uuid }).sort({ min: 1 }).toArray()
  return (account) => {
    const starts = (bound: unknown) => typeof bound !== 'number' || bound <= account
    return String(chunks.findLast(({ min }) => starts(min._id))?.shard)
  }
}
