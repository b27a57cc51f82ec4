import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CuttableNetwork,
  type MongodProcess,
  type ReplicaSet,
  type ShardedCluster,
  type ShardedClusterOptions,
  serverVersion,
  startNetwork,
  startShardedCluster,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import {
  clusterTime,
  connectLeader,
  databaseRole,
  isAgentOk,
  isStale,
  listAgents,
  PluginHost,
  parseConfig,
  writeConfig,
} from '@pbmkit/core'
import { type AgentProcess, type AgentProcessOptions, spawnAgent, until, type WithAgents } from './cluster.support.js'

/** Real agents beside every mongod of a sharded cluster. */
export interface ShardedBench extends WithAgents {
  readonly cluster: ShardedCluster
  /** The folder of the filesystem storage. */
  readonly storage: string
  startAgent(set: ReplicaSet, member: MongodProcess, options?: AgentProcessOptions): Promise<AgentProcess>
  /** Every running agent of this replica set; of all, when left out. */
  agentsOf(rs?: string): AgentProcess[]
  configure(yaml: string): Promise<void>
  agentsWell(): Promise<void>
  stop(): Promise<void>
}

export interface ShardedBenchOptions extends ShardedClusterOptions {
  /** Copied into the storage before anything begins. */
  readonly fixture?: string
  /** Used as it is, and not removed. */
  readonly storage?: string
  readonly pluginDir?: string
  /** The agents' user has what physical backups and restores need. */
  readonly physical?: boolean
  /** Added to the environment of each agent. */
  readonly environment?: (member: MongodProcess) => NodeJS.ProcessEnv
  /** Gives every agent a network of its own, which can be cut. */
  readonly networks?: boolean
}

export async function startShardedBench(options: ShardedBenchOptions = {}): Promise<ShardedBench> {
  const { fixture, pluginDir, physical = false, environment, networks: withNetworks, ...rest } = options
  const cluster = await startShardedCluster({ auth: true, ...rest })
  const version = await serverVersion(await cluster.config.client())
  const user = await cluster.createUser(databaseRole('agent', { sharded: true, physical, version }))
  // Any shard will do: it knows its config servers.
  const [shard] = cluster.shards
  const uri = (shard?.set ?? cluster.config).uri({ user })
  const { client: leader } = await connectLeader(uri, { appName: 'agent-e2e' })
  const storage = options.storage ?? join(await temporaryFolder('pbmkit-sharded-e2e-'), 'backups')
  await mkdir(storage, { recursive: true })
  if (fixture !== undefined) await cp(fixture, storage, { recursive: true })
  const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir })
  const agents: AgentProcess[] = []
  const replsets = new Map<AgentProcess, string>()
  const networks: CuttableNetwork[] = []

  const bench: ShardedBench = {
    cluster,
    admin: await cluster.config.client(),
    leader,
    storage,
    agents,
    startAgent: async (set, member, given = {}) => {
      const env = {
        ...environmentOf(options.shards, set.name),
        ...(pluginDir !== undefined && { PBM_PLUGIN_DIR: pluginDir }),
        ...environment?.(member),
        ...given.env,
      }
      const network = given.network ?? (withNetworks === true ? await startNetwork() : undefined)
      if (network !== undefined) networks.push(network)
      const agent = spawnAgent(member, member.uri({ user }), {
        ...given,
        env,
        ...(network !== undefined && { network }),
      })
      agents.push(agent)
      replsets.set(agent, set.name)
      if (given.notReady === true) return agent
      await until(`the agent of ${member.host}`, async () => {
        if (!agent.running) throw new Error(`the agent ended:\n${agent.output()}`)
        return (await listAgents(leader)).some(({ n }) => n === member.host) && /started beside/.test(agent.output())
      })
      return agent
    },
    agentsOf: (rs) => agents.filter((agent) => agent.running && (rs === undefined || replsets.get(agent) === rs)),
    configure: async (yaml) => {
      await writeConfig(leader, await parseConfig(yaml, host), host)
      await bench.agentsWell()
    },
    agentsWell: () =>
      until('every agent to report that it is well', async () => {
        const [reports, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
        const running = new Set(bench.agentsOf().map(({ member }) => member.host))
        const well = reports.filter((agent) => isAgentOk(agent) && !isStale(agent.hb, now))
        return well.filter(({ n }) => running.has(n)).length === running.size
      }),
    stop: async () => {
      await Promise.all(bench.agentsOf().map((agent) => agent.stop('SIGKILL')))
      await leader.close()
      await Promise.all(networks.map((network) => network.stop()))
      await cluster.stop()
      if (options.storage === undefined) await rm(storage, { recursive: true, force: true })
    },
  }
  try {
    await Promise.all(cluster.replsets.flatMap((set) => set.members.map((member) => bench.startAgent(set, member))))
  } catch (error) {
    await bench.stop()
    throw error
  }
  return bench
}

/** An agent runs on the machine of its mongod. */
function environmentOf(shards: ShardedBenchOptions['shards'], rs: string): NodeJS.ProcessEnv | undefined {
  return typeof shards === 'object' ? shards.find(({ name }) => name === rs)?.environment : undefined
}
