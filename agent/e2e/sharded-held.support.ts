import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { balancerStatus, clusterTime, findBackup, findRestore, type RestoreCommand } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { outputs, passSeconds, sendBackup, sendRestore, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { loadAccounts } from './sharded-transfers.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

/** Where shard `s1` stands still; at `init` the leader replica set does. */
const PLACES = ['init', 'types', 'list', 'oplog'] as const
export type ShardedPlace = (typeof PLACES)[number]

/** A sharded cluster with accounts, two config servers and a storage that can be told to stand still. */
export interface HeldShardedCluster extends ShardedBench {
  configureWith(more: string): Promise<void>
  hold(place: ShardedPlace): Promise<void>
  /** What stands still at one place goes on to another one. */
  moveHold(from: ShardedPlace, to: ShardedPlace): Promise<void>
  /** Ends every hold. */
  heal(): Promise<void>
  /** The name of a backup that stands still. */
  heldBackup(place: ShardedPlace, state: string): Promise<string>
  /** The name of a restore that stands still. */
  heldRestore(place: ShardedPlace, backup: string, state: string, command?: Partial<RestoreCommand>): Promise<string>
  /** Kills the agents of this replica set; all, when left out. */
  kill(rs?: string): Promise<void>
  /** Lets everybody who was killed count as dead, and starts all agents again. */
  restartDead(): Promise<void>
  /** Starts an agent beside every member that has none. */
  startMissing(): Promise<void>
  /** As if the replica set's agent had given no heartbeat for longer than others wait, until that has ended it all. */
  loseAgent(rs: string, hasEnded: () => Promise<boolean>): Promise<void>
  isBalancing(): Promise<boolean>
  /** Makes a backup, which must succeed, and waits until others may begin. */
  backupWorks(): Promise<string>
  restoreWorks(backup: string): Promise<void>
}

export async function startHeldShardedCluster(config: string): Promise<HeldShardedCluster> {
  const bench = await startShardedBench({
    configMembers: 2,
    pluginDir: await slowStoragePlugin(),
    // Fail points.
    mongodArgs: ['--setParameter', 'enableTestCommands=1'],
  })
  const file = (name: string) => `${bench.storage}.${name}`
  const isHeld = () => existsSync(file('held'))
  const hold = async (place: ShardedPlace) => {
    await bench.agentsWell()
    // It is written only where it is missing.
    if (place === 'init') await rm(`${bench.storage}/.pbm.init`, { force: true })
    await rm(file('held'), { force: true })
    await writeFile(file(`hold-${place}`), '')
  }
  const heal = async () => {
    for (const place of PLACES) await rm(file(`hold-${place}`), { force: true })
  }
  const standsStill = (place: ShardedPlace, state: string, find: () => ReturnType<typeof found>) =>
    until(`it to stand still at ${place}`, async () => {
      const operation = await find()
      if (operation?.status === 'error') throw new Error(`${operation.error}\n${outputs(bench)}`)
      // All take part: whoever is killed then has a lock.
      return operation?.status === state && isHeld() && operation.replsets.length >= (place === 'init' ? 2 : 3)
    })
  const found = async (find: typeof findBackup | typeof findRestore, name: string) => {
    const operation = await find(bench.leader, name)
    return operation && { status: operation.status, error: operation.error, replsets: operation.replsets }
  }
  const cluster: HeldShardedCluster = Object.assign(bench, {
    configureWith: (more: string) =>
      bench.configure(`storage:\n  type: slow\n  slow:\n    path: ${bench.storage}\n${more}`),
    hold,
    moveHold: async (from: ShardedPlace, to: ShardedPlace) => {
      await writeFile(file(`hold-${to}`), '')
      await rm(file(`hold-${from}`), { force: true })
    },
    heal,
    heldBackup: async (place: ShardedPlace, state: string) => {
      await hold(place)
      const name = await sendBackup(bench.leader)
      await standsStill(place, state, () => found(findBackup, name))
      return name
    },
    heldRestore: async (place: ShardedPlace, backup: string, state: string, command: Partial<RestoreCommand> = {}) => {
      await hold(place)
      const name = await sendRestore(bench.leader, backup, command)
      await standsStill(place, state, () => found(findRestore, name))
      return name
    },
    kill: async (rs?: string) => {
      await Promise.all(bench.agentsOf(rs).map((agent) => agent.stop('SIGKILL')))
    },
    restartDead: async () => {
      await passSeconds(bench, 35)
      await cluster.startMissing()
    },
    startMissing: async () => {
      const running = new Set(bench.agentsOf().map(({ member }) => member))
      await Promise.all(
        bench.cluster.replsets.flatMap((set) =>
          set.members.filter((member) => !running.has(member)).map((member) => bench.startAgent(set, member)),
        ),
      )
    },
    loseAgent: (replset: string, hasEnded: () => Promise<boolean>) =>
      until(`the loss of ${replset} to be noticed`, async () => {
        const hb = new Timestamp({ t: (await clusterTime(bench.leader)).t - 40, i: 1 })
        await bench.leader.db('admin').collection('pbmLock').updateOne({ replset }, { $set: { hb } })
        return await hasEnded()
      }),
    isBalancing: async () => (await balancerStatus(bench.leader)).mode === 'full',
    backupWorks: async () => {
      await bench.agentsWell()
      return (await backUp(bench)).name
    },
    restoreWorks: async (backup: string) => {
      await bench.agentsWell()
      await restore(bench, backup)
    },
  })
  try {
    await cluster.configureWith(config)
    await loadAccounts(bench.cluster)
    await bench.cluster.setBalancer('full')
    return cluster
  } catch (error) {
    await bench.stop()
    throw error
  }
}
