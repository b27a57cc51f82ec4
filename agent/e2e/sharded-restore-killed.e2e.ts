import assert from 'node:assert/strict'
import { type ShardedState, snapshotShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, findRestore, readConfig } from '@pbmkit/core'
import { outputs, passSeconds, restoreEnded, sendRestore, unlocked, until } from './cluster.support.js'
import { restore } from './finished.support.js'
import { type HeldShardedCluster, startHeldShardedCluster } from './sharded-held.support.js'
import { compareChosen, type RoutedState, routedState } from './sharded-selective.support.js'
import { assertSameState } from './sharded-state.support.js'

/** How long the server sits on each drop: long enough to kill an agent meanwhile. */
const DROP_MS = 5_000
/** Without the reading-through before it, the storage stands still in the states that come after. */
const UNVERIFIED = 'restore:\n  verify: false\n'
const SLICED = 'pitr:\n  enabled: true\n'

describe('a restore of a sharded cluster that loses agents and servers', () => {
  let cluster: HeldShardedCluster
  let backup = ''
  let loaded: ShardedState

  before(async () => {
    cluster = await startHeldShardedCluster(SLICED)
    // It would split chunks at the zone between the two.
    await cluster.cluster.setBalancer('off')
    backup = await cluster.backupWorks()
    loaded = await snapshotShardedState(cluster.cluster)
    await cluster.cluster.setBalancer('full')
  })
  after(async () => {
    await cluster?.stop()
  })
  afterEach(async () => {
    await cluster.heal()
    await cluster.startMissing()
  })

  const isSlicing = async () => (await readConfig(cluster.leader))?.pitr?.enabled === true
  const failed = async (name: string, reason: RegExp) => {
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error', outputs(cluster))
    assert.match(restore.error ?? '', reason)
    await unlocked(cluster)
  }
  const isExact = async ({ but = {} }: { but?: Partial<ShardedState> } = {}) =>
    assertSameState({ ...loaded, ...but }, { ...(await snapshotShardedState(cluster.cluster)), ...but })
  /** The balancer, which is on, may have split chunks. */
  const isUnchanged = () => isExact({ but: { chunks: [] } })
  const allOnAgain = async () => {
    await until('the balancer to be on again', () => cluster.isBalancing())
    await until('point-in-time recovery to be on again', isSlicing)
  }

  it('leaves the balancer and point-in-time recovery on when all agents were killed while it read the backup', async () => {
    const name = await cluster.heldRestore('types', backup, 'starting')
    await cluster.kill()
    await cluster.heal()
    await cluster.restartDead()
    await failed(name, /died in state starting/)
    await allOnAgain()
    await isUnchanged()
  })

  it('gives both back when all agents were killed after they had been switched off and before anything was changed', async () => {
    await cluster.agentsWell()
    const name = await sendRestore(cluster.leader, backup)
    // Someone who does not stop storing the oplog keeps it from changing anything.
    const epoch = (await readConfig(cluster.leader))?.epoch
    const slicer = { type: 'pitr', replset: 'other', node: 'elsewhere:27017', epoch }
    const locks = cluster.leader.db('admin').collection('pbmLockOp')
    await locks.insertOne({ ...slicer, hb: await clusterTime(cluster.leader) })
    await until('both to be off', async () => !((await cluster.isBalancing()) || (await isSlicing())))
    await cluster.kill()
    assert.equal((await findRestore(cluster.leader, name))?.status, 'starting')
    await cluster.restartDead()
    await failed(name, /died in state starting/)
    await allOnAgain()
    await isUnchanged()
    await until(
      'its record to be settled',
      async () => (await findRestore(cluster.leader, name))?.suspended?.length === 0,
    )
    await locks.deleteMany({ replset: 'other' })
  })

  describe('that goes on without having read the backup through', () => {
    before(() => cluster.configureWith(UNVERIFIED))

    for (const [place, state] of [
      ['list', 'starting'],
      ['types', 'running'],
      ['oplog', 'dumpDone'],
    ] as const) {
      it(`ends in state ${state} everywhere when the agent of one shard is killed; the next one is exact`, async () => {
        const name = await cluster.heldRestore(place, backup, state)
        await cluster.kill('s1')
        await cluster.loseAgent('s1', async () => (await findRestore(cluster.leader, name))?.status === 'error')
        // By the others, or by who watches over dead operations.
        await failed(
          name,
          new RegExp(
            `s1.*(${state === 'starting' ? 'Nothing of the data was changed' : 'incomplete now'})|died in state ${state}: .* s1/`,
          ),
        )
        await cluster.heal()
        await cluster.startMissing()
        if (state === 'starting') {
          assert.equal(await cluster.isBalancing(), true)
          return await isUnchanged()
        }
        await cluster.restoreWorks(backup)
        await isExact()
      })
    }

    /** A restore that stands in the middle of dropping on s1, until the function it gives is called. */
    const heldDrops = async () => {
      const admin = (await cluster.cluster.shard('s1').set.client()).db('admin')
      const failPoint = (more: object) => admin.command({ configureFailPoint: 'failCommand', ...more })
      const data = { failCommands: ['drop'], blockConnection: true, blockTimeMS: DROP_MS, appName: 'pbm-agent' }
      await cluster.agentsWell()
      await failPoint({ mode: 'alwaysOn', data })
      const name = await sendRestore(cluster.leader, backup)
      await until('the drops', async () => (await findRestore(cluster.leader, name))?.status === 'cleanupCluster')
      const drops = () =>
        admin
          .aggregate([{ $currentOp: { allUsers: true } }, { $match: { 'command.drop': { $exists: true } } }])
          .toArray()
      return {
        name,
        goOn: () => failPoint({ mode: 'off' }),
        lastDrop: () => until('the last drop', async () => (await drops()).length === 0),
      }
    }
    const endedOrDone = async (name: string) => {
      const restore = await restoreEnded(cluster, name)
      if (restore.status !== 'done') assert.notEqual(restore.error ?? '', '')
      await unlocked(cluster)
      if (restore.status !== 'done') await cluster.restoreWorks(backup)
      await isExact()
    }

    it('ends in state cleanupCluster everywhere when the agent of one shard is killed; the next one is exact', async () => {
      const { name, goOn, lastDrop } = await heldDrops()
      await cluster.kill('s1')
      await goOn()
      await cluster.loseAgent('s1', async () => (await findRestore(cluster.leader, name))?.status === 'error')
      await failed(name, /s1.*incomplete now|died in state cleanupCluster: .* s1\//)
      // What the server already had from the killed agent.
      await lastDrop()
      await cluster.startMissing()
      await cluster.restoreWorks(backup)
      await isExact()
    })

    it('ends in state cleanupCluster when the config primary steps down, or goes on; the next one is exact', async () => {
      const { name, goOn, lastDrop } = await heldDrops()
      await cluster.cluster.config.stepDown(10)
      await goOn()
      await lastDrop()
      await endedOrDone(name)
    })

    for (const [place, state] of [
      ['list', 'starting'],
      ['types', 'running'],
      ['oplog', 'dumpDone'],
    ] as const) {
      it(`ends in state ${state} when the config primary steps down, or goes on; the next one is exact`, async () => {
        const name = await cluster.heldRestore(place, backup, state)
        await cluster.cluster.config.stepDown(10)
        await cluster.heal()
        await endedOrDone(name)
      })
    }

    describe('and is one of chosen namespaces', () => {
      const nss = ['bank.accounts']
      let then: RoutedState
      before(async () => {
        // The data are as the backup has them; the balancer would split chunks while it is on.
        await cluster.cluster.setBalancer('off')
        await cluster.restoreWorks(backup)
        then = await routedState(cluster.cluster)
      })
      const accountsLater = async () => {
        for (const { set } of cluster.cluster.shards) {
          await (await set.client())
            .db('bank')
            .collection('accounts')
            .updateMany({}, { $inc: { balance: 1 } })
        }
      }
      /** All but what was chosen. */
      const others = ({ shards, exact }: RoutedState) => {
        const own = Object.entries(shards).map(([id, { bank: { accounts: _, ...bank } = {}, ...dbs }]) => [
          id,
          bank,
          dbs,
        ])
        return { own, exact: { ...exact, 'bank.accounts': undefined } }
      }
      const failedByThen = (name: string) => async () => (await findRestore(cluster.leader, name))?.status === 'error'
      const faults = {
        'the agent of a shard is killed': async (name: string) => {
          await cluster.kill('s1')
          await cluster.loseAgent('s1', failedByThen(name))
        },
        'the agents of the config servers are killed': async (name: string) => {
          await cluster.kill('cfg')
          await passSeconds(cluster, 35)
          await until('the others to notice', failedByThen(name))
        },
        'the config primary steps down': async () => void (await cluster.cluster.config.stepDown(10)),
        'the primary of a shard steps down': async () => {
          const { set } = cluster.cluster.shard('s1')
          const admin = (await set.client()).db('admin')
          await admin.command({ replSetStepDown: 1, force: true }).catch(() => undefined)
          await until('it to be primary again', async () => (await admin.command({ hello: 1 })).isWritablePrimary)
        },
      }
      const isOver = async (name: string, before: RoutedState) => {
        await cluster.heal()
        const restored = await restoreEnded(cluster, name)
        if (restored.status !== 'done') assert.notEqual(restored.error ?? '', '')
        await cluster.startMissing()
        await unlocked(cluster)
        assert.deepEqual(others(await routedState(cluster.cluster)), others(before))
        await until('the balancer to be on again', () => cluster.isBalancing())
        await cluster.cluster.setBalancer('off')
        await cluster.agentsWell()
        await restore(cluster, backup, { nss })
        assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster.cluster) }), [])
      }

      for (const [state, what] of [
        ['starting', 'the agent of a shard is killed'],
        ['running', 'the agents of the config servers are killed'],
        ['running', 'the config primary steps down'],
        ['dumpDone', 'the agent of a shard is killed'],
        ['dumpDone', 'the config primary steps down'],
        ['starting', 'the primary of a shard steps down'],
        ['running', 'the primary of a shard steps down'],
        ['dumpDone', 'the primary of a shard steps down'],
      ] as const) {
        it(`touches nothing else when ${what} in state ${state}; the next one is exact`, async () => {
          await accountsLater()
          const before = await routedState(cluster.cluster)
          await cluster.cluster.setBalancer('full')
          const place = state === 'starting' ? 'oplog' : 'types'
          const name = await cluster.heldRestore(place, backup, state === 'dumpDone' ? 'running' : state, { nss })
          if (state === 'dumpDone') await cluster.moveHold('types', 'oplog')
          await until(`state ${state}`, async () => (await findRestore(cluster.leader, name))?.status === state)
          await faults[what](name)
          await isOver(name, before)
        })
      }

      for (const what of ['the agent of a shard is killed', 'the primary of a shard steps down'] as const) {
        it(`leaves nothing aside when ${what} while documents are put back; the next one puts back all`, async () => {
          await accountsLater()
          for (const { set } of cluster.cluster.shards)
            await (await set.client())
              .db('bank')
              .collection<{ _id: number }>('accounts')
              .deleteMany({ _id: { $mod: [3, 0] } })
          const before = await routedState(cluster.cluster)
          const back = { nss, keepExisting: true }
          const name = await cluster.heldRestore('types', backup, 'running', back)
          await faults[what](name)
          await cluster.heal()
          assert.equal((await restoreEnded(cluster, name)).status, 'error')
          await cluster.startMissing()
          await unlocked(cluster)
          await until('nothing to be left aside', async () => {
            const states = Object.values((await routedState(cluster.cluster)).shards)
            return !states.some((dbs) => Object.keys(dbs).some((db) => db.startsWith('pbmkit_staging')))
          })
          assert.deepEqual(others(await routedState(cluster.cluster)), others(before))
          await cluster.agentsWell()
          await restore(cluster, backup, back)
          const { shards, exact } = await routedState(cluster.cluster)
          assert.equal(exact['bank.accounts'], before.exact['bank.accounts'])
          const counts = (state: RoutedState['shards']) => Object.values(state).map(({ bank }) => bank?.accounts?.count)
          assert.deepEqual(counts(shards), counts(then.shards))
          await restore(cluster, backup, { nss })
        })
      }

      for (const table of ['chunks', 'collections']) {
        it(`touches nothing else when the config servers lose their agents as they write ${table}`, async () => {
          await accountsLater()
          const before = await routedState(cluster.cluster)
          await cluster.cluster.setBalancer('full')
          const admin = (await cluster.cluster.config.client()).db('admin')
          const data = {
            failCommands: ['insert'],
            namespace: `config.${table}`,
            blockConnection: true,
            blockTimeMS: DROP_MS,
          }
          await admin.command({ configureFailPoint: 'failCommand', mode: 'alwaysOn', data })
          const name = await sendRestore(cluster.leader, backup, { nss })
          const inserts = { 'command.insert': table, 'command.$db': 'config' }
          await until('the routing tables to be written', async () => {
            const found = admin.aggregate([{ $currentOp: { allUsers: true } }, { $match: inserts }])
            return (await found.toArray()).length > 0
          })
          await faults['the agents of the config servers are killed'](name)
          await admin.command({ configureFailPoint: 'failCommand', mode: 'off' })
          await isOver(name, before)
        })
      }
    })
  })
})
