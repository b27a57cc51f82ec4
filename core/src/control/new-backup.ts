import type { Timestamp } from 'mongodb'
import type { NodeInfo, ReplsetTopology } from '../mongo/topology.js'
import { PBM_COMPATIBLE_VERSION } from '../version.js'
import type { BackupDocument, BackupStore } from './backup-document.js'
import { UNSET_TIMESTAMP } from './backups.js'
import type { CommandDocument } from './command-document.js'
import { Selection } from './selection.js'
import { unixSeconds } from './wire.js'

export interface NewBackup {
  readonly command: CommandDocument & { cmd: 'backup' }
  /** Where it goes; without a type where that is unknown and the backup refused for it. */
  readonly store: BackupStore
  readonly server: Pick<NodeInfo, 'version' | 'psmdbVersion' | 'fcv'>
  /** All replica sets of the cluster; left out where the backup is being refused. */
  readonly replsets?: readonly Pick<ReplsetTopology, 'rs' | 'id'>[]
  /** Before the backup; left out where there is none. */
  readonly balancer?: 'full' | 'off'
  /** Cluster time. */
  readonly hb: Timestamp
}

/** The record of a backup that begins (PBM: control-plane.md §5.1, step 1). */
export function newBackup(facts: NewBackup): BackupDocument {
  const { command, store, server, hb, replsets = [], balancer = 'off' } = facts
  const { _id, backup } = command
  const now = unixSeconds()
  const renamed = replsets.filter(({ rs, id }) => rs !== id).map(({ rs, id }) => [rs, id])
  const selective = Selection.of(backup.nss) !== undefined
  return {
    type: backup.type,
    opid: _id.toHexString(),
    name: backup.name,
    ...(renamed.length === 0 ? {} : { shardRemap: Object.fromEntries(renamed) }),
    ...(selective ? { nss: backup.nss ?? [] } : {}),
    ...(selective && backup.usersAndRoles === true ? { sel_users_and_roles: true } : {}),
    replsets: [],
    compression: backup.compression,
    store,
    size: 0,
    size_uncompressed: 0,
    mongodb_version: server.psmdbVersion ?? server.version,
    fcv: server.fcv ?? '',
    start_ts: now,
    last_transition_ts: now,
    first_write_ts: UNSET_TIMESTAMP,
    last_write_ts: UNSET_TIMESTAMP,
    hb,
    status: 'starting',
    conditions: [],
    n: [],
    pbm_version: PBM_COMPATIBLE_VERSION,
    balancer,
  } as BackupDocument
}
