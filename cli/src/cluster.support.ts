import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  type ReplicaSet,
  type ReplicaSetOptions,
  spawnSupervised,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { connectLeader, databaseRole, listAgents } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { type Ended, pbm, type RunOptions } from './run.support.js'

// The agent is a program beside this one, not a dependency.
const AGENT = fileURLToPath(new URL('../../agent/dist/src/bin.js', import.meta.url))

/** A replica set with authentication, of one member unless more are asked for, and agents as they are started. */
export interface Cluster {
  readonly set: ReplicaSet
  /** Of an operator, as whom `pbm` runs. */
  readonly uri: string
  readonly leader: MongoClient
  /** The folder for storages. */
  readonly folder: string
  readonly host: string
  pbm(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** As `pbm … -o json`: the parsed standard output. */
  json(args: readonly string[], options?: RunOptions): Promise<Ended & { value: unknown }>
  /** With the URI of the agents' own user, unless another is given. */
  startAgent(uri?: string, env?: NodeJS.ProcessEnv): Promise<Agent>
  stop(): Promise<void>
}

export interface Agent {
  signal(signal: NodeJS.Signals): void
  stop(signal?: NodeJS.Signals): Promise<void>
}

export async function startCluster(
  options: {
    tls?: boolean
    members?: 1 | 2
    physical?: boolean
    memberConfig?: ReplicaSetOptions['memberConfig']
  } = {},
): Promise<Cluster> {
  const { memberConfig } = options
  const set = await startReplicaSet({
    ...{ members: options.members ?? 1, auth: true, tls: options.tls ?? false },
    ...(memberConfig === undefined ? {} : { memberConfig }),
  })
  const user = await set.createUser(databaseRole('agent', { physical: options.physical ?? false }))
  const uri = set.uri({ user: await set.createUser(databaseRole('operator'), 'operator') })
  const { client: leader } = await connectLeader(set.uri({ user }), { appName: 'cli-e2e' })
  const folder = await temporaryFolder('pbmkit-cli-e2e-')
  await mkdir(join(folder, 'backups'))
  const [member] = set.members
  if (member === undefined) throw new Error('a replica set without a member')
  const agents: { child: ChildProcess; output: () => string; wanted: boolean }[] = []
  const run = (args: readonly string[], options: RunOptions = {}) =>
    pbm(args, { ...options, env: { PBM_MONGODB_URI: uri, PBM_ALLOW_FILES: tmpdir(), ...options.env } })

  return {
    set,
    uri,
    leader,
    folder,
    host: member.host,
    pbm: run,
    json: async (args, options) => {
      const ended = await run([...args, '-o', 'json'], options)
      return { ...ended, value: JSON.parse(ended.stdout) }
    },
    startAgent: async (agentUri = member.uri({ user }), env = {}) => {
      const child = spawnSupervised(process.execPath, [AGENT], {
        env: { ...process.env, PBM_ALLOW_FILES: tmpdir(), ...env, PBM_MONGODB_URI: agentUri },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (chunk: Buffer) => {
          output += chunk.toString()
        })
      const agent = { child, output: () => output, wanted: true }
      agents.push(agent)
      await until('the agent', async () => {
        if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`)
        return /started beside/.test(output) && (await listAgents(leader)).length > 0
      })
      return {
        signal: (signal) => {
          agent.wanted = false
          child.kill(signal)
        },
        stop: async (signal = 'SIGTERM') => {
          agent.wanted = false
          if (child.exitCode !== null || child.signalCode !== null) return
          const closed = once(child, 'close')
          child.kill(signal)
          await closed
        },
      }
    },
    stop: async () => {
      const lost = agents.find(({ child, wanted }) => wanted && (child.exitCode ?? child.signalCode) !== null)
      for (const { child } of agents) child.kill('SIGKILL')
      await leader.close()
      await set.stop()
      // What no test meant to do explains those that failed.
      if (lost !== undefined) {
        const { exitCode, signalCode } = lost.child
        throw new Error(`an agent ended by itself (${exitCode ?? signalCode}):\n${lost.output()}`)
      }
    },
  }
}

/** Looks until `condition` holds; a test's own time limit is the limit. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 1200; looks++) {
    if (await condition()) return
    await sleep(50)
  }
  throw new Error(`waited in vain for ${what}`)
}
