import type { NamespaceMetadata } from '../../archive/metadata.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { toTimestamp } from '../../oplog/entry.js'
import { TOOL_VERSION } from '../../version.js'
import type { Snapshot } from '../data/snapshot.js'

const users: NamespaceMetadata = listed('system.users')
const roles: NamespaceMetadata = listed('system.roles')

/** What a backup would have of a replica set that was just initiated: no user, no role and nothing else. */
export const NOTHING: Snapshot = {
  toolVersion: TOOL_VERSION,
  namespaces: [users, roles],
  oplog: [],
  readNamespaces: async () => undefined,
  bytesToVerify: 0,
  verifyNamespaces: async () => undefined,
}

/** The backup as if it had {@link NOTHING} of the replica sets that came later, from where their oplog begins. */
export function withNewcomers(backup: BackupDocument, newcomers: ReadonlyMap<string, bigint>): BackupDocument {
  if (newcomers.size === 0) return backup
  const added = [...newcomers].map(([name, start]): BackupReplset => {
    const at = toTimestamp(start)
    return {
      ...{ name, node: '', status: 'done', start_ts: at.t, last_transition_ts: at.t, conditions: [] },
      ...{ size: 0, size_uncompressed: 0, first_write_ts: at, last_write_ts: at, objects: [] },
    }
  })
  return { ...backup, replsets: [...backup.replsets, ...added] }
}

function listed(collection: string): NamespaceMetadata {
  return { db: 'admin', collection, collectionName: collection, type: 'collection', indexes: [], crc: 0n, size: 0 }
}
