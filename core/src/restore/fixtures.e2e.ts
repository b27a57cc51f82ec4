import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareStates, fixturesFolder, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore, listRestores } from '../control/restores.js'
import { type Bench, expectedState, fixtureFolder, startBench } from './restore.support.js'

/** Stays with the connected user, whose role it is. */
const OWN_ROLE = /^role admin\./
/** `hidden` is nowhere in the backups of PBM 2.8 and later; nothing else may differ. */
const LOST_BY_PBM = /^shop\.orders: index hid/

describe('Restore of backups made by PBM', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench

  before(async () => {
    bench = await startBench('pbm-codecs')
  })
  after(async () => {
    await bench?.stop()
  })

  const manifest = JSON.parse(readFileSync(join(fixtureFolder('pbm-codecs'), 'manifest.json'), 'utf8')) as {
    snapshots: { name: string; compression: string }[]
  }
  for (const { name, compression } of manifest.snapshots) {
    it(`restores ${compression} exactly`, async () => {
      assert.equal(await bench.restore(name), 'done')
      const differences = compareStates(
        await expectedState('pbm-codecs', 'snapshot'),
        await snapshotState(bench.node),
        {
          ignoreUsers: [`admin.${PBM_USER.user}`],
        },
      )
      assert.deepEqual(
        differences.filter((difference) => !LOST_BY_PBM.test(difference) && !OWN_ROLE.test(difference)),
        [],
      )
    })
  }

  it('writes its record as PBM does and says that index flags are lost', async () => {
    const [latest] = await listRestores(bench.leader, { limit: 1 })
    const restore = await findRestore(bench.leader, latest?.name ?? '')
    assert.equal(restore?.status, 'done')
    assert.deepEqual(
      restore?.conditions.map(({ status }) => status),
      ['starting', 'cleanupCluster', 'running', 'dumpDone', 'done'],
    )
    assert.equal(restore?.replsets[0]?.progress?.phase, 'majority')
    assert.ok(bench.log.lines.some((line) => line.startsWith('warning') && line.includes('hidden')))
  })

  it('keeps the connected user and removes those the backup does not have', async () => {
    const users = (await snapshotState(bench.node)).users.map(({ _id }) => _id)
    assert.deepEqual(users, ['admin.boss', `admin.${PBM_USER.user}`, 'shop.ann'])
  })
})
