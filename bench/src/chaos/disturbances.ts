import { setTimeout as sleep } from 'node:timers/promises'
import { type MongodProcess, type Random, seededRandom } from '@pbmkit/conformance/testbed'
import { sendCommand } from '@pbmkit/core'
import { MongoClient } from 'mongodb'
import type { ChaosCluster } from './cluster.js'
import { hasSuccessor, pick } from './shape.js'

type Disturbance = (cluster: ChaosCluster, random: Random) => Promise<unknown>

/** What goes wrong. Each heals what it did, by itself. */
const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  nothing: async () => undefined,
  'an agent is killed': async ({ agents }, random) => {
    const agent = pick(random, agents)
    await agent.stop('SIGKILL')
    await sleep(random(8_000))
    agent.start()
  },
  'an agent is stopped': async ({ agents }, random) => {
    const agent = pick(random, agents)
    await agent.stop('SIGTERM')
    agent.start()
  },
  'an agent stands still': async ({ agents }, random) => {
    const agent = pick(random, agents)
    agent.signal('SIGSTOP')
    await sleep(random(50_000))
    agent.signal('SIGCONT')
  },
  'all agents are killed': async ({ agents }) => {
    await Promise.all(agents.map((agent) => agent.stop('SIGKILL')))
    for (const agent of agents) agent.start()
  },
  'the primary steps down': async ({ sets, shape }, random) =>
    hasSuccessor(shape) ? pick(random, sets).stepDown(10) : undefined,
  'a member lags': async ({ sets }, random) => {
    const secondaries = await pick(random, sets).secondaries()
    if (secondaries.length === 0) return
    const member = pick(random, secondaries)
    await pauseReplication(member, true)
    await sleep(random(15_000))
    // One that was killed meanwhile has forgotten it.
    await pauseReplication(member, false)
  },
  'a member is killed': async ({ sets }, random) => {
    const set = pick(random, sets)
    const member = pick(random, set.members)
    await member.kill('SIGKILL')
    await sleep(random(5_000))
    await member.restart()
    await set.ready()
  },
  'the disk is full': async ({ disk }, random) => {
    await disk.fill()
    await sleep(random(10_000))
    await disk.free()
  },
  // Of replica sets it is nothing.
  'a shard is added': async ({ addShard }) => addShard?.(),
  'it is canceled': ({ leader }) => sendCommand(leader, { cmd: 'cancelBackup' }),
}

/** Begins a random one, after a random while. One that another gets in the way of (a member that is dead by then) is noted. */
export function disturb(
  cluster: ChaosCluster,
  random: Random,
  note: (text: string) => void,
  names: readonly string[] = Object.keys(DISTURBANCES),
): { readonly what: string; readonly over: Promise<void> } {
  const what = pick(random, names)
  const delay = random(1_500)
  // Two of them at once must not draw from one sequence.
  const own = seededRandom(random(2 ** 31))
  const run = async () => {
    await sleep(delay)
    await DISTURBANCES[what]?.(cluster, own)
  }
  return { what, over: run().catch((error: unknown) => note(`  not done: ${what}: ${error}`)) }
}

async function pauseReplication(member: MongodProcess, isPaused: boolean): Promise<void> {
  const client = await MongoClient.connect(member.uri())
  try {
    await client.db('admin').command({ configureFailPoint: 'rsSyncApplyStop', mode: isPaused ? 'alwaysOn' : 'off' })
  } finally {
    await client.close()
  }
}
