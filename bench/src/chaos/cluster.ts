import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { connectLeader, databaseRole, isAgentOk, listAgents, PluginHost, parseConfig, writeConfig } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { AgentProcess } from './agent-process.js'
import type { Shape } from './shape.js'
import { SmallDisk } from './small-disk.js'

/** A replica set of a shape, with an agent beside each member. */
export interface ChaosCluster {
  readonly shape: Shape
  readonly set: ReplicaSet
  readonly disk: SmallDisk
  readonly agents: readonly AgentProcess[]
  /** As the agents' own user. */
  readonly leader: MongoClient
  readonly admin: MongoClient
  /** What all agents have printed so far. */
  words(): string
  stop(): Promise<void>
}

export async function startChaosCluster(shape: Shape): Promise<ChaosCluster> {
  const undo: (() => unknown)[] = []
  const stop = async () => {
    for (const step of undo.toReversed()) await step()
  }
  try {
    const set = await startReplicaSet({
      members: 3,
      auth: true,
      memberConfig: shape.memberConfig,
      mongodArgs: ['--setParameter', 'enableTestCommands=1'],
      electionTimeoutMillis: 5_000,
    })
    undo.push(() => set.stop())
    const disk = await SmallDisk.create(shape.megabytes)
    undo.push(() => disk.unmount())
    const user = await set.createUser(databaseRole('agent'))
    const { client: leader } = await connectLeader(set.uri({ user }), { appName: 'chaos' })
    undo.push(() => leader.close())
    const agents = set.members.map((member) => {
      const uri = [member.uri({ user }), shape.uriOptions].filter((part) => part !== '').join('&')
      return new AgentProcess(member, uri)
    })
    undo.push(() => Promise.all(agents.map((agent) => agent.stop('SIGKILL'))))
    for (const agent of agents) agent.start()
    const host = new PluginHost({ resolveFrom: import.meta.resolve('@pbmkit/agent') })
    const cluster: ChaosCluster = {
      ...{ shape, set, disk, agents, leader, stop },
      admin: await set.client(),
      words: () => agents.map(({ output }) => output).join(''),
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
export async function until(what: string, holds: () => Promise<boolean>, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await sleep(100)
  }
}
