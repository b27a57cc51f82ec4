import { Timestamp } from 'bson'
import type { ReplayCommand, RestoreCommand } from './command-document.js'
import type { RestoreDocument, RestoreReplset } from './restore-document.js'
import { isTimeAsked } from './restore-document.js'

const UNSET = new Timestamp({ t: 0, i: 0 })

/** The record of a restore that begins. Times are Unix seconds. */
export function emptyRestore(command: RestoreCommand, opid: string, now: number, hb: Timestamp): RestoreDocument {
  const { name, backupName: backup, nss, oplogTS } = command
  const pitr = isTimeAsked(oplogTS) ? oplogTS.getHighBitsUnsigned() : 0
  return { ...starting(name, opid, now, hb), backup, pitr, ...(nss === undefined ? {} : { nss }) }
}

/** The record of a replay that begins: it has no backup, and the time it begins at. */
export function emptyReplay(command: ReplayCommand, opid: string, now: number, hb: Timestamp): RestoreDocument {
  const { name, start, end } = command
  return { ...starting(name, opid, now, hb), start_pitr: start.getHighBitsUnsigned(), pitr: end.getHighBitsUnsigned() }
}

function starting(name: string, opid: string, now: number, hb: Timestamp): RestoreDocument {
  return {
    status: 'starting',
    name,
    opid,
    backup: '',
    type: 'logical',
    bcp_chain: null,
    start_pitr: 0,
    pitr: 0,
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
