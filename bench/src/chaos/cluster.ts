import { setTimeout as sleep } from 'node:timers/promises'
import {
  type MongodProcess,
  type Random,
  type ReplicaSet,
  type ShardedCluster,
  startReplicaSet,
  startShardedCluster,
} from '@pbmkit/conformance/testbed'
import { connectLeader, databaseRole, isAgentOk, listAgents, PluginHost, parseConfig, writeConfig } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { AgentProcess } from './agent-process.js'
import type { Shape } from './shape.js'
import { ShardedWork } from './sharded-work.js'
import { SmallDisk } from './small-disk.js'
import { ReplicaSetWork, type Work } from './work.js'

/** A replica set or a sharded cluster of a shape, with an agent beside each member. */
export interface ChaosCluster {
  readonly shape: Shape
  /** The config servers first. */
  readonly sets: readonly ReplicaSet[]
  readonly disk: SmallDisk
  readonly agents: readonly AgentProcess[]
  /** As the agents' own user. */
  readonly leader: MongoClient
  readonly admin: MongoClient
  begin(random: Random): Promise<Work>
  /** Adds the shard that is to come later, with its agents, once. */
  addShard?(): Promise<void>
  /** What all agents have printed so far. */
  words(): string
  stop(): Promise<void>
}

interface Servers {
  readonly sets: readonly ReplicaSet[]
  /** Any that clients may ask; the agents' user is made on each. */
  readonly entrance: ReplicaSet
  readonly sharded?: ShardedCluster
  begin(random: Random): Promise<Work>
  stop(): Promise<void>
}

const LATER = 's3'
const MONGOD_ARGS = ['--setParameter', 'enableTestCommands=1']

async function startServers(shape: Shape): Promise<Servers> {
  if (shape.isSharded) {
    const membersPerReplset = shape.kinds.length === 1 ? 1 : 3
    const shards = [{ name: 's1' }, { name: 's2' }, { name: LATER, later: true }]
    const sharded = await startShardedCluster({ auth: true, shards, membersPerReplset, mongodArgs: MONGOD_ARGS })
    const begin = (random: Random) => ShardedWork.begin(sharded, random)
    return { sets: sharded.replsets, entrance: sharded.config, sharded, begin, stop: () => sharded.stop() }
  }
  const { memberConfig } = shape
  const mongodArgs = MONGOD_ARGS
  // A member that was killed may have lost what others without a vote have; by default it would wait for it for ever.
  const settings = { catchUpTimeoutMillis: 10_000 }
  const electionTimeoutMillis = 5_000
  const set = await startReplicaSet({
    members: 3,
    auth: true,
    memberConfig,
    mongodArgs,
    electionTimeoutMillis,
    settings,
  })
  const begin = async (random: Random) => ReplicaSetWork.begin(await set.client(), random)
  return { sets: [set], entrance: set, begin, stop: () => set.stop() }
}

export async function startChaosCluster(shape: Shape): Promise<ChaosCluster> {
  const undo: (() => unknown)[] = []
  const stop = async () => {
    for (const step of undo.toReversed()) await step()
  }
  try {
    const { sets, entrance, sharded, begin, stop: stopServers } = await startServers(shape)
    undo.push(stopServers)
    const disk = await SmallDisk.create(shape.megabytes)
    undo.push(() => disk.unmount())
    const role = databaseRole('agent', { sharded: shape.isSharded })
    const user = sharded === undefined ? await entrance.createUser(role) : await sharded.createUser(role)
    const { client: leader } = await connectLeader(entrance.uri({ user }), { appName: 'chaos' })
    undo.push(() => leader.close())
    const agentOf = (member: MongodProcess) => {
      const uri = [member.uri({ user }), shape.uriOptions].filter((part) => part !== '').join('&')
      return new AgentProcess(member, uri)
    }
    const agents = sets.flatMap(({ members }) => members.map(agentOf))
    undo.push(() => Promise.all(agents.map((agent) => agent.stop('SIGKILL'))))
    for (const agent of agents) agent.start()
    const host = new PluginHost({ resolveFrom: import.meta.resolve('@pbmkit/agent') })
    const cluster: ChaosCluster = {
      ...{ shape, sets, disk, agents, leader, begin, stop },
      admin: await entrance.client(),
      words: () => agents.map(({ output }) => output).join(''),
      ...(sharded === undefined
        ? {}
        : {
            addShard: async () => {
              if (sharded.shards.some(({ id }) => id === LATER)) return
              const { set } = await sharded.addShard(LATER)
              await set.createUser(role)
              const added = set.members.map(agentOf)
              agents.push(...added)
              for (const agent of added) agent.start()
            },
          }),
    }
    const reported = async () => {
      // A delayed member does not know the user yet, so its agent ends: whoever runs agents starts them again.
      for (const agent of agents) if (!agent.running) agent.start()
      return (await listAgents(leader)).length === agents.length
    }
    await until('the agents to report', reported, 90).catch((error: unknown) => {
      throw new Error(`${error}\n${agents.map(({ output }) => output).join('\n')}`)
    })
    const pitr = `pitr: {enabled: ${shape.slices}, oplogSpanMin: 0.1}\n`
    const yaml = `storage:\n  type: filesystem\n  filesystem: {path: ${disk.storage}}\n${pitr}`
    await writeConfig(leader, await parseConfig(yaml, host), host)
    await agentsWell(cluster)
    return cluster
  } catch (error) {
    await stop()
    throw error
  }
}

export async function agentsWell({ leader, agents }: ChaosCluster): Promise<void> {
  await until(
    'every agent to be well',
    async () => {
      const reports = await listAgents(leader)
      return agents.every(({ member }) => reports.some((report) => report.n === member.host && isAgentOk(report)))
    },
    90,
  )
}

/** What was waited for in vain is a finding of its own. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  seconds: number,
  everyMs = 100,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await sleep(everyMs)
  }
}
