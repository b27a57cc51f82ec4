import { type MongoClient, ObjectId } from 'mongodb'
import { chainUpTo } from '../../catalog/chain.js'
import { AGENT_GONE_SECONDS, type AgentDocument, listAgents } from '../../control/agents.js'
import { findBackup } from '../../control/backups.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { emptyReplset, emptyRestore } from '../../control/new-restore.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import { insertRestore } from '../../control/restores.js'
import { unixSeconds } from '../../control/wire.js'
import { PbmError } from '../../errors.js'
import { clusterTime, secondsOf } from '../../mongo/cluster-time.js'
import { clusterMembers, type Member, type ReplsetTopology } from '../../mongo/topology.js'

/** Who takes part in a physical restore. */
export interface TakeOverParty {
  readonly rs: string
  /** `host:port` of this member. */
  readonly node: string
  /** Of its replica set, all that take part. */
  readonly nodes: readonly string[]
  /** All replica sets. */
  readonly replsets: readonly string[]
  /** That of the config servers, or the only one. */
  readonly leading: string
  /** Speaks for its replica set; its agent took the lock of that. */
  readonly isCoordinator: boolean
}

/** The leader's: the record of a restore that begins, with every member that takes part. */
export async function announceRestore(
  leader: MongoClient,
  self: Member,
  { opid, restore }: { readonly opid: string; readonly restore: RestoreCommand },
): Promise<RestoreDocument> {
  const [now, hb, cluster, agents] = [
    unixSeconds(),
    await clusterTime(leader),
    await clusterMembers(leader),
    await listAgents(leader),
  ]
  const record: RestoreDocument = {
    ...emptyRestore(restore, opid, now, hb),
    type: 'physical',
    bcp_chain: restore.backupName === '' ? [] : await chainNames(leader, restore.backupName),
    l: `${self.rs}/${self.node}`,
    replsets: cluster.map((replset) => ({
      ...emptyReplset(replset.rs, now),
      ...(replset.rs === self.rs && { node: self.node }),
      nodes: nodesWithData(replset, agents).map((name) => ({
        name,
        status: 'starting',
        last_transition_ts: now,
        conditions: [],
      })),
      identity: new ObjectId().toHexString(),
    })),
  }
  if (!(await insertRestore(leader, record)))
    throw new PbmError('RESTORE_EXISTS', `There is a restore ${record.name} already`)
  return record
}

/** As far as the list of backups tells; each member looks for itself before anything is touched. */
async function chainNames(leader: MongoClient, name: string): Promise<string[]> {
  const backup = await findBackup(leader, name)
  if (backup === undefined) return [name]
  const chain = await chainUpTo(backup, (link) => findBackup(leader, link)).catch(() => [backup])
  return chain.map((link) => link.name)
}

/** Hidden members of shards are known by their agents alone. */
function nodesWithData({ rs, members }: ReplsetTopology, agents: readonly AgentDocument[]): string[] {
  const own = agents.filter((agent) => agent.rs === rs)
  const arbiters = new Set(own.filter(({ arb }) => arb).map(({ n }) => n))
  const hosts = members.filter(({ role }) => role !== 'arbiter').map(({ host }) => host)
  const hidden = members.some(({ role }) => role === 'primary') ? [] : own.map(({ n }) => n)
  return [...new Set([...hosts, ...hidden])].filter((node) => !arbiters.has(node))
}

export function partyOf(record: RestoreDocument, { rs, node }: Member, isCoordinator: boolean): TakeOverParty {
  const { replsets, l = '' } = record
  const nodes = replsets.find(({ name }) => name === rs)?.nodes ?? []
  return {
    ...{ rs, node, isCoordinator },
    nodes: nodes.map(({ name }) => name),
    replsets: replsets.map(({ name }) => name),
    leading: l.slice(0, l.lastIndexOf('/')),
  }
}

/** PBM's own agents would go other ways, and a member without any would keep its old data. */
export async function requireAgents(leader: MongoClient, { replsets }: RestoreDocument): Promise<void> {
  const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
  const alive = agents.filter(({ hb }) => secondsOf(now) - secondsOf(hb) <= AGENT_GONE_SECONDS)
  const faults = replsets.flatMap(({ name: rs, nodes = [] }) =>
    nodes.flatMap(({ name: node }) => {
      const agent = alive.find((one) => one.rs === rs && one.n === node)
      if (agent === undefined) return [`${node}: no agent is alive`]
      if (agent.physical === undefined) return [`${node}: its agent restores no physical backups as we do`]
      return agent.physical.ok ? [] : [`${node}: ${agent.physical.e}`]
    }),
  )
  if (faults.length === 0) return
  throw new PbmError('NO_CANDIDATE', `every member has to take part in a physical restore: ${faults.join('; ')}`, {
    hint: 'See pbm status; every member but arbiters needs a pbmkit agent beside it',
  })
}
