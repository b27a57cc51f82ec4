import assert from 'node:assert/strict'
import { findBackup } from '@pbmkit/core'
import { backupEnded, objectsOn, outputs, sendBackup, unlocked, until } from './cluster.support.js'
import { type HeldShardedCluster, startHeldShardedCluster } from './sharded-held.support.js'

const STATES = [
  { place: 'init', state: 'starting' },
  { place: 'types', state: 'running' },
  { place: 'oplog', state: 'dumpDone' },
] as const

describe('a backup of a sharded cluster that loses agents and servers', () => {
  let cluster: HeldShardedCluster

  before(async () => {
    cluster = await startHeldShardedCluster('backup:\n  timeouts:\n    startingStatus: 10\n')
    // Without any, agents that start look for backups on the storage, and no other may begin meanwhile.
    await cluster.backupWorks()
  })
  after(async () => {
    await cluster?.stop()
  })
  afterEach(async () => {
    await cluster.heal()
    await cluster.startMissing()
  })

  const hasFailed = (name: string) => async () => (await findBackup(cluster.leader, name))?.status === 'error'
  const balancesAgain = () => until('the balancer to be on again', () => cluster.isBalancing())
  /** `frozen`: one of its agents stands still, and with it the file that it writes. */
  const failed = async (name: string, reason: RegExp, { frozen = false } = {}) => {
    const backup = await backupEnded(cluster, name)
    assert.equal(backup.status, 'error', outputs(cluster))
    assert.match(backup.error ?? '', reason)
    await balancesAgain()
    await unlocked(cluster)
    const left = async () => (await objectsOn(cluster.storage)).filter((object) => object.startsWith(name))
    await until('its objects to be gone', async () =>
      (await left()).every((object) => frozen && object.endsWith('.tmp')),
    )
  }

  for (const { place, state } of STATES) {
    it(`ends in state ${state} everywhere when the agent of one shard is killed, with the reason`, async () => {
      const name = await cluster.heldBackup(place, state)
      // It is stopped right after the init object is there.
      if (state !== 'starting') assert.equal(await cluster.isBalancing(), false)
      await cluster.kill('s1')
      await cluster.loseAgent('s1', hasFailed(name))
      await failed(name, /s1/)
      await cluster.heal()
      await cluster.startMissing()
    })
  }

  it('is marked, cleaned up and gives the balancer back when all agents were killed', async () => {
    const name = await cluster.heldBackup('types', 'running')
    assert.equal(await cluster.isBalancing(), false)
    await cluster.kill()
    await cluster.heal()
    await cluster.restartDead()
    await failed(name, /died in state running/)
  })

  it('ends when a shard stands still for longer than others wait, which does no harm when it goes on', async () => {
    const name = await cluster.heldBackup('types', 'running')
    const agents = cluster.agentsOf('s1')
    for (const agent of agents) agent.signal('SIGSTOP')
    try {
      await cluster.loseAgent('s1', hasFailed(name))
      await failed(name, /s1/, { frozen: true })
    } finally {
      for (const agent of agents) agent.signal('SIGCONT')
    }
    await until('it to notice', async () => agents.some((agent) => /backup failed/.test(agent.output())))
    await cluster.heal()
    await failed(name, /s1/)
  })

  it('ends when nobody in a shard takes it', async () => {
    await cluster.agentsWell()
    const agents = cluster.agentsOf('s1')
    for (const agent of agents) agent.signal('SIGSTOP')
    try {
      await failed(await sendBackup(cluster.leader), /s1/)
    } finally {
      for (const agent of agents) agent.signal('SIGCONT')
    }
  })

  for (const { place, state } of STATES) {
    it(`goes on from state ${state} when the config primary steps down, or says why not`, async () => {
      const name = await cluster.heldBackup(place, state)
      await cluster.cluster.config.stepDown(10)
      await cluster.heal()
      const backup = await backupEnded(cluster, name)
      if (backup.status !== 'done') assert.notEqual(backup.error ?? '', '')
      await unlocked(cluster)
      await balancesAgain()
      // Whatever it came to: nothing of it stands in the way of the next.
      await cluster.backupWorks()
      assert.equal(await cluster.isBalancing(), true)
    })
  }
})
