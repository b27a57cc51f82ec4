/** What one metric tells. Names and units as Prometheus wants them. */
export interface Family {
  readonly help: string
  readonly labels: readonly string[]
}

const NODE = ['replica_set', 'node'] as const
const BACKUP = ['type', 'profile'] as const

/** What every agent tells of the whole cluster, from its control collections. */
const CLUSTER_FAMILIES = {
  pbmkit_agent_up: { help: 'Whether the agent has reported itself within the last 30 s', labels: NODE },
  pbmkit_agent_ok: {
    help: 'Whether a subsystem of a live agent is well: control (the leader replica set), node (its mongod), storage',
    labels: [...NODE, 'subsystem'],
  },
  pbmkit_node_replication_lag_seconds: {
    help: 'How far the mongod of a live agent is behind the primary',
    labels: NODE,
  },
  pbmkit_backup_last_success_timestamp_seconds: {
    help: 'When the newest good backup ended (Unix time)',
    labels: BACKUP,
  },
  pbmkit_backup_last_failure_timestamp_seconds: {
    help: 'When the newest failed or cancelled backup ended (Unix time)',
    labels: BACKUP,
  },
  pbmkit_backup_last_duration_seconds: { help: 'How long the newest good backup took', labels: BACKUP },
  pbmkit_backup_last_size_bytes: {
    help: 'What of the newest good backup is stored',
    labels: [...BACKUP, 'replica_set'],
  },
  pbmkit_backup_last_uncompressed_bytes: {
    help: 'The data of the newest good backup',
    labels: [...BACKUP, 'replica_set'],
  },
  pbmkit_backups: { help: 'Listed backups by state', labels: ['status', 'profile'] },
  pbmkit_backup_stored_bytes: { help: 'All good backups together, as stored', labels: ['profile'] },
  pbmkit_backup_verified_timestamp_seconds: {
    help: 'When a backup was last verified and found good (Unix time)',
    labels: ['profile'],
  },
  pbmkit_backups_damaged: { help: 'Backups whose last verification found damage', labels: ['profile'] },
  pbmkit_drill_last_success_timestamp_seconds: {
    help: 'When the newest drill that succeeded ended (Unix time)',
    labels: BACKUP,
  },
  pbmkit_drill_last_failure_timestamp_seconds: {
    help: 'When the newest drill that failed ended (Unix time)',
    labels: BACKUP,
  },
  pbmkit_drill_recovery_seconds: {
    help: 'How long the restore of the newest drill that succeeded took',
    labels: BACKUP,
  },
  pbmkit_restore_last_success_timestamp_seconds: {
    help: 'When the newest restore or replay that succeeded ended (Unix time)',
    labels: [],
  },
  pbmkit_restore_last_failure_timestamp_seconds: {
    help: 'When the newest restore or replay that failed ended (Unix time)',
    labels: [],
  },
  pbmkit_restore_last_duration_seconds: {
    help: 'How long the newest restore or replay that succeeded took',
    labels: [],
  },
  pbmkit_operation_running: { help: 'Whether the operation runs anywhere in the cluster', labels: ['operation'] },
  pbmkit_operation_start_timestamp_seconds: {
    help: 'When the backup or restore that runs began (Unix time)',
    labels: ['operation'],
  },
  pbmkit_operation_progress_ratio: {
    help: 'How much of its present phase the backup or restore has done, from 0 to 1',
    labels: ['operation', 'replica_set'],
  },
  pbmkit_lock_held: { help: 'Who holds the lock of a replica set, and what for', labels: ['operation', ...NODE] },
  pbmkit_lock_heartbeat_age_seconds: {
    help: 'Since the last sign of life of who holds a lock; dead after 30 s',
    labels: ['operation', ...NODE],
  },
  pbmkit_pitr_enabled: { help: 'Whether point-in-time recovery is on in the configuration', labels: [] },
  pbmkit_pitr_lag_seconds: {
    help: 'How far the stored oplog is behind the cluster, while point-in-time recovery is on',
    labels: ['replica_set'],
  },
  pbmkit_pitr_failing: { help: 'Whether storing the oplog fails at the moment', labels: ['replica_set'] },
  pbmkit_pitr_gaps: { help: 'Gaps in the stored oplog: no time in them can be restored to', labels: ['replica_set'] },
  pbmkit_pitr_gap_seconds: { help: 'The length of all these gaps', labels: ['replica_set'] },
  pbmkit_pitr_stored_bytes: { help: 'The stored oplog', labels: ['replica_set'] },
  pbmkit_newest_restorable_timestamp_seconds: {
    help: 'The newest moment that the whole cluster can be restored to (Unix time)',
    labels: [],
  },
  pbmkit_oldest_restorable_timestamp_seconds: {
    help: 'The oldest moment that the whole cluster can be restored to (Unix time)',
    labels: [],
  },
} satisfies Readonly<Record<string, Family>>

/** What it tells of itself. */
const AGENT_FAMILIES = {
  pbmkit_agent_info: { help: 'Which agent this is', labels: ['version', 'mongodb_version', ...NODE] },
  pbmkit_agent_ready: { help: 'Whether this agent is connected and its storage is well, as /readyz says', labels: [] },
  pbmkit_control_read_timestamp_seconds: {
    help: 'When this agent last read what it tells of the cluster (Unix time)',
    labels: [],
  },
} satisfies Readonly<Record<string, Family>>

export type FamilyName = keyof typeof CLUSTER_FAMILIES | keyof typeof AGENT_FAMILIES

export const FAMILIES: Readonly<Record<FamilyName, Family>> = { ...CLUSTER_FAMILIES, ...AGENT_FAMILIES }

/** One value. */
export interface Sample {
  readonly name: FamilyName
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
