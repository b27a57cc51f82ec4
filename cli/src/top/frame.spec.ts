import assert from 'node:assert/strict'
import type { ClusterView, LockDocument } from '@pbmkit/core'
import { ObjectId, Timestamp } from 'mongodb'
import { coloursFor } from '../output/colour.js'
import { topSnapshot, topText } from './frame.js'

const NOW = 1_927_857_906
const at = (t: number) => new Timestamp({ t, i: 1 })
const well = { ok: true, e: '' }

function agent(n: string, hb: number): ClusterView['agents'][number] {
  const state = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 3, v: '2.15.0' }
  return {
    n,
    rs: 'rs0',
    ...state,
    mv: '7.0.2',
    pbms: well,
    nodes: well,
    stors: { ok: false, e: 'full\nof it' },
    hb: at(hb),
    e: '',
  }
}

function lock(type: LockDocument['type'], node: string, opid?: string): LockDocument {
  const header = { type, replset: 'rs0', node, epoch: at(1), ...(opid !== undefined && { opid }) }
  return { _id: new ObjectId(), ...header, hb: at(NOW - 1) }
}

describe('pbm top', () => {
  const progress = { phase: 'collections', bytes: 512, totalBytes: 1024, documents: 1, totalDocuments: 2 }
  const replset = { name: 'rs0', node: 'a:1', size: 0, uncompressed: 0 }
  const view: ClusterView = {
    ...{ now: at(NOW), pitr: { enabled: true }, restores: [] },
    agents: [agent('a:1', NOW - 2), agent('b:1', NOW - 90)],
    locks: [lock('backup', 'a:1', 'op'), lock('pitr', 'b:1')],
    slicing: {
      ...{ start_ts: 1, hb: at(NOW), status: 'running', n: [] },
      replsets: [{ name: 'rs0', node: 'b:1', status: 'running', stored: at(NOW - 75) }],
    },
    backups: [
      {
        ...{
          name: '2031-02-03T04:05:06Z',
          opid: 'op',
          type: 'logical',
          status: 'running',
          nss: [],
          store: { type: 's3' },
        },
        ...{ startedAt: 1, changedAt: 1, size: 0, last_write_ts: at(1) },
        replsets: [{ ...replset, progress: { ...progress, startedAt: 0, updatedAt: 1_000 } }],
      },
    ],
  }

  it('shows who is there, what runs and how far the oplog is', () => {
    const entry = { ts: NOW, ns: 0, tz: 0, s: 2 as const, rs: 'rs0', node: 'a:1', e: 'backup', eobj: 'x', msg: 'slow' }
    const text = topText(topSnapshot(view), [entry], { colours: coloursFor({}, {}), columns: 120 })
    assert.match(text, /^pbmkit {2}2031-02-03T04:05:06Z$/m)
    assert.match(text, /^ {2}rs0\/a:1 +SECONDARY +3s +storage: full of it$/m)
    assert.match(text, /^ {2}rs0\/b:1 +SECONDARY +3s +lost agent, last heartbeat 2031-02-03T04:03:36Z/m)
    assert.match(text, /^ {2}backup 2031-02-03T04:05:06Z .* 50%/m)
    assert.match(text, /^ {2}rs0\/b:1: 1m15s behind$/m)
    assert.match(text, /^ {2}2031-02-03T04:05:06Z W \[rs0\/a:1\] \[backup\/x\] slow$/m)
  })

  it('says so where there is nothing', () => {
    const empty = { ...view, agents: [], locks: [], pitr: undefined, backups: [], slicing: undefined }
    const text = topText(topSnapshot(empty), [], { colours: coloursFor({}, {}), columns: 80 })
    assert.match(text, /Agents\n {2}none\n\nRunning\n {2}nothing\n\nPoint-in-time recovery\n {2}off\n\nLog\n {2}empty$/)
  })
})
