import type { MongoClient } from 'mongodb'
import { findBackup } from '../control/backups.js'
import { PbmError } from '../errors.js'
import { reshardingRunning, runningReshardings } from '../mongo/resharding.js'
import { clusterMembers } from '../mongo/topology.js'
import { findBarriers } from '../oplog/reading/find-barriers.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'
import { refuseHalfDone } from './half-done.js'

/** How long the end of a resharding may take: a few seconds where the shards are well. */
const COMMIT_MS = 60_000
const POLL_MS = 200

/**
 * Waits for the end of a resharding whose result counts already: shards may still have it in collections that are in no
 * backup. One that is not so far is no matter: the backup has the collection as it was before. Throws
 * `RESHARDING_RUNNING`.
 */
export async function awaitReshardingEnds(
  leader: MongoClient,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const committing = async () => (await runningReshardings(leader)).find(({ state }) => state === 'committing')
  const isOver = async () => (await committing()) === undefined
  if (await until(isOver, { clock, signal, everyMs: POLL_MS, timeoutMs: COMMIT_MS })) return
  const one = await committing()
  if (one !== undefined) throw reshardingRunning(one, 'no backup can be made')
}

/** After all parts have begun: a shard that was added in between has none. Throws `BACKUP_CLUSTER_CHANGED`. */
export async function requireAllShards(leader: MongoClient, name: string): Promise<void> {
  const [record, members] = await Promise.all([findBackup(leader, name), clusterMembers(leader)])
  const missing = members.find(({ rs }) => record?.replsets.some((part) => part.name === rs) !== true)
  if (missing !== undefined) throw changed(`shard ${missing.id} was added`)
}

/**
 * Before a backup is published: nothing in its time may be what no replay leads across, for a restore replays it. `node` is
 * a member of the config servers. Throws `BACKUP_CLUSTER_CHANGED` and `BACKUP_HALF_DONE`.
 */
export async function requireNoBarriers(
  { leader, node, signal }: { readonly leader: MongoClient; readonly node: MongoClient; readonly signal: AbortSignal },
  name: string,
): Promise<void> {
  const record = await findBackup(leader, name)
  const part = record?.replsets.find(({ iscs }) => iscs === true)
  if (record === undefined || part === undefined) return
  refuseHalfDone(record)
  const found = await findBarriers(node, { start: part.first_write_ts, end: part.last_write_ts }, signal)
  const barrier = found.find(({ ts }) => ts.greaterThan(part.first_write_ts))
  if (barrier !== undefined) throw changed(`${barrier.what} at ${new Date(barrier.ts.t * 1000).toISOString()}`)
}

function changed(what: string): PbmError {
  return new PbmError(
    'BACKUP_CLUSTER_CHANGED',
    `While the backup was made, ${what}: it is not of one state of the cluster`,
    {
      hint: 'Make it again',
    },
  )
}
