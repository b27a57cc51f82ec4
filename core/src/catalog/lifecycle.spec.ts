import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import fc from 'fast-check'
import type { LifecycleConfig } from '../config/document.js'
import type { BackupDocument } from '../control/backup-document.js'
import { fromStorageJson } from '../store/layout/backup-metadata.js'
import { lifecyclePlan, minKeepFault } from './lifecycle.js'
import { isNeededForSlicing } from './retention.js'

const DAY = 86_400
const utc = (text: string) => Date.parse(`${text}Z`) / 1000

/** A Monday. */
const NOW = utc('2026-11-30T12:00:00')

function backup(start: number, more: Partial<BackupDocument> = {}): BackupDocument {
  const name = more.name ?? new Date(start * 1000).toISOString()
  const base = fromStorageJson(JSON.stringify({ name, type: 'logical', status: 'done' }))
  const replsets = [{ name: 'rs' } as BackupDocument['replsets'][number]]
  return { ...base, replsets, start_ts: start, last_write_ts: new Timestamp({ t: start + 60, i: 1 }), ...more }
}

const days = (text: string) => backup(utc(text))

function planOf(backups: BackupDocument[], rules: LifecycleConfig, more: { slicing?: boolean; profile?: string } = {}) {
  const inventory = { backups, chunks: [], slicing: more.slicing === true }
  return lifecyclePlan(inventory, { enabled: true, ...rules }, NOW, more.profile)
}

const names = (backups: readonly BackupDocument[]) => backups.map(({ name }) => name.slice(0, 13))
const keptOf = (plan: ReturnType<typeof planOf>) => names(plan.kept.map(({ backup }) => backup))

describe('lifecycle', () => {
  it('is off until it is switched on', () => {
    const plan = planOf([backup(0)], { enabled: false, dailyRetention: 1 })
    assert.deepEqual([plan.kept.length, plan.purged.length], [1, 0])
  })

  it('keeps every backup of the last days: of 24 hours each, or of the calendar', () => {
    const backups = [days('2026-11-30T01:00:00'), days('2026-11-29T13:00:00'), days('2026-11-29T11:00:00')]
    assert.deepEqual(keptOf(planOf(backups, { dailyRetention: 1 })), ['2026-11-30T01', '2026-11-29T13'])
    assert.deepEqual(keptOf(planOf(backups, { strategy: 'calendar', dailyRetention: 1 })), ['2026-11-30T01'])
  })

  it('keeps the newest backup of each 7 and 30 days back from now', () => {
    const backups = [
      days('2026-11-30T01:00:00'),
      days('2026-11-24T13:00:00'),
      days('2026-11-23T11:00:00'),
      days('2026-11-17T11:00:00'),
      days('2026-10-30T11:00:00'),
    ]
    assert.deepEqual(keptOf(planOf(backups, { weeklyRetention: 2 })), ['2026-11-30T01', '2026-11-23T11'])
    assert.deepEqual(keptOf(planOf(backups, { monthlyRetention: 2 })), ['2026-11-30T01', '2026-10-30T11'])
  })

  it('keeps the backup that is nearest to the day of its week and of its month', () => {
    // The weeks from Sunday the 22nd and from Sunday the 29th.
    const backups = [
      days('2026-11-30T01:00:00'),
      days('2026-11-28T01:00:00'),
      days('2026-11-25T01:00:00'),
      days('2026-11-24T01:00:00'),
      days('2026-10-02T01:00:00'),
      days('2026-10-31T01:00:00'),
    ]
    const calendar = { strategy: 'calendar' } as const
    assert.deepEqual(keptOf(planOf(backups, { ...calendar, weeklyRetention: 2, weeklyDay: 3 })), [
      '2026-11-30T01',
      '2026-11-25T01',
    ])
    assert.deepEqual(keptOf(planOf(backups, { ...calendar, monthlyRetention: 2 })), ['2026-11-24T01', '2026-10-02T01'])
    // November has no 31st.
    assert.deepEqual(keptOf(planOf(backups, { ...calendar, monthlyRetention: 2, monthlyDay: 31 })), [
      '2026-11-30T01',
      '2026-10-31T01',
    ])
  })

  it('keeps one of each type', () => {
    const backups = [backup(NOW - 60), backup(NOW - 90, { name: 'files', type: 'physical' }), backup(NOW - 120)]
    const plan = planOf(backups, { weeklyRetention: 1 })
    assert.deepEqual(plan.kept.map(({ backup }) => backup.type).toSorted(), ['logical', 'physical'])
  })

  it('leaves what runs, what is selective and the base of point-in-time recovery', () => {
    const running = backup(NOW - 400 * DAY, { status: 'running' })
    const selective = backup(NOW - 401 * DAY, { nss: ['shop.*'] })
    const base = backup(NOW - 402 * DAY)
    const plan = planOf([running, selective, base], { dailyRetention: 1 }, { slicing: true })
    assert.deepEqual(
      plan.kept.flatMap(({ reasons }) => reasons),
      ['running', 'selective', 'pitr base'],
    )
    assert.deepEqual(planOf([running, selective, base], { dailyRetention: 1 }).purged, [base])
  })

  it('leaves one base where the oplog leads from either to now', () => {
    const [old, newer] = [days('2026-11-01T00:00:00'), days('2026-11-02T00:00:00')]
    const other = backup(utc('2026-11-30T11:00:00'), { store: { type: 's3', profile: true, name: 'p' } })
    const bounds = { start_ts: old.last_write_ts, end_ts: new Timestamp({ t: NOW, i: 1 }) }
    const chunks = [{ ...bounds, rs: 'rs', fname: 'c', compression: 's2', size: 1 }]
    const inventory = { backups: [old, newer, other], chunks, slicing: true }
    const plan = lifecyclePlan(inventory, { enabled: true, dailyRetention: 1 }, NOW)
    assert.deepEqual(names(plan.purged), ['2026-11-02T00'])
    assert.deepEqual(plan.kept[0]?.reasons, ['pitr base'])
  })

  it('keeps failed ones unless they are asked for, and those of the days that are kept', () => {
    const old = backup(NOW - 5 * DAY, { status: 'error' })
    const fresh = backup(NOW - DAY / 2, { status: 'canceled' })
    assert.deepEqual(planOf([old, fresh], { dailyRetention: 1 }).purged, [])
    assert.deepEqual(planOf([old, fresh], { dailyRetention: 1, purgeFailed: true }).purged, [old])
  })

  it('looks at one storage', () => {
    const ofProfile = backup(NOW - 9 * DAY, { store: { type: 's3', name: 'weekly', profile: true } })
    const ofMain = backup(NOW - 8 * DAY)
    assert.deepEqual(planOf([ofProfile, ofMain], { dailyRetention: 1 }).purged, [ofMain])
    assert.deepEqual(planOf([ofProfile, ofMain], { dailyRetention: 1 }, { profile: 'weekly' }).purged, [ofProfile])
  })

  it('deletes nothing where too few would stay, or nothing says what stays', () => {
    const old = [backup(NOW - 9 * DAY), backup(NOW - 10 * DAY)]
    const fault = (rules: LifecycleConfig) => minKeepFault(planOf(old, rules), rules)
    assert.match(fault({ dailyRetention: 1 })?.message ?? '', /0 whole backups, fewer than its minKeep \(1\)/)
    assert.equal(fault({ dailyRetention: 1, minKeep: 0 }), undefined)
    assert.equal(fault({ weeklyRetention: 2 }), undefined)
    assert.equal(fault({ weeklyRetention: 2, minKeep: 2 })?.code, 'LIFECYCLE_MIN_KEEP')
    assert.match(fault({ minKeep: 0 })?.message ?? '', /no days, weeks or months/)
  })

  const rule = fc.record({
    strategy: fc.constantFrom('rolling' as const, 'calendar' as const),
    dailyRetention: fc.nat(10),
    weeklyRetention: fc.nat(6),
    monthlyRetention: fc.nat(6),
    weeklyDay: fc.nat(6),
    monthlyDay: fc.integer({ min: 1, max: 31 }),
    purgeFailed: fc.boolean(),
    minKeep: fc.nat(3),
  })
  const someBackups = fc
    .array(
      fc.record({
        age: fc.integer({ min: -DAY, max: 200 * DAY }),
        status: fc.constantFrom('done' as const, 'done' as const, 'error' as const, 'running' as const),
        type: fc.constantFrom('logical' as const, 'physical' as const, 'incremental' as const),
        upon: fc.nat(20),
      }),
      { maxLength: 20 },
    )
    .map((drawn) =>
      drawn.map(({ age, status, type, upon }, index) => {
        // Increments build on one before; now and then in a circle, which a forged record may.
        const source = type === 'incremental' && upon < drawn.length && upon !== index ? { src_backup: `b${upon}` } : {}
        return backup(NOW - age, { name: `b${index}`, status, type, ...source })
      }),
    )

  it('never takes what is needed, and takes or leaves each backup', () => {
    fc.assert(
      fc.property(someBackups, rule, fc.boolean(), (backups, rules, slicing) => {
        const inventory = { backups, chunks: [], slicing }
        const { kept, purged } = lifecyclePlan(inventory, { enabled: true, ...rules }, NOW)
        const staying = new Map(kept.map(({ backup }) => [backup.name, backup]))
        assert.equal(kept.length + purged.length, backups.length)
        for (const backup of purged) {
          assert.ok(!staying.has(backup.name))
          assert.notEqual(backup.status, 'running')
          assert.ok(!isNeededForSlicing(backup, inventory))
          if (backup.status === 'error') assert.ok(rules.purgeFailed)
          // No link of a chain that is kept.
          if (backup.status === 'done')
            for (const { src_backup, status } of staying.values())
              assert.ok(status === 'error' || src_backup !== backup.name)
        }
        for (const { reasons } of kept) assert.notEqual(reasons.length, 0)
        // The newest one of all is kept as soon as a window reaches it.
        const newest = kept.find(({ backup }) => backup.status === 'done')
        if (
          rules.dailyRetention > 0 &&
          backups.some(({ status, start_ts }) => status === 'done' && start_ts > NOW - DAY / 2)
        )
          assert.ok(newest !== undefined)
      }),
    )
  })
})
