import type { Random } from '@pbmkit/conformance/testbed'
import { findBackup, findRestore, listLocks, optime, type RestoreCommand, sendCommand } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { type ChaosCluster, until } from './cluster.js'
import { disturb } from './disturbances.js'
import { type Ended, ended, healed, type Report } from './ended.js'
import type { Work } from './work.js'

/** What may happen to a restore. */
const TROUBLES = [
  'an agent is killed',
  'an agent is stopped',
  'an agent stands still',
  'all agents are killed',
  'the primary steps down',
  'a member lags',
  'a member is killed',
]

/** No restore can end in the middle of a command on several shards; it says so before anything is dropped, with the nearest times. */
const MID_COMMAND = /can't be restored to: \w+ of \S+ was under way from .*Nothing of the data was changed/s

export interface Target {
  readonly work: Work
  readonly backupName: string
  /** Default: the end of the backup. */
  readonly time?: Timestamp
}

/** Restores a backup, or a time by it, now and then in trouble first: all that was there must be there again, and no more. */
export async function restored(cluster: ChaosCluster, target: Target, random: Random, report: Report): Promise<void> {
  const { work, backupName, time } = target
  const { tell, note } = report
  const backup = await findBackup(cluster.leader, backupName)
  if (backup === undefined) throw new Error(`${backupName} is gone`)
  const moment = time === undefined ? backupName : `${time.t},${time.i} by ${backupName}`
  const troubled = random(3) === 0 ? [disturb(cluster, random, note, TROUBLES)] : []
  // The second time nothing is in the way.
  for (const trouble of [...troubled, undefined]) {
    await until('locks to be released', async () => (await listLocks(cluster.leader)).length === 0, 60)
    await work.wipe()
    const what = trouble === undefined ? `restore of ${moment}` : `restore of ${moment} (${trouble.what})`
    const outcome = await sent(cluster, target, what, report)
    await trouble?.over
    note(`${what}: ${outcome?.status} ${outcome?.error ?? ''}`)
    await healed(cluster)
    if (outcome?.status === 'done') {
      for (const fault of await work.faults(optime(time ?? backup.last_write_ts))) tell(`${what}: ${fault}`)
      return
    }
    if (time !== undefined && MID_COMMAND.test(outcome?.error ?? '')) return
    if (trouble === undefined) tell(`${what} ended as ${outcome?.status}: ${outcome?.error ?? ''}`)
    else if (outcome?.status === 'error' && (outcome.error ?? '') === '') tell(`${what} failed without a reason`)
  }
}

async function sent(cluster: ChaosCluster, target: Target, what: string, report: Report): Promise<Ended | undefined> {
  const { leader } = cluster
  const restore = restoreOf(target)
  await sendCommand(leader, { cmd: 'restore', restore })
  return ended(cluster, what, report, () => findRestore(leader, restore.name))
}

/** What is sent for it. */
export function restoreOf({ backupName, time }: Pick<Target, 'backupName' | 'time'>): RestoreCommand {
  const name = `${new Date().toISOString().replace('Z', '')}000000Z`
  const extTS = new Timestamp({ t: 0, i: 0 })
  const flags = { fallbackEnabled: null, allowPartlyDone: null, external: false, extConf: null, extTS, exit: false }
  return { name, backupName, ...(time === undefined ? {} : { oplogTS: time }), ...flags }
}
