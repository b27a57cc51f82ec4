import type { MongoClient, Timestamp } from 'mongodb'
import type { BackupStatus, Condition, Progress } from '../control/backup-document.js'
import { beatBackup, findBackup, setBackupStatus, setReplsetProgress, setReplsetStatus } from '../control/backups.js'
import type { RestoreStatus } from '../control/restore-document.js'
import {
  beatRestore,
  findRestore,
  setRestoreReplsetFields,
  setRestoreReplsetStatus,
  setRestoreStatus,
} from '../control/restores.js'
import {
  BACKUP_REPLSET_STATES,
  BACKUP_STATES,
  RESTORE_REPLSET_STATES,
  RESTORE_STATES,
  type StateMachine,
} from '../control/state-machine.js'
import type { Transition, TransitionOptions } from '../control/transition.js'
import { BACKUPS, CONTROL_DATABASE, RESTORES } from '../mongo/control-names.js'

/** What the records of all operations have in common. */
export interface OperationRecord<State extends string> {
  readonly opid: string
  readonly status: State
  readonly error?: string
  readonly hb: Timestamp
  readonly conditions: readonly Condition[]
  readonly replsets: readonly { readonly name: string; readonly status: State; readonly error?: string }[]
}

/** A kind of operation: its states, and how its record is read and written. */
export interface OperationKind<State extends string> {
  /** For messages. */
  readonly what: string
  /** Where the records are: `admin.pbmBackups`. */
  readonly collection: string
  readonly machine: StateMachine<State>
  readonly replsetMachine: StateMachine<State>
  /** The state of one that failed, and of one whose end somebody asked for. */
  readonly failed: State
  readonly canceled: State
  find(leader: MongoClient, name: string): Promise<OperationRecord<State> | undefined>
  /** False when the record is gone. */
  beat(leader: MongoClient, name: string): Promise<boolean>
  setStatus(leader: MongoClient, name: string, state: State, options: TransitionOptions): Promise<Transition<State>>
  setReplsetStatus(
    leader: MongoClient,
    name: string,
    replset: string,
    state: State,
    options: TransitionOptions,
  ): Promise<Transition<State>>
  /** `op`: the oplog is replayed up to there. */
  setProgress(
    leader: MongoClient,
    name: string,
    replset: string,
    progress: Progress,
    op: Timestamp | undefined,
  ): Promise<boolean>
}

export const BACKUP_KIND: OperationKind<BackupStatus> = {
  what: 'backup',
  collection: `${CONTROL_DATABASE}.${BACKUPS}`,
  machine: BACKUP_STATES,
  replsetMachine: BACKUP_REPLSET_STATES,
  failed: 'error',
  canceled: 'canceled',
  find: findBackup,
  beat: beatBackup,
  setStatus: setBackupStatus,
  setReplsetStatus,
  setProgress: setReplsetProgress,
}

/** Replays are kept among the restores. Neither can be canceled. */
export const RESTORE_KIND: OperationKind<RestoreStatus> = {
  what: 'restore',
  collection: `${CONTROL_DATABASE}.${RESTORES}`,
  machine: RESTORE_STATES,
  replsetMachine: RESTORE_REPLSET_STATES,
  failed: 'error',
  canceled: 'error',
  find: findRestore,
  beat: beatRestore,
  setStatus: setRestoreStatus,
  setReplsetStatus: setRestoreReplsetStatus,
  setProgress: (leader, name, replset, progress, op) =>
    setRestoreReplsetFields(leader, name, replset, { progress, ...(op === undefined ? {} : { op }) }),
}
