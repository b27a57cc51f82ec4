import { Timestamp } from 'bson'
import type { RestoreCommand } from '../control/command-document.js'
import type { RestoreDocument, RestoreReplset } from '../control/restore-document.js'
import { isTimeAsked } from './point-in-time.js'

const UNSET = new Timestamp({ t: 0, i: 0 })

/** The record of a restore that begins. Times are Unix seconds. */
export function emptyRestore(command: RestoreCommand, opid: string, now: number, hb: Timestamp): RestoreDocument {
  return {
    status: 'starting',
    name: command.name,
    opid,
    backup: command.backupName,
    type: 'logical',
    bcp_chain: null,
    ...(command.nss === undefined ? {} : { nss: command.nss }),
    start_pitr: 0,
    pitr: isTimeAsked(command.oplogTS) ? command.oplogTS.getHighBitsUnsigned() : 0,
    start_ts: now,
    last_transition_ts: now,
    replsets: [],
    hb,
    conditions: [],
  }
}

export function emptyReplset(name: string, now: number): RestoreReplset {
  return {
    name,
    status: 'starting',
    start_ts: now,
    last_transition_ts: now,
    committed_txn: null,
    txn_set: false,
    partial_txn: null,
    op: UNSET,
    last_write_ts: UNSET,
    hb: UNSET,
    conditions: [],
  }
}
