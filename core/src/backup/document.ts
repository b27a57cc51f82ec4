import type { Timestamp } from 'mongodb'
import type { BackupDocument, BackupStore } from '../control/backup-document.js'
import { UNSET_TIMESTAMP } from '../control/backups.js'
import type { CommandDocument } from '../control/command-document.js'
import { unixSeconds } from '../control/wire.js'
import type { NodeInfo } from '../mongo/topology.js'
import { PBM_COMPATIBLE_VERSION } from '../version.js'

export interface NewBackup {
  readonly command: CommandDocument & { cmd: 'backup' }
  /** Where it goes; without a type where that is unknown and the backup refused for it. */
  readonly store: BackupStore
  readonly server: Pick<NodeInfo, 'version' | 'psmdbVersion' | 'fcv'>
  /** Cluster time. */
  readonly hb: Timestamp
}

/** The record of a backup that begins (PBM: control-plane.md §5.1, step 1). */
export function newBackup({ command: { _id, backup }, store, server, hb }: NewBackup): BackupDocument {
  const now = unixSeconds()
  const selective = backup.nss !== undefined && backup.nss.length > 0
  return {
    type: backup.type,
    opid: _id.toHexString(),
    name: backup.name,
    ...(selective ? { nss: backup.nss } : {}),
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
    balancer: 'off',
  } as BackupDocument
}
