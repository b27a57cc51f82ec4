import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareStates, fixturesFolder, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { Timestamp } from 'mongodb'
import { insertChunk } from '../control/pitr-chunks.js'
import { stagingDatabase } from '../control/staging-name.js'
import { optime } from '../oplog/entry.js'
import { ProgressPublisher } from '../protocol/progress.js'
import { fromStorageJson } from '../store/layout/backup-metadata.js'
import { backupMetadataName, PITR_FOLDER, parsePitrChunkName } from '../store/layout/names.js'
import { readText } from '../store/layout/read-text.js'
import { systemClock } from '../time/clock.js'
import { deadlineGuard } from '../time/deadline-guard.js'
import type { OplogPiece } from './data/stored-objects.js'
import { type Bench, expectedState, fixtureFolder, startBench } from './restore.support.js'
import type { RestoreTuning } from './run/prepare.js'
import { restoreReplset } from './run/replset.js'

/** Not in PBM's backup, and not set by the oplog. */
const LOST_BY_PBM = /^shop\.orders: index hid/
const OWN_ROLE = /^role admin\./

describe('Restore of a backup and the chunks after it', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench

  before(async () => {
    bench = await startBench('pbm-pitr')
  })
  after(async () => {
    await bench?.stop()
  })

  const manifest = JSON.parse(readFileSync(join(fixtureFolder('pbm-pitr'), 'manifest.json'), 'utf8')) as {
    snapshots: { name: string }[]
    marks: { label: string; unix: number }[]
  }

  async function restoreTo(end: bigint | undefined, tuning: RestoreTuning = {}): Promise<void> {
    const { store, host, node, log } = bench
    const name = manifest.snapshots[0]?.name ?? ''
    const backup = fromStorageJson(await readText(store, backupMetadataName(name)))
    const [part] = backup.replsets
    assert.ok(part)
    const chunks: OplogPiece[] = []
    for await (const { name: object } of store.list({ prefix: `${PITR_FOLDER}/rs0/` })) {
      const chunk = parsePitrChunkName(object)
      if (chunk === undefined) continue
      const compression = await host.compression(backup.compression)
      chunks.push({ object, start: optime(chunk.start), end: optime(chunk.end), compression })
    }
    chunks.sort((a, b) => Number(a.start - b.start))
    await restoreReplset({
      staging: stagingDatabase('0'.repeat(24)),
      usersInUse: [],
      client: node,
      store,
      backup,
      part,
      compression: await host.compression(backup.compression),
      tuning,
      pointInTime: end === undefined ? undefined : { chunks, end, newcomers: new Map() },
      guard: deadlineGuard(new AbortController().signal),
      log,
      progress: new ProgressPublisher(systemClock, async () => undefined),
      onGainedRoles: async () => undefined,
      onMade: async () => undefined,
      reach: async () => undefined,
    })
  }

  async function differences(label: string): Promise<string[]> {
    const found = compareStates(await expectedState('pbm-pitr', label), await snapshotState(bench.node), {
      ignoreUsers: [`admin.${PBM_USER.user}`],
    })
    return found.filter((difference) => !LOST_BY_PBM.test(difference) && !OWN_ROLE.test(difference))
  }

  it('gives the snapshot alone', async () => {
    await restoreTo(undefined)
    assert.deepEqual(await differences('snapshot'), [])
  })
  for (const { label, unix } of manifest.marks) {
    it(`gives the state at the mark ${label}`, async () => {
      await restoreTo(optime({ t: unix, i: 0 }))
      assert.deepEqual(await differences(label), [])
    })
  }

  it('does so on what a restore before has made, also where the backup is not verified', async () => {
    const last = manifest.marks.at(-1)
    for (const verify of [false, false]) await restoreTo(optime({ t: last?.unix ?? 0, i: 0 }), { verify })
    assert.deepEqual(await differences(last?.label ?? ''), [])
  })

  it('takes the chunks that the control collection lists, and the time of the command', async () => {
    const [base, mark] = [manifest.snapshots[0]?.name ?? '', manifest.marks.find(({ label }) => label === 'dml')]
    const oplogTS = new Timestamp({ t: mark?.unix ?? 0, i: 0 })
    await assert.rejects(bench.restore(base, { command: { oplogTS } }), {
      code: 'RESTORE_TIME',
      message: /No stored oplog goes on from the end of backup/,
    })
    for await (const { name: fname, size } of bench.store.list({ prefix: `${PITR_FOLDER}/rs0/` })) {
      const chunk = parsePitrChunkName(fname)
      if (chunk === undefined) continue
      const { start: start_ts, end: end_ts } = chunk
      await insertChunk(bench.leader, { rs: 'rs0', fname, compression: 's2', start_ts, end_ts, size })
    }
    for (const db of ['shop', 'types', 'odd']) await bench.node.db(db).dropDatabase()
    assert.equal(await bench.restore(base, { command: { oplogTS } }), 'done')
    assert.deepEqual(await differences('dml'), [])
    await assert.rejects(bench.restore(base, { command: { oplogTS: new Timestamp({ t: 2, i: 0 }) } }), {
      code: 'RESTORE_TIME',
    })
  })
})
