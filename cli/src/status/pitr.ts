import { clusterMembers, clusterTime, isStale, listSlicerLocks, queryLog, readConfig } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Colours } from '../output/colour.js'

/** The `pitr` section, with PBM's names. */
export interface PitrSection {
  /** Switched on in the configuration. */
  conf: boolean
  /** Somebody slices the oplog. */
  run: boolean
  /** `rs/host:port` of who does. */
  nodes: string[]
  error?: string
}

export async function pitrSection(leader: MongoClient): Promise<PitrSection> {
  const [config, locks, now] = await Promise.all([readConfig(leader), listSlicerLocks(leader), clusterTime(leader)])
  const live = locks.filter(({ hb }) => !isStale(hb, now))
  const conf = config?.pitr?.enabled === true
  const error = config === undefined ? undefined : await slicingError(leader, config.epoch)
  return {
    conf,
    run: live.length > 0,
    nodes: live.map(({ replset, node }) => `${replset}/${node}`),
    ...(error === undefined ? {} : { error }),
  }
}

/** Per replica set the newest error of slicing since the last change of configuration, unless it has started again since. */
async function slicingError(leader: MongoClient, epoch: NonNullable<Awaited<ReturnType<typeof readConfig>>>['epoch']) {
  const errors: string[] = []
  for (const { rs } of await clusterMembers(leader)) {
    const entries = await queryLog(leader, { rs, event: 'pitr', epoch, severity: 4, tail: 200 })
    const failed = entries.findLast(({ s }) => s === 1)
    if (failed === undefined) continue
    const restarted = entries.slice(entries.indexOf(failed) + 1).some(({ msg }) => msg === 'start_ok')
    if (!restarted) errors.push(`[${failed.rs}/${failed.node}] ${failed.msg}`)
  }
  return errors.length === 0 ? undefined : errors.join('; ')
}

export function pitrText({ conf, run, nodes, error }: PitrSection, colours: Colours): string {
  const lines = [
    conf
      ? `${colours.good('on')}${run ? '' : ', but nobody slices the oplog yet'}`
      : run
        ? 'being switched off'
        : 'off',
  ]
  if (nodes.length > 0) lines.push(`Slicing: ${nodes.join(', ')}`)
  if (error !== undefined) lines.push(colours.bad(`Error: ${error}`))
  return lines.join('\n')
}
