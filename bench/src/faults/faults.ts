import { sendCommand } from '@pbmkit/core'
import type { AgentProcess } from '../chaos/agent-process.js'
import type { ChaosCluster } from '../chaos/cluster.js'

/** The agent that a fault hits: of the primary, which leads; of the member that does the work; of one that does neither. */
export type Role = 'leader' | 'worker' | 'other'

/** Who is what at the moment of the fault; undefined where there is none (yet), or it is another role's. */
export type Roles = Readonly<Record<Role, AgentProcess | undefined>>

export interface Fault {
  readonly name: string
  /** Whom it hits; absent for what is no agent. */
  readonly role?: Role
  strike(cluster: ChaosCluster, roles: Roles): Promise<unknown>
  /** After the operation has ended. Agents that have ended are started again by the run. */
  heal?(cluster: ChaosCluster, roles: Roles): Promise<unknown>
}

const ROLES: readonly Role[] = ['leader', 'worker', 'other']

/** Each lasts until the operation has ended, or is over at once. */
export const FAULTS: readonly Fault[] = [
  ...ROLES.map((role) => ({
    name: `SIGKILL ${role}`,
    role,
    strike: async (_cluster: ChaosCluster, roles: Roles) => roles[role]?.stop('SIGKILL'),
  })),
  ...ROLES.map((role) => ({
    name: `SIGSTOP ${role}`,
    role,
    strike: async (_cluster: ChaosCluster, roles: Roles) => roles[role]?.signal('SIGSTOP'),
    heal: async (_cluster: ChaosCluster, roles: Roles) => roles[role]?.signal('SIGCONT'),
  })),
  { name: 'step-down', strike: async ({ sets }) => sets[0]?.stepDown(10) },
  {
    name: 'primary suspended',
    strike: async ({ sets }) => (await sets[0]?.primary())?.pause(),
    heal: async ({ sets }) => {
      for (const member of sets[0]?.members ?? []) member.resume()
    },
  },
  { name: 'storage full', strike: ({ disk }) => disk.fill(), heal: ({ disk }) => disk.free() },
  { name: 'locks dropped', strike: ({ admin }) => admin.db('admin').dropCollection('pbmLock') },
  {
    name: 'records dropped',
    strike: async ({ admin }) => {
      for (const name of ['pbmBackups', 'pbmRestores']) await admin.db('admin').dropCollection(name)
    },
    heal: ({ leader }) => sendCommand(leader, { cmd: 'resync' }),
  },
]
