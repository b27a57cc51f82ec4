import assert from 'node:assert/strict'
import { PluginError } from '../../plugin/errors.js'
import { FaultyStore } from '../../store/wrappers/faulty-store.support.js'
import { ManualClock } from '../../time/manual-clock.support.js'
import { SyncFiles } from './sync-files.js'

const FOLDER = '.pbm.restore/r/'

describe('the files by which members agree on a physical restore', () => {
  let store: FaultyStore
  let clock: ManualClock
  beforeEach(() => {
    store = new FaultyStore()
    clock = new ManualClock()
  })
  const member = (node: string, { isCoordinator = false, rs = 'rs0', replsets = ['rs0'], awayMs = 600_000 } = {}) => {
    const nodes = [`${rs}a:1`, `${rs}b:1`]
    const party = { rs, node, nodes, replsets, leading: 'rs0', isCoordinator }
    return new SyncFiles({ store, restore: 'r', party, signal: new AbortController().signal, clock, awayMs })
  }
  const passing = async <T>(work: Promise<T>, seconds = 5): Promise<T> => {
    let ended = false
    const watched = work.finally(() => {
      ended = true
    })
    watched.catch(() => undefined)
    for (let passed = 0; passed < seconds && !ended; passed++) await clock.advance(1_000)
    assert.ok(ended, 'it still waits')
    return await watched
  }
  const away = (call: string) => {
    store.fault = (called) => (called === call ? new PluginError('STORAGE_UNAVAILABLE', 'away') : undefined)
  }

  it('take all of a replica set on together, by the word of one', async () => {
    const [one, other] = [member('rs0a:1', { isCoordinator: true }), member('rs0b:1')]
    const first = one.reach('starting')
    await clock.advance(2_000)
    assert.equal(store.text(`${FOLDER}cluster.starting`), undefined)
    await passing(Promise.all([first, other.reach('starting')]))
    assert.ok(store.text(`${FOLDER}rs.rs0/rs.starting`))
    assert.ok(store.text(`${FOLDER}cluster.starting`))
  })

  it('take all replica sets of a cluster on together', async () => {
    const replsets = ['rs0', 's1']
    const all = replsets.flatMap((rs) => [
      member(`${rs}a:1`, { rs, replsets, isCoordinator: true }),
      member(`${rs}b:1`, { rs, replsets }),
    ])
    const last = all.pop()
    const others = Promise.all(all.map((one) => one.reach('running')))
    await clock.advance(3_000)
    assert.equal(store.text(`${FOLDER}cluster.running`), undefined)
    await passing(Promise.all([others, last?.reach('running')]))
  })

  it('tell everybody that one has failed', async () => {
    const replsets = ['rs0', 's1']
    const leader = member('rs0a:1', { replsets, isCoordinator: true })
    const shard = member('s1a:1', { rs: 's1', replsets, isCoordinator: true })
    await Promise.all([
      member('rs0b:1').tell('running'),
      member('s1b:1', { rs: 's1', replsets }).tell('error', 'no space'),
    ])
    const leading = leader.reach('running').catch(async (error: Error) => {
      await leader.tellCluster('error', error.message)
      throw error
    })
    const failing = shard.reach('running').catch(async (error: Error) => {
      await shard.tellReplset('error', error.message)
      throw error
    })
    await assert.rejects(passing(failing), /s1b:1: no space/)
    await assert.rejects(passing(leading), /s1: s1b:1: no space/)
    await assert.rejects(passing(member('rs0b:1').reach('running')), /has failed: s1: s1b:1: no space/)
  })

  for (const call of ['read', 'list', 'save'])
    it(`are waited for while the storage is away (${call})`, async () => {
      const one = member('rs0a:1', { isCoordinator: true })
      const waiting = one.reach('starting')
      away(call)
      await clock.advance(120_000)
      store.fault = () => undefined
      await passing(Promise.all([waiting, member('rs0b:1').reach('starting')]))
    })

  it('are given up where the storage stays away', async () => {
    away('read')
    const waiting = passing(member('rs0b:1', { awayMs: 10_000 }).awaitDecision(900_000), 60)
    await assert.rejects(waiting, /the storage can't be read: away/)
  })

  it('tell whose agent is silent', async () => {
    const one = member('rs0a:1', { isCoordinator: true })
    const stop = member('rs0b:1').beat()
    await clock.advance(1_000)
    const waiting = one.awaitNodes(['rs0b:1'], 'down')
    await clock.advance(120_000)
    const stopping = stop()
    await clock.advance(20_000)
    await stopping
    await assert.rejects(passing(waiting, 120), /the agent of rs0b:1 has been silent for 60 s/)
  })

  it('say of one that was done, and has failed when it began again, that it has failed', async () => {
    const one = member('rs0a:1', { isCoordinator: true })
    for (const state of ['done', 'error'] as const) {
      await one.tell(state)
      await one.tellReplset(state)
    }
    assert.equal((await one.outcomes(['rs0a:1'], 0)).get('rs0a:1'), 'error')
    assert.equal((await one.replsetOutcomes(['rs0'], 0)).get('rs0'), 'error')
  })

  it('say how all has ended also where the storage is away for a while', async () => {
    const one = member('rs0a:1', { isCoordinator: true })
    await one.tellCluster('done')
    away('read')
    const asked = one.decision()
    await clock.advance(20_000)
    store.fault = () => undefined
    assert.equal(await passing(asked), 'done')
  })

  it('say how all has ended to whoever comes later', async () => {
    const late = member('rs0b:1')
    assert.equal(await late.decision(), undefined)
    assert.equal(await late.hasReached('copyDone'), false)
    const one = member('rs0a:1', { isCoordinator: true })
    await one.tellCluster('copyDone')
    await one.tellCluster('error', 'no start')
    assert.equal(await late.hasReached('copyDone'), true)
    assert.deepEqual([await late.decision(), await late.clusterError()], ['error', 'no start'])
    assert.equal(await passing(late.awaitAllDown(900_000)), 'error')
  })
})
