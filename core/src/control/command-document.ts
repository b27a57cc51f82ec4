import type { ObjectId, Timestamp } from 'bson'
import type { LifecycleConfig } from '../config/document.js'
import type { NamespacePair } from './renaming.js'

/** One command in `pbmCmd`; its `_id` is the operation id (PBM: control-plane.md §2). `ts` is the sender's Unix seconds. */
export type CommandDocument = { _id: ObjectId; ts: number } & Command

export type Command =
  | { cmd: 'backup'; backup: BackupCommand }
  | { cmd: 'restore'; restore: RestoreCommand }
  /** Ours: a restore that an agent must not carry out without the keys that are ours. PBM's pass over such commands. */
  | { cmd: 'restorePart'; restore: RestoreCommand }
  | { cmd: 'replay'; replay: ReplayCommand }
  | { cmd: 'cancelBackup' }
  | { cmd: 'resync'; resync?: ResyncCommand }
  | { cmd: 'delete'; delete: { backup: string; olderthan: number; type: string; profile: string } }
  | { cmd: 'deletePitr'; deletePitr: { olderthan: number } }
  | { cmd: 'cleanup'; cleanup: CleanupCommand }
  | { cmd: 'addConfigProfile'; profile: ProfileCommand }
  | { cmd: 'removeConfigProfile'; profile: { name: string } }
  /** Ours: PBM's agents pass over commands they don't know. */
  | { cmd: 'rotateKeys'; rotateKeys: { dryRun: boolean } }
  /** Ours: tells what the restore would do. */
  | { cmd: 'planRestore'; restore: RestoreCommand }
  /** Ours: reads through what is on the storage. */
  | { cmd: 'verify'; verify: VerifyCommand }
  /** Ours: restores a backup to a server that is made for it and removed again. */
  | { cmd: 'drill'; drill: DrillCommand }
  /** Ours: ends what goes on beside operations. */
  | { cmd: 'cancelBeside'; cancelBeside: { kind: 'verify' | 'drill' } }

export interface DrillCommand {
  backup: string
  /** The time to restore to; the end of the backup when absent. */
  time?: Timestamp
}

/** One of `backup`, `all`, `pitr` and `time` says what. */
export interface VerifyCommand {
  backup?: string
  all?: boolean
  pitr?: boolean
  time?: Timestamp
  /** Unix seconds; with `all` and `pitr`. */
  since?: number
  /** Percent of the objects. */
  readData?: number
  /** With `all`: whose backups, instead of those on the main storage. */
  profile?: string
}

export interface ResyncCommand {
  name?: string
  all?: boolean
  clear?: boolean
  includeRestores?: boolean
  /** Ours, and never sent: an agent does it of its own accord. */
  unasked?: boolean
}

/** Also one with keys that PBM does not know. */
export function isRestore(command: CommandDocument): command is RestoreCommandDocument {
  return command.cmd === 'restore' || command.cmd === 'restorePart'
}

export type RestoreCommandDocument = CommandDocument & { cmd: 'restore' | 'restorePart' }

/** What goes where: one pair by PBM's keys, several by ours. */
export function namespacePairs({ nsFrom, nsTo, pairs }: RestoreCommand): NamespacePair[] {
  const [from, to] = [nsFrom ?? '', nsTo ?? '']
  return [...(from === '' && to === '' ? [] : [{ from, to }]), ...(pairs ?? [])]
}

/** Of what a backup has. */
export function asksForPart(command: RestoreCommand): boolean {
  return (command.nss ?? []).length > 0 || namespacePairs(command).length > 0
}

export interface CleanupCommand {
  /** `Timestamp(0,0)` with `lifecycleAt`: an older agent then finds nothing that old. */
  olderThan: Timestamp
  profile: string
  /** What `lifecycle` of the configuration does not keep at this time (PBM: parity.md §6). */
  lifecycleAt?: Timestamp
}

export interface ProfileCommand {
  name: string
  profile: boolean
  storage: Record<string, unknown>
  lifecycle?: LifecycleConfig
}

export interface BackupCommand {
  type: 'logical' | 'physical' | 'incremental' | 'external'
  base: boolean
  name: string
  nss?: string[]
  compression: string
  level?: number
  numParallelColls?: number
  numParallelFiles?: number
  filelist?: boolean
  profile?: string
  usersAndRoles?: boolean
}

export interface ReplayCommand {
  name: string
  /** Both inclusive. */
  start: Timestamp
  end: Timestamp
  /** Replica set of the chunks → of the cluster. */
  rsMap?: Record<string, string>
  sender?: string
  /** Ours; PBM ignores it: also what is not sealed, though encryption is configured. */
  allowUnsealed?: boolean
}

export interface RestoreCommand {
  name: string
  backupName: string
  nss?: string[]
  nsFrom?: string
  nsTo?: string
  usersAndRoles?: boolean
  rsMap?: Record<string, string>
  fallbackEnabled: boolean | null
  allowPartlyDone: boolean | null
  numParallelColls?: number
  numParallelFiles?: number
  numInsertionWorkers?: number
  indexCommitQuorum?: string
  oplogTS?: Timestamp
  external: boolean
  /** By replica set: how the servers were started that the files are of. */
  extConf: Record<string, unknown> | null
  extTS: Timestamp
  exit: boolean
  /** Ours; PBM's agents pass over keys they don't know: who sent it, `DB.USER`, and stays as they are. */
  sender?: string
  /** Ours; PBM ignores it: also what is not sealed, though encryption is configured. */
  allowUnsealed?: boolean
  /** Ours; PBM ignores it: users and roles stay as they are. */
  withoutUsersAndRoles?: boolean
  /** Ours, in `restorePart`: what goes where, more than one collection. */
  pairs?: NamespacePair[]
  /** Ours, in `restorePart`: puts back what is missing, and changes nothing that is there. */
  keepExisting?: boolean
  /** Ours, in `restorePart`: a filter in Extended JSON, for the documents that are restored. */
  query?: string
}
