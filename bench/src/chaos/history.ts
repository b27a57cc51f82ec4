import type { Random } from '@pbmkit/conformance/testbed'
import {
  type BackupDocument,
  clusterTime,
  listBackups,
  listChunks,
  optime,
  planPointInTime,
  timelines,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { type ChaosCluster, until } from './cluster.js'
import type { Target } from './restores.js'
import { pick } from './shape.js'
import type { Work } from './work.js'

/** Where a majority needs the member that is delayed, each chunk takes longer than what it holds. */
const CATCH_UP_SECONDS = 300

/** What was there in a stretch of time: optimes, both inclusive. */
interface Known {
  readonly work: Work
  readonly from: bigint
  readonly to: bigint
  /** Of the cluster then. */
  readonly replsets: number
}

/** All that a cluster can be restored to by its stored oplog, from all its rounds. */
export class History {
  readonly #known: Known[] = []

  /** Waits until all that this work did since the backup can be restored to. What it ended with is a finding. */
  async add(cluster: ChaosCluster, work: Work, { last_write_ts }: BackupDocument, replsets: number): Promise<void> {
    const { leader } = cluster
    const from = optime(last_write_ts) + 1n
    const to = optime(await clusterTime(leader))
    let reached = 0n
    const look = async () => {
      const { ranges } = timelines(await listChunks(leader), await bases(cluster))
      reached = ranges.find(({ start, end }) => start <= from && from <= end)?.end ?? 0n
      // Where a shard came, only a new backup leads on.
      return reached >= to || cluster.sets.length !== replsets
    }
    await until('the oplog to be stored', look, CATCH_UP_SECONDS).catch((error: unknown) => {
      throw new Error(`${error}: it is to ${to >> 32n}, and is to ${reached >> 32n}`)
    })
    if (reached > from) this.#known.push({ work, from, to: reached < to ? reached : to, replsets })
  }

  /** A random one of all times that the cluster as it is can be restored to; none where there is none. */
  async moment(cluster: ChaosCluster, random: Random): Promise<Target[]> {
    const usable = this.#known.filter(({ replsets }) => replsets === cluster.sets.length)
    if (usable.length === 0) return []
    const { work, from, to } = pick(random, usable)
    const [first, last] = [Number(from >> 32n) + 1, Number(to >> 32n)]
    if (first > last) return []
    // Most are seconds; within one, only what is stored can be asked for.
    const t = first + random(last - first + 1)
    const time = new Timestamp({ t, i: t < last && random(3) === 0 ? random(50) : 0 })
    const [chunks, all] = await Promise.all([listChunks(cluster.leader), bases(cluster)])
    return [{ work, time, backupName: planPointInTime({ chunks, bases: all, target: optime(time) }).name }]
  }
}

function bases({ leader }: ChaosCluster): Promise<BackupDocument[]> {
  return listBackups(leader, { status: ['done'] })
}
