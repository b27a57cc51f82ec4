import assert from 'node:assert/strict'
import type { BackupFacts, ClusterView, HistoryFacts, LockDocument } from '@pbmkit/core'
import { ObjectId, Timestamp } from 'mongodb'
import { clusterSamples } from './cluster-samples.js'
import { FAMILIES } from './families.js'

const NOW = 1_700_001_000
const at = (t: number) => new Timestamp({ t, i: 1 })
const well = { ok: true, e: '' }

const VIEW: ClusterView = {
  now: at(NOW),
  pitr: { enabled: true },
  slicing: undefined,
  agents: [],
  locks: [],
  backups: [],
  restores: [],
}

function agent(n: string, hb: number, arb = false): ClusterView['agents'][number] {
  const state = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb, delay: 0, repl_lag: 7, v: '2.15.0', mv: '7.0.2' }
  return { n, rs: 'rs0', ...state, pbms: well, nodes: well, stors: { ok: false, e: 's3cret' }, hb: at(hb), e: '' }
}

function lock(type: LockDocument['type'], node: string, hb: number, opid?: string): LockDocument {
  return {
    _id: new ObjectId(),
    type,
    replset: 'rs0',
    node,
    epoch: at(1),
    hb: at(hb),
    ...(opid !== undefined && { opid }),
  }
}

function backup(name: string, more: Partial<BackupFacts> = {}): BackupFacts {
  return {
    ...{ name, opid: name, type: 'logical', status: 'done', nss: [], store: { type: 'filesystem' } },
    ...{ startedAt: 100, changedAt: 160, size: 10, last_write_ts: at(150) },
    replsets: [{ name: 'rs0', node: 'a:1', size: 10, uncompressed: 30 }],
    ...more,
  }
}

function history(more: Partial<HistoryFacts> = {}): HistoryFacts {
  const lines = { ranges: [], unbacked: [], perReplset: new Map(), gaps: new Map(), barriers: [] }
  return { backups: [], lines, chunks: new Map(), bounds: [], ...more }
}

/** `name{a="b"}` → value. */
function told(view: Partial<ClusterView>, known?: HistoryFacts): Map<string, number> {
  const samples = clusterSamples({ ...VIEW, ...view }, known)
  for (const { name, labels } of samples)
    assert.deepEqual(Object.keys(labels).sort(), [...FAMILIES[name].labels].sort(), name)
  const words = (labels: Readonly<Record<string, string>>) => Object.entries(labels).map(([k, v]) => `${k}=${v}`)
  return new Map(
    samples.map(({ name, labels, value }) => [`${name.replace('pbmkit_', '')} ${words(labels)}`.trim(), value]),
  )
}

describe('what metrics tell of a cluster', () => {
  it('are its agents: who is silent, and what of those alive is not well', () => {
    const found = told({ agents: [agent('a:1', NOW - 5), agent('b:1', NOW - 31), agent('c:1', NOW, true)] })
    assert.equal(found.get('agent_up replica_set=rs0,node=a:1'), 1)
    assert.equal(found.get('agent_up replica_set=rs0,node=b:1'), 0)
    assert.equal(found.get('agent_ok replica_set=rs0,node=a:1,subsystem=node'), 1)
    assert.equal(found.get('agent_ok replica_set=rs0,node=a:1,subsystem=storage'), 0)
    assert.equal(found.get('agent_ok replica_set=rs0,node=b:1,subsystem=node'), undefined)
    assert.equal(found.get('node_replication_lag_seconds replica_set=rs0,node=a:1'), 7)
    assert.equal(found.get('node_replication_lag_seconds replica_set=rs0,node=c:1'), undefined, 'an arbiter')
    assert.doesNotMatch(JSON.stringify([...found]), /s3cret/)
  })

  it('are its backups: of each kind the newest good one, the newest bad one, and all by state', () => {
    const found = told(
      {},
      history({
        backups: [
          backup('5', { status: 'error', startedAt: 500, changedAt: 510 }),
          backup('4', { startedAt: 400, changedAt: 460, last_write_ts: at(450) }),
          backup('3', { nss: ['a.b'], startedAt: 300, changedAt: 301, last_write_ts: at(999) }),
          backup('2', { store: { profile: true, name: 'far', type: 's3' }, startedAt: 200, changedAt: 230 }),
          backup('1', { verification: { at: 900, result: 'damaged' } }),
          backup('0', {
            verification: { at: 800, result: 'good' },
            drill: { at: 810, result: 'good', restoreSeconds: 12.5, opid: 'x' },
          }),
        ],
      }),
    )
    const main = 'type=logical,profile=main'
    assert.equal(found.get(`backup_last_success_timestamp_seconds ${main}`), 460)
    assert.equal(found.get(`backup_last_failure_timestamp_seconds ${main}`), 510)
    assert.equal(found.get(`backup_last_duration_seconds ${main}`), 60)
    assert.equal(found.get(`backup_last_size_bytes ${main},replica_set=rs0`), 10)
    assert.equal(found.get(`backup_last_uncompressed_bytes ${main},replica_set=rs0`), 30)
    assert.equal(found.get('backup_last_success_timestamp_seconds type=selective,profile=main'), 301)
    assert.equal(found.get('backup_last_success_timestamp_seconds type=logical,profile=far'), 230)
    assert.equal(found.get('backups status=done,profile=main'), 4)
    assert.equal(found.get('backups status=error,profile=main'), 1)
    assert.equal(found.get('backup_stored_bytes profile=main'), 40)
    assert.equal(found.get('backup_verified_timestamp_seconds profile=main'), 800)
    assert.equal(found.get('backups_damaged profile=main'), 1)
    assert.equal(found.get(`drill_last_success_timestamp_seconds ${main}`), 810)
    assert.equal(found.get(`drill_recovery_seconds ${main}`), 12.5)
    // A part of the data is no state of the cluster.
    assert.equal(found.get('newest_restorable_timestamp_seconds'), 450)
    assert.equal(found.get('oldest_restorable_timestamp_seconds'), 150)
  })

  it('are what runs, how far it is, and who holds a lock though it is dead', () => {
    const progress = { phase: 'collections', bytes: 25, totalBytes: 100, documents: 1, totalDocuments: 1 }
    const times = { startedAt: 0, updatedAt: 0 }
    const replsets = [{ name: 'rs0', node: 'a:1', size: 0, uncompressed: 0, progress: { ...progress, ...times } }]
    const found = told({
      locks: [lock('backup', 'a:1', NOW - 2, 'op'), lock('pitr', 'b:1', NOW - 40)],
      backups: [backup('new', { status: 'running', opid: 'op', replsets }), backup('old')],
    })
    assert.equal(found.get('operation_running operation=backup'), 1)
    assert.equal(found.get('operation_running operation=restore'), 0)
    assert.equal(found.get('operation_start_timestamp_seconds operation=backup'), 100)
    assert.equal(found.get('operation_progress_ratio operation=backup,replica_set=rs0'), 0.25)
    assert.equal(found.get('lock_held operation=pitr,replica_set=rs0,node=b:1'), 1)
    assert.equal(found.get('lock_heartbeat_age_seconds operation=pitr,replica_set=rs0,node=b:1'), 40)
  })

  it('are how far the stored oplog is, and what is missing in it', () => {
    const second = (t: number) => BigInt(t) << 32n
    const lines = {
      ranges: [{ start: second(500), end: second(900) }],
      ...{ unbacked: [], perReplset: new Map(), barriers: [] },
      gaps: new Map([['rs0', [{ start: second(100), end: second(130) }]]]),
    }
    const chunks = new Map([
      ['rs0', { end: at(NOW - 600), bytes: 77, unsealed: 0 }],
      ['rs1', { end: at(NOW - 700), bytes: 1, unsealed: 0 }],
    ])
    const slicing = {
      ...{ start_ts: 1, hb: at(NOW), status: 'running' as const, n: [] },
      replsets: [
        { name: 'rs0', node: 'a:1', status: 'running' as const, stored: at(NOW - 60) },
        { name: 'rs1', node: 'b:1', status: 'running' as const, error: 'the storage is full' },
      ],
    }
    const found = told({ slicing }, history({ lines, chunks }))
    assert.equal(found.get('pitr_enabled'), 1)
    assert.equal(found.get('pitr_lag_seconds replica_set=rs0'), 60)
    assert.equal(found.get('pitr_lag_seconds replica_set=rs1'), 700)
    assert.equal(found.get('pitr_failing replica_set=rs0'), 0)
    assert.equal(found.get('pitr_failing replica_set=rs1'), 1)
    assert.equal(found.get('pitr_gaps replica_set=rs0'), 1)
    assert.equal(found.get('pitr_gap_seconds replica_set=rs0'), 30)
    assert.equal(found.get('pitr_stored_bytes replica_set=rs0'), 77)
    assert.equal(found.get('newest_restorable_timestamp_seconds'), 900)
    assert.equal(found.get('oldest_restorable_timestamp_seconds'), 500)
    const off = told({ slicing, pitr: { enabled: false } }, history({ lines, chunks }))
    assert.deepEqual([off.get('pitr_enabled'), off.get('pitr_lag_seconds replica_set=rs0')], [0, undefined])
  })

  it('are made of odd documents, too, and of few of them', () => {
    const odd = { ...agent('x', NOW), n: { a: 1 } as unknown as string, rs: `a\n"\u001b${'x'.repeat(500)}` }
    const samples = clusterSamples({ ...VIEW, agents: Array.from({ length: 5_000 }, () => odd) }, undefined)
    assert.ok(samples.length < 20_000)
    const [first] = samples
    assert.equal(first?.labels.node, '')
    assert.match(first?.labels.replica_set ?? '', /^a\\n"\\x1bx{190,200}$/)
  })
})
