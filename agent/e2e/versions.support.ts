import type { ShardedCluster } from '@pbmkit/conformance/testbed'

interface Account {
  _id: number
  balance: number
}

const ACCOUNTS = 50

/**
 * `bank.accounts`, sharded and all of it on s1; `side.accounts`, unsharded on s2; `bank.spread`, sharded over both by a hash.
 * No chunk is moved, since servers before 6.0 need much for it that only mongos knows.
 */
export async function loadTwoAccounts(cluster: ShardedCluster): Promise<void> {
  await cluster.createDatabase('bank', 's1')
  await cluster.createDatabase('side', 's2')
  await cluster.shardCollection('bank.accounts', { key: { _id: 1 } })
  await cluster.shardCollection('bank.spread')
  for (const { shard, db } of SIDES) {
    const client = await cluster.shard(shard).set.client()
    const documents = Array.from({ length: ACCOUNTS }, (_, _id) => ({ _id, balance: 1000 }))
    await client.db(db).collection<Account>('accounts').insertMany(documents)
  }
}

const SIDES = [
  { shard: 's1', db: 'bank' },
  { shard: 's2', db: 'side' },
] as const

export async function sumOfTwoAccounts(cluster: ShardedCluster): Promise<number> {
  let sum = 0
  for (const { shard, db } of SIDES) {
    const accounts = (await cluster.shard(shard).set.client()).db(db).collection<Account>('accounts')
    for await (const { balance } of accounts.find()) sum += balance
  }
  return sum
}

/** Moves money from one shard to the other, each time in one transaction over both. */
export class TwoAccountTransfers {
  readonly #cluster: ShardedCluster
  done = 0

  constructor(cluster: ShardedCluster) {
    this.#cluster = cluster
  }

  async run(millis: number): Promise<void> {
    const until = Date.now() + millis
    for (let n = 0; Date.now() < until; n++) {
      const update = (_id: number, by: number) => ({
        update: 'accounts',
        updates: [{ q: { _id }, u: { $inc: { balance: by } } }],
      })
      await this.#cluster.transaction(async (run) => {
        await run('s1', 'bank', update(n % ACCOUNTS, -1 - (n % 7)))
        await run('s2', 'side', update((n * 3) % ACCOUNTS, 1 + (n % 7)))
      })
      this.done++
    }
  }
}
