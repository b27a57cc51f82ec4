import { type AgentDocument, type BackupDocument, clusterTime, type RestoreDocument } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import type { Cluster } from './cluster.support.js'

type WithSet = Pick<Cluster, 'leader' | 'set' | 'host'>

/** A backup as the agent beside the only member would have it. */
export async function backupRecord(
  { leader, set, host }: WithSet,
  name: string,
  opid: string,
  status: 'starting' | 'running',
): Promise<BackupDocument> {
  const hb = await clusterTime(leader)
  const common = { status, start_ts: hb.t, last_transition_ts: hb.t, size: 0, size_uncompressed: 0, conditions: [] }
  const written = { first_write_ts: hb, last_write_ts: hb }
  return {
    ...{ type: 'logical', opid, name, compression: 's2', store: { type: 'filesystem' } },
    ...{ mongodb_version: '6.0.5', fcv: '6.0', pbm_version: '2.15.0', balancer: 'off', n: [], hb },
    ...common,
    ...written,
    replsets: [{ name: set.name, node: host, ...common, ...written }],
  }
}

/** A restore that has just begun. */
export async function restoreRecord(
  { leader }: WithSet,
  name: string,
  opid: string,
  backup: string,
): Promise<RestoreDocument> {
  const hb = await clusterTime(leader)
  return {
    ...{ status: 'starting', name, opid, backup, type: 'logical', bcp_chain: null, start_pitr: 0, pitr: 0 },
    ...{ start_ts: hb.t, last_transition_ts: hb.t, replsets: [], hb, conditions: [] },
  }
}

/** What an agent beside the only member says of itself, with all well. */
export function agentDocument({ set, host }: WithSet, hb: Timestamp): AgentDocument {
  const fine = { ok: true, e: '' }
  return {
    n: host,
    rs: set.name,
    s: 1,
    str: 'PRIMARY',
    hdn: false,
    psv: false,
    arb: false,
    delay: 0,
    repl_lag: 0,
    v: '2.15.0',
    mv: '6.0.5',
    pbms: fine,
    nodes: fine,
    stors: fine,
    hb,
    e: '',
  }
}
