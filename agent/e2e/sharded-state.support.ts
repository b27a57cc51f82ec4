import assert from 'node:assert/strict'
import { compareShardedStates, PBM_USER, type ShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, listBackups, listChunks, optime, type TimeRange, timelines } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { outputs, until } from './cluster.support.js'
import type { ShardedBench } from './sharded.support.js'

/** Of every document and of the routing metadata; the user and role of the agents are each cluster's own. */
export function assertSameState(expected: ShardedState, actual: ShardedState): void {
  const found = compareShardedStates(expected, actual, { ignoreUsers: [`admin.${PBM_USER.user}`] })
  assert.deepEqual(
    found.filter((line) => !/: role admin\./.test(line)),
    [],
  )
}

export async function slicedEverywhere({ leader, cluster }: ShardedBench): Promise<void> {
  await until(
    'every replica set to be sliced',
    async () => new Set((await listChunks(leader)).map(({ rs }) => rs)).size === cluster.replsets.length,
  )
}

/** Waits until the last range reaches `time`, and gives all. */
export async function storedUpTo(bench: ShardedBench, time: Timestamp): Promise<readonly TimeRange[]> {
  const find = async () => timelines(await listChunks(bench.leader), await listBackups(bench.leader)).ranges
  await until(
    'the stored oplog of all replica sets to reach the time',
    async () => ((await find()).at(-1)?.end ?? 0n) >= optime(time),
  ).catch((error: unknown) => {
    throw new Error(`${error}\n${outputs(bench)}`)
  })
  return await find()
}

/** All that was written lies before it, and every replica set writes something after it. */
export async function nextSecond({ cluster, leader }: ShardedBench): Promise<Timestamp> {
  // A shard that was written at directly may be ahead.
  const clients = await Promise.all(cluster.replsets.map((set) => set.client()))
  const t = Math.max(...(await Promise.all(clients.map(clusterTime))).map((time) => time.t))
  await until('the next second of the cluster', async () => (await clusterTime(leader)).t > t)
  const { $clusterTime } = await leader.db('admin').command({ ping: 1 })
  for (const { set } of cluster.shards) {
    const client = await set.client()
    await client.withSession(async (session) => {
      session.advanceClusterTime($clusterTime)
      await client.db('admin').command({ appendOplogNote: 1, data: { test: true } }, { session })
    })
  }
  return new Timestamp({ t: t + 1, i: 0 })
}
