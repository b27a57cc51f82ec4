import { seededRandom } from '@pbmkit/conformance/testbed'
import { findBackup, findRestore, listBackups, listLocks, optime, STALE_SECONDS, sendCommand } from '@pbmkit/core'
import { type ChaosCluster, until } from '../chaos/cluster.js'
import { healed, type Report } from '../chaos/ended.js'
import { restored, restoreOf } from '../chaos/restores.js'
import { controlCollections, freeName, nothingLeft } from '../chaos/round.js'
import type { Work } from '../chaos/work.js'
import type { Fault, Roles } from './faults.js'

/** Where a fault strikes. */
export interface Point {
  readonly operation: 'backup' | 'restore'
  readonly state: 'starting' | 'running' | 'dumpDone'
}

export const POINTS: readonly Point[] = (['backup', 'restore'] as const).flatMap((operation) =>
  (['starting', 'running', 'dumpDone'] as const).map((state) => ({ operation, state })),
)

/** What came of a fault at a point. */
export interface Cell {
  /** State that the operation ended in; `-` where nobody has that role then. */
  readonly outcome: string
  /** From the fault to that end. */
  readonly seconds?: number
  /** What should not be so. */
  readonly findings: readonly string[]
}

const LOOK_MS = 5
/** An operation whose agent is dead is ended when its heartbeat is stale; that is looked for, and told, some times over. */
const LONGEST_SECONDS = 4 * STALE_SECONDS
const TERMINAL: readonly string[] = ['done', 'error', 'canceled']

interface Seen {
  readonly status: string
  readonly error?: string | undefined
  readonly replsets: readonly { readonly node?: string }[]
}

/** Strikes once, sees how it ends, heals, and judges what is left: what reads as done has to restore. */
export async function strike(cluster: ChaosCluster, point: Point, fault: Fault, seed: number): Promise<Cell> {
  const findings: string[] = []
  const report: Report = { tell: (finding) => void findings.push(finding), note: () => undefined }
  const before = await controlCollections(cluster)
  const work = await cluster.begin(seededRandom(seed))
  try {
    await until('some entries', async () => work.isUnderWay(), 60)
    const isBackup = point.operation === 'backup'
    const name = await freeName(cluster)
    if (!isBackup) {
      await backUp(cluster, name)
      await work.stop()
      await work.wipe()
    }
    const begun = isBackup ? beginBackup(cluster, name) : beginRestore(cluster, name)
    const cell = await struck(cluster, point, fault, begun)
    await work.stop()
    await healed(cluster)
    await until('locks to be released', async () => (await listLocks(cluster.leader)).length === 0, LONGEST_SECONDS)
    // Records that were dropped are read again from the storage.
    if (fault.name === 'records dropped')
      await until('the records', async () => (await listBackups(cluster.leader)).length > 0, 60)
    // What reads as restored, before it is restored again.
    if (!isBackup && cell.outcome === 'done') findings.push(...(await faultsOf(cluster, work, name)))
    if (isBackup && cell.outcome !== 'done') await backUp(cluster, await freeName(cluster))
    else await restored(cluster, { work, backupName: name }, () => 1, report)
    await nothingLeft(cluster, before).catch((error: unknown) => report.tell(String(error)))
    return { ...cell, findings: [...cell.findings, ...findings] }
  } finally {
    await work.stop()
  }
}

async function faultsOf({ leader }: ChaosCluster, work: Work, name: string): Promise<string[]> {
  const backup = await findBackup(leader, name)
  return backup === undefined ? [`${name} is gone`] : await work.faults(optime(backup.last_write_ts))
}

interface Begun {
  find(): Promise<Seen | undefined>
}

function beginBackup(cluster: ChaosCluster, name: string): Begun {
  const backup = { type: 'logical', base: false, name, compression: 's2' } as const
  void sendCommand(cluster.leader, { cmd: 'backup', backup }).catch(() => undefined)
  return { find: () => findBackup(cluster.leader, name) }
}

function beginRestore({ leader }: ChaosCluster, backupName: string): Begun {
  const restore = restoreOf({ backupName })
  void sendCommand(leader, { cmd: 'restore', restore }).catch(() => undefined)
  return { find: () => findRestore(leader, restore.name) }
}

async function struck(cluster: ChaosCluster, { state }: Point, fault: Fault, begun: Begun): Promise<Cell> {
  let seen: Seen | undefined
  const isThere = async () => {
    seen = (await begun.find().catch(() => undefined)) ?? seen
    return seen !== undefined && (seen.status === state || TERMINAL.includes(seen.status))
  }
  await until(`the state ${state}`, isThere, LONGEST_SECONDS, LOOK_MS)
  const roles = await rolesIn(cluster, seen)
  const isHit = seen?.status === state && (fault.role === undefined || roles[fault.role] !== undefined)
  if (!isHit) {
    await until('the end', async () => isOver(await begun.find()), LONGEST_SECONDS)
    return { outcome: '-', findings: [] }
  }
  const at = Date.now()
  const findings: string[] = []
  let last: Seen | undefined
  try {
    await fault.strike(cluster, roles)
    const hasEnded = async () => {
      last = await begun.find()
      // A record that was dropped is written again by whoever works at it, or the operation ends without one.
      return isOver(last) || (last === undefined && (await listLocks(cluster.leader)).length === 0)
    }
    const look = () => hasEnded().catch(() => false)
    await until('the end', look, LONGEST_SECONDS).catch(() =>
      findings.push(`it is ${last?.status} still after ${LONGEST_SECONDS} s`),
    )
  } finally {
    await fault.heal?.(cluster, roles)
  }
  if (last?.status === 'error' && (last.error ?? '') === '') findings.push('it failed without a reason')
  return { outcome: last?.status ?? 'gone', seconds: Math.round((Date.now() - at) / 1000), findings }
}

function isOver(seen: Seen | undefined): boolean {
  return TERMINAL.includes(seen?.status ?? '')
}

async function rolesIn({ sets, agents }: ChaosCluster, seen: Seen | undefined): Promise<Roles> {
  const primary = (await sets[0]?.primary())?.host
  const node = seen?.replsets[0]?.node
  const agentOf = (host: string | undefined) => agents.find(({ member }) => member.host === host)
  return {
    leader: agentOf(primary),
    worker: node === primary ? undefined : agentOf(node),
    // As long as no node is named, each may still be the worker.
    other: node === undefined ? undefined : agents.find(({ member }) => ![primary, node].includes(member.host)),
  }
}

/** In peace: it has to be done. */
async function backUp(cluster: ChaosCluster, name: string): Promise<void> {
  const { find } = beginBackup(cluster, name)
  let seen: Seen | undefined
  const look = async () => {
    seen = await find()
    return isOver(seen)
  }
  await until('a backup', look, LONGEST_SECONDS)
  if (seen?.status !== 'done')
    throw new Error(`a backup that nothing was in the way of ended as ${seen?.status}: ${seen?.error}`)
}
