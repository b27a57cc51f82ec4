import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { findBackup } from '@pbmkit/core'
import {
  type AgentProcess,
  type Cluster,
  outputs,
  slowStoragePlugin,
  startCluster,
  until,
} from './cluster.e2e.support.js'

/** Where the slow storage stands still, and the state a backup is in meanwhile. */
export const PLACES = [
  { place: 'types', state: 'running', what: 'a collection' },
  { place: 'list', state: 'running', what: 'the list of namespaces' },
  { place: 'oplog', state: 'dumpDone', what: 'the oplog' },
  { place: 'record', state: 'dumpDone', what: 'its metadata' },
] as const
export type Place = (typeof PLACES)[number]['place']
export type Fault = 'STORAGE_NO_SPACE' | 'STORAGE_DENIED' | 'STORAGE_UNAVAILABLE'

/** A cluster on a storage that can be told to stand still or to fail. */
export interface HeldCluster extends Cluster {
  hold(place: Place): Promise<void>
  letGo(place: Place): Promise<void>
  fail(fault: Fault): Promise<void>
  /** Ends every hold and fault. */
  heal(): Promise<void>
  /** Whether somebody stands still since the last `hold`. */
  isHeld(): boolean
  /** A backup that stands still, and the agent that makes it. */
  heldBackup(place: Place, state?: string): Promise<{ name: string; agent: AgentProcess }>
  /** The running agent beside a node. */
  agentOf(host: string): AgentProcess
}

export async function startHeldCluster(more = ''): Promise<HeldCluster> {
  const cluster = await startCluster({ pluginDir: await slowStoragePlugin(), args: ['--stop-grace', '0'] })
  await cluster.configure(`storage:\n  type: slow\n  slow:\n    path: ${cluster.storage}\n${more}`)
  const file = (name: string) => `${cluster.storage}.${name}`
  const faults: Fault[] = ['STORAGE_NO_SPACE', 'STORAGE_DENIED', 'STORAGE_UNAVAILABLE']
  const letGo = (place: Place) => rm(file(`hold-${place}`), { force: true })
  const hold = async (place: Place) => {
    await rm(file('held'), { force: true })
    await writeFile(file(`hold-${place}`), '')
  }
  const isHeld = () => existsSync(file('held'))
  const agentOf = (host: string): AgentProcess => {
    const agent = cluster.agents.find(({ member, running }) => running && member.host === host)
    if (agent === undefined) throw new Error(`no agent runs beside ${host}`)
    return agent
  }
  return Object.assign(cluster, {
    hold,
    letGo,
    fail: (fault: Fault) => writeFile(file(fault), ''),
    heal: async () => {
      await Promise.all(PLACES.map(({ place }) => letGo(place)))
      await Promise.all(faults.map((fault) => rm(file(fault), { force: true })))
    },
    isHeld,
    agentOf,
    heldBackup: async (place: Place, state = 'running') => {
      await hold(place)
      const name = await cluster.backup()
      let node = ''
      await until(`the backup to stand still at ${place}`, async () => {
        const backup = await findBackup(cluster.leader, name)
        if (backup?.status === 'error') throw new Error(`${backup.error}\n${outputs(cluster)}`)
        node = backup?.n[0]?.ack ?? ''
        return node !== '' && backup?.status === state && isHeld()
      })
      return { name, agent: agentOf(node) }
    },
  })
}
