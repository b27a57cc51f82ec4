import type { ClusterSection } from '../../status/cluster.js'
import type { Failed, History } from '../protocol.js'
import type { Seen } from './live-state.js'
import { newestOf, type Past } from './moments.js'
import { ago, count, utc } from './text.js'

/** What needs somebody's attention, most urgent first. */
export function problemsOf({ cluster = [], history, running, trouble, isConnected, hasEnded }: Seen): string[] {
  const found: string[] = []
  if (hasEnded) found.push('the session is over: open the address that pbm web has printed')
  else if (!isConnected) found.push('pbm web does not answer; what is shown is old')
  if (trouble) found.push(trouble)
  if (running?.stale === true) found.push(`the agents of the running ${running.type} are dead`)
  for (const { rs, error } of cluster) if (error !== undefined) found.push(`${rs}: ${error}`)
  for (const node of cluster.flatMap(({ nodes }) => nodes))
    if (!node.ok) found.push(`${node.host}: ${(node.errors ?? ['not well']).join('; ')}`)
  if (history !== undefined) found.push(...problemsOfHistory(history))
  return found
}

function problemsOfHistory({ pitr, backups }: History): string[] {
  const found: string[] = []
  if (isFailed(backups)) found.push(backups.error)
  else {
    const [newest] = backups.snapshot.filter(({ printStatus }) => printStatus !== 'ongoing')
    if (newest?.printStatus === 'failed' && newest.status !== 'canceled')
      found.push(`the newest backup failed: ${newest.error ?? 'no reason was recorded'}`)
    const damaged = backups.snapshot.filter(({ verification }) => verification?.result === 'damaged')
    if (damaged.length > 0)
      found.push(
        `${count(damaged.length, 'damaged backup')}: ${damaged
          .slice(0, 3)
          .map(({ name }) => name)
          .join(', ')}`,
      )
  }
  if (isFailed(pitr)) found.push(pitr.error)
  else {
    if (pitr.snapshotNeeded !== undefined) found.push(`a fresh backup is needed: ${pitr.snapshotNeeded}`)
    else if (pitr.error !== undefined) found.push(`point-in-time recovery: ${pitr.error}`)
    if (pitr.conf && !pitr.run) found.push('point-in-time recovery is on, but nobody stores the oplog yet')
  }
  return found
}

/** What can be gone back to, in one sentence. */
export function summary(past: Past, now: number): string {
  const newest = newestOf(past)
  if (newest === undefined) return 'There is nothing to go back to yet. Make a backup.'
  const whole = past.ranges.filter(({ noBaseSnapshot }) => noBaseSnapshot !== true)
  const [first, last] = [whole[0]?.range, whole.at(-1)?.range]
  const backups = count(past.backups.length, 'backup')
  if (first === undefined || last === undefined)
    return `You can go back to ${backups}, the newest ${ago(newest.at, now)}.`
  const between = `from ${utc(first.start)} to ${utc(last.end)} UTC`
  const but = whole.length === 1 ? '' : `, but for ${count(whole.length - 1, 'gap')}`
  return `You can go back to any second ${between}${but}, and to ${backups}.`
}

export function isFailed(section: object): section is Failed {
  return 'code' in section && 'error' in section
}

/** How many members there are, and how many are well. */
export function membersText(cluster: readonly ClusterSection[]): string {
  const nodes = cluster.flatMap(({ nodes: own }) => own)
  const well = nodes.filter(({ ok }) => ok).length
  return well === nodes.length
    ? `${count(nodes.length, 'member')}, all well`
    : `${well} of ${nodes.length} members well`
}
