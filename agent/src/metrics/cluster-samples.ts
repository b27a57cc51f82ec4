import {
  type AgentDocument,
  type BackupFacts,
  type ClusterView,
  type HistoryFacts,
  isSelective,
  isStale,
  type LockDocument,
  MAIN_PROFILE,
  printableLine,
  type ReplsetFacts,
  secondsOf,
  wholeSeconds,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import type { FamilyName, Sample } from './families.js'

/** Names come from collections that others write, too: no series is made of what no cluster has. */
const LONGEST_LABEL = 200
const MOST_SERIES = 2_000

/** Operations of which it is said that they do not run, too. */
const OPERATIONS = ['backup', 'restore', 'replay', 'resync', 'delete', 'deletePitr', 'cleanup'] as const

/** What the control collections say, as metrics. Pure. */
export function clusterSamples(view: ClusterView, history: HistoryFacts | undefined): Sample[] {
  return [
    ...agentSamples(view),
    ...lockSamples(view),
    ...operationSamples(view),
    ...pitrSamples(view, history),
    ...(history === undefined
      ? []
      : [
          ...backupSamples(history.backups),
          ...verificationSamples(history.backups),
          ...drillSamples(history.backups),
          ...restorableSamples(history),
        ]),
    ...restoreSamples(view),
  ]
}

function agentSamples({ agents, now }: ClusterView): Sample[] {
  return agents.slice(0, MOST_SERIES).flatMap((agent: AgentDocument) => {
    const labels = { replica_set: label(agent.rs), node: label(agent.n) }
    if (isStale(agent.hb, now)) return [sample('pbmkit_agent_up', 0, labels)]
    const subsystems = { control: agent.pbms, node: agent.nodes, storage: agent.stors }
    return [
      sample('pbmkit_agent_up', 1, labels),
      ...Object.entries(subsystems).map(([subsystem, { ok }]) =>
        sample('pbmkit_agent_ok', Number(ok), { ...labels, subsystem }),
      ),
      ...(agent.arb ? [] : [sample('pbmkit_node_replication_lag_seconds', agent.repl_lag, labels)]),
    ]
  })
}

function lockSamples({ locks, now }: ClusterView): Sample[] {
  return locks.slice(0, MOST_SERIES).flatMap(({ type, replset, node, hb }: LockDocument) => {
    const labels = { operation: label(type), replica_set: label(replset), node: label(node) }
    return [
      sample('pbmkit_lock_held', 1, labels),
      sample('pbmkit_lock_heartbeat_age_seconds', Math.max(0, secondsOf(now) - secondsOf(hb)), labels),
    ]
  })
}

function operationSamples({ locks, now, backups, restores }: ClusterView): Sample[] {
  const live = locks.filter(({ hb }) => !isStale(hb, now))
  const runs = (operation: string) => live.some(({ type }) => type === operation)
  const opids = new Set(live.map(({ opid }) => opid))
  const under = [
    ...backups.map((one) => ({ operation: 'backup', ...one })),
    ...restores.map((one) => ({ operation: one.backup === '' ? 'replay' : 'restore', ...one })),
  ].filter(({ operation, opid }) => opids.has(opid) && runs(operation))
  return [
    ...OPERATIONS.map((operation) => sample('pbmkit_operation_running', Number(runs(operation)), { operation })),
    ...under.flatMap(({ operation, startedAt, replsets }) => [
      sample('pbmkit_operation_start_timestamp_seconds', startedAt, { operation }),
      ...replsets.flatMap((replset) => progressSample(operation, replset)),
    ]),
  ]
}

function progressSample(operation: string, { name, progress }: ReplsetFacts): Sample[] {
  if (progress === undefined) return []
  const [bytes, totalBytes] = [Number(progress.bytes), Number(progress.totalBytes)]
  // Index builds have no bytes, only a count.
  const [moved, all] =
    totalBytes > 0 ? [bytes, totalBytes] : [Number(progress.documents), Number(progress.totalDocuments)]
  const ratio = all > 0 ? Math.min(1, Math.max(0, moved / all)) : 0
  return [sample('pbmkit_operation_progress_ratio', ratio, { operation, replica_set: label(name) })]
}

function pitrSamples({ pitr, slicing, now }: ClusterView, history: HistoryFacts | undefined): Sample[] {
  const enabled = pitr?.enabled === true
  const stored = new Map([...(history?.chunks ?? [])].map(([rs, { end }]) => [rs, end]))
  const failing = new Map<string, boolean>()
  for (const { name, stored: end, error, status } of slicing?.replsets ?? []) {
    const known = stored.get(name)
    if (end instanceof Timestamp && known?.greaterThan(end) !== true) stored.set(name, end)
    failing.set(name, failing.get(name) === true || status === 'error' || error !== undefined)
  }
  const ofReplset = ([rs]: readonly [string, unknown]) => ({ replica_set: label(rs) })
  const lines = history?.lines
  return [
    sample('pbmkit_pitr_enabled', Number(enabled)),
    ...(enabled ? [...stored] : []).map((one) =>
      sample('pbmkit_pitr_lag_seconds', Math.max(0, secondsOf(now) - secondsOf(one[1])), ofReplset(one)),
    ),
    ...(enabled ? [...failing] : []).map((one) => sample('pbmkit_pitr_failing', Number(one[1]), ofReplset(one))),
    ...[...(lines?.gaps ?? [])].flatMap((one) => [
      sample('pbmkit_pitr_gaps', one[1].length, ofReplset(one)),
      sample('pbmkit_pitr_gap_seconds', one[1].reduce(lengthOf, 0), ofReplset(one)),
    ]),
    ...[...(history?.chunks ?? [])].map((one) => sample('pbmkit_pitr_stored_bytes', one[1].bytes, ofReplset(one))),
  ]
}

function lengthOf(sum: number, { start, end }: { readonly start: bigint; readonly end: bigint }): number {
  return sum + Number((end >> 32n) - (start >> 32n))
}

function backupSamples(backups: readonly BackupFacts[]): Sample[] {
  const samples: Sample[] = []
  const counts = new Map<string, { status: string; profile: string; count: number; bytes: number }>()
  const [good, bad] = [new Set<string>(), new Set<string>()]
  for (const backup of backups) {
    const { status, startedAt, changedAt, replsets, size } = backup
    const labels = { type: isSelective(backup) ? 'selective' : label(backup.type), profile: profileOf(backup) }
    const kind = JSON.stringify(labels)
    const state = label(status)
    const counted = JSON.stringify([state, labels.profile])
    const known = counts.get(counted) ?? { status: state, profile: labels.profile, count: 0, bytes: 0 }
    counts.set(counted, { ...known, count: known.count + 1, bytes: known.bytes + size })
    // Newest first.
    if (status === 'done' && !good.has(kind)) {
      good.add(kind)
      samples.push(
        sample('pbmkit_backup_last_success_timestamp_seconds', changedAt, labels),
        sample('pbmkit_backup_last_duration_seconds', Math.max(0, changedAt - startedAt), labels),
      )
      for (const { name, size: bytes, uncompressed } of replsets) {
        const ofReplset = { ...labels, replica_set: label(name) }
        samples.push(sample('pbmkit_backup_last_size_bytes', bytes, ofReplset))
        samples.push(sample('pbmkit_backup_last_uncompressed_bytes', uncompressed, ofReplset))
      }
    }
    if ((status === 'error' || status === 'canceled') && !bad.has(kind)) {
      bad.add(kind)
      samples.push(sample('pbmkit_backup_last_failure_timestamp_seconds', changedAt, labels))
    }
  }
  for (const { status, profile, count, bytes } of counts.values()) {
    samples.push(sample('pbmkit_backups', count, { status, profile }))
    if (status === 'done') samples.push(sample('pbmkit_backup_stored_bytes', bytes, { profile }))
  }
  return samples.slice(0, MOST_SERIES)
}

function verificationSamples(backups: readonly BackupFacts[]): Sample[] {
  const verified = backups.flatMap((backup) =>
    backup.verification === undefined ? [] : [{ profile: profileOf(backup), ...backup.verification }],
  )
  return [...Map.groupBy(verified, ({ profile }) => profile)].flatMap(([profile, own]) => {
    const good = own.filter(({ result }) => result === 'good').map(({ at }) => at)
    const damaged = own.filter(({ result }) => result === 'damaged').length
    const newest = good.reduce((latest, at) => Math.max(latest, at), 0)
    return [
      ...(good.length === 0 ? [] : [sample('pbmkit_backup_verified_timestamp_seconds', newest, { profile })]),
      sample('pbmkit_backups_damaged', damaged, { profile }),
    ]
  })
}

/** The time to recovery is that of the newest drill that succeeded. */
function drillSamples(backups: readonly BackupFacts[]): Sample[] {
  const drilled = backups.flatMap((backup) =>
    backup.drill === undefined ? [] : [{ ...backup.drill, type: backup.type, profile: profileOf(backup) }],
  )
  const kinds = Map.groupBy(drilled, ({ type, profile }) => `${type} ${profile}`)
  return [...kinds.values()].flatMap((own) => {
    const newestFirst = own.toSorted((a, b) => b.at - a.at)
    const [good, failed] = ['good', 'failed'].map((wanted) => newestFirst.find(({ result }) => result === wanted))
    const labels = { type: label(own[0]?.type), profile: own[0]?.profile ?? MAIN_PROFILE }
    return [
      ...(good === undefined ? [] : [sample('pbmkit_drill_last_success_timestamp_seconds', good.at, labels)]),
      ...(good === undefined ? [] : [sample('pbmkit_drill_recovery_seconds', good.restoreSeconds, labels)]),
      ...(failed === undefined ? [] : [sample('pbmkit_drill_last_failure_timestamp_seconds', failed.at, labels)]),
    ]
  })
}

function profileOf({ store }: BackupFacts): string {
  return store.profile === true ? label(store.name) : MAIN_PROFILE
}

function restorableSamples({ backups, lines }: HistoryFacts): Sample[] {
  const ends = backups
    .filter((backup) => backup.status === 'done' && !isSelective(backup))
    .map(({ last_write_ts }) => secondsOf(last_write_ts))
  const ranges = lines.ranges.flatMap((range) => wholeSeconds(range) ?? [])
  const moments = [...ends, ...ranges.flatMap(({ start, end }) => [start, end])]
  if (moments.length === 0) return []
  const [oldest, newest] = moments.reduce(
    ([least, most], at) => [Math.min(least, at), Math.max(most, at)],
    [Number.POSITIVE_INFINITY, 0],
  )
  return [
    sample('pbmkit_oldest_restorable_timestamp_seconds', oldest),
    sample('pbmkit_newest_restorable_timestamp_seconds', newest),
  ]
}

function restoreSamples({ restores }: ClusterView): Sample[] {
  const good = restores.find(({ status }) => status === 'done')
  const bad = restores.find(({ status }) => status === 'error')
  return [
    ...(good === undefined
      ? []
      : [
          sample('pbmkit_restore_last_success_timestamp_seconds', good.changedAt),
          sample('pbmkit_restore_last_duration_seconds', Math.max(0, good.changedAt - good.startedAt)),
        ]),
    ...(bad === undefined ? [] : [sample('pbmkit_restore_last_failure_timestamp_seconds', bad.changedAt)]),
  ]
}

function sample(name: FamilyName, value: number, labels: Readonly<Record<string, string>> = {}): Sample {
  return { name, labels, value }
}

function label(value: unknown): string {
  return typeof value === 'string' ? printableLine(value).slice(0, LONGEST_LABEL) : ''
}
