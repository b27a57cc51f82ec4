import type { MongoClient, Timestamp } from 'mongodb'
import type { Config } from '../config/document.js'
import type { BackupEncryption } from '../control/backup-document.js'
import { addReplset, setBackupFields, UNSET_TIMESTAMP } from '../control/backups.js'
import { unixSeconds } from '../control/wire.js'
import { PbmError } from '../errors.js'
import type { Member, NodeInfo } from '../mongo/topology.js'
import { archiveDumpName, archiveOplogName, namespaceListName, oplogFolder } from '../store/layout/names.js'
import { ARCHIVE_LAYOUT_VERSION } from '../store/layout/pbm-version.js'
import { PBM_COMPATIBLE_VERSION } from '../version.js'

export interface JoinOptions {
  readonly backup: string
  readonly self: Member
  readonly info: NodeInfo
  readonly config: Config
  /** Of the compression. */
  readonly suffix: string
  /** The first write that the part's oplog holds. */
  readonly start: Timestamp
  readonly encryption: BackupEncryption | undefined
  /** Of a physical backup: how the mongod was started. */
  readonly mongodOpts?: Readonly<Record<string, unknown>> | undefined
}

/** Adds this replica set's part to the record of a backup (PBM: control-plane.md §5.1, step 6). Throws OPERATION_GONE. */
export async function joinBackup(leader: MongoClient, options: JoinOptions): Promise<void> {
  const { backup: name, self, info, config, suffix, start, encryption, mongodOpts } = options
  const { rs, node } = self
  const isPhysical = mongodOpts !== undefined
  const archive = !isPhysical && config.backup?.layout === 'archive'
  const now = unixSeconds()
  // Said by who writes the objects: the record may be another's, PBM's agent say, which knows one layout only.
  if (archive) {
    await setBackupFields(leader, name, { layout: 'archive', pbm_version: ARCHIVE_LAYOUT_VERSION })
  }
  const added = await addReplset(leader, name, {
    name: rs,
    node,
    status: 'running',
    ...(!isPhysical && {
      dump_name: archive ? archiveDumpName(name, rs, suffix) : namespaceListName(name, rs),
      oplog_name: archive ? archiveOplogName(name, rs, suffix) : oplogFolder(name, rs),
    }),
    start_ts: now,
    last_transition_ts: now,
    size: 0,
    size_uncompressed: 0,
    first_write_ts: start,
    last_write_ts: UNSET_TIMESTAMP,
    ...(info.isConfigServer ? { iscs: true } : {}),
    conditions: [],
    ...(isPhysical && { mongod_opts: mongodOpts }),
    ...(encryption === undefined ? {} : { encryption }),
    pbm_version: PBM_COMPATIBLE_VERSION,
    mongo_version: info.psmdbVersion ?? info.version,
  })
  if (!added) throw new PbmError('OPERATION_GONE', `the record of backup ${name} is gone, or has ${rs} already`)
}
