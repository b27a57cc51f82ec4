import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, findRestore } from '@pbmkit/core'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  loadSmallData,
  objectsOn,
  outputs,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { backUp } from './finished.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

/** Where the storage stands still, and the state a backup is in meanwhile. */
export const PLACES = [
  { place: 'init', state: 'starting', what: 'the init object' },
  { place: 'types', state: 'running', what: 'a collection' },
  { place: 'list', state: 'running', what: 'the list of namespaces' },
  { place: 'oplog', state: 'dumpDone', what: 'the oplog' },
  { place: 'record', state: 'dumpDone', what: 'its metadata' },
] as const
export type Place = (typeof PLACES)[number]['place']
export const FAULTS = ['STORAGE_NO_SPACE', 'STORAGE_DENIED', 'STORAGE_UNAVAILABLE'] as const
export type Fault = (typeof FAULTS)[number]

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
  /** The name of a restore that stands still. */
  heldRestore(place: Place, backup: string, state: string): Promise<string>
  /** The running agent beside a node. */
  agentOf(host: string): AgentProcess
  /** Makes a backup, which must succeed, and waits until others may begin. */
  backupWorks(): Promise<string>
  /** The failed backup says why, holds no lock and left nothing on the storage. */
  failedAndClean(name: string, status: 'error' | 'canceled', reason: RegExp): Promise<void>
}

export async function startHeldCluster(
  options: { members?: 1 | 2 | 3; mongodArgs?: readonly string[]; networks?: boolean; config?: string } = {},
): Promise<HeldCluster> {
  const { config = '', ...given } = options
  const cluster = await startCluster({ ...given, pluginDir: await slowStoragePlugin(), args: ['--stop-grace', '0'] })
  await cluster.configure(`storage:\n  type: slow\n  slow:\n    path: ${cluster.storage}\n${config}`)
  const file = (name: string) => `${cluster.storage}.${name}`
  const letGo = (place: Place) => rm(file(`hold-${place}`), { force: true })
  const hold = async (place: Place) => {
    // It is written only where it is missing.
    if (place === 'init') await rm(`${cluster.storage}/.pbm.init`, { force: true })
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
      await Promise.all(FAULTS.map((fault) => rm(file(fault), { force: true })))
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
    heldRestore: async (place: Place, backup: string, state: string) => {
      await hold(place)
      const name = await cluster.restore(backup)
      await until(`the restore to stand still at ${place}`, async () => {
        const found = await findRestore(cluster.leader, name)
        if (found?.status === 'error') throw new Error(`${found.error}\n${outputs(cluster)}`)
        return found?.status === state && isHeld()
      })
      return name
    },
    backupWorks: async () => {
      await cluster.agentsWell()
      return (await backUp(cluster)).name
    },
    failedAndClean: async (name: string, status: 'error' | 'canceled', reason: RegExp) => {
      const backup = await backupEnded(cluster, name)
      assert.equal(backup.status, status, outputs(cluster))
      assert.match(backup.error ?? '', reason)
      await unlocked(cluster)
      await until(
        'its objects to be gone',
        async () => !(await objectsOn(cluster.storage)).some((object) => object.startsWith(name)),
      )
    },
  })
}

/** Of one member that takes fail points, with data that has been backed up; a restore does not read all through first. */
export async function startLoadedCluster(): Promise<{ cluster: HeldCluster; loaded: DatabaseState; backup: string }> {
  const cluster = await startHeldCluster({
    members: 1,
    mongodArgs: ['--setParameter', 'enableTestCommands=1'],
    // Without the reading-through before it, the storage stands still in the states that come after.
    config: 'restore:\n  verify: false\n',
  })
  await loadSmallData(cluster.admin)
  const loaded = await snapshotState(cluster.admin)
  return { cluster, loaded, backup: await cluster.backupWorks() }
}
