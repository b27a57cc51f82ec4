import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { compareStates, PBM_USER, seededRandom, snapshotState } from '@pbmkit/conformance/testbed'
import { listChunks } from '@pbmkit/core'
import { MongoClient } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  outputs,
  passSeconds,
  restoreEnded,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import {
  assertBalanced,
  IMPATIENT,
  loadAccounts,
  type Moment,
  record,
  startChanges,
  startTransfers,
  WRITTEN,
  type Writer,
} from './point-in-time-chaos.support.js'
import { assertHoldsOplog, nobodySlices, slicingAgent, storedUntilNow } from './slicing.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'
import { type FillableStorage, fillableStorage } from './small-disk.support.js'

/** Minutes: a chunk each three seconds. */
const SPAN = 0.05
const MEGABYTES = 48
const SEED = Number(process.env.PBMKIT_SEED ?? Date.now() % 1_000_000)
/** For waits that a busy machine makes long. */
const PATIENCE = 240

/** One story, in order: everything goes wrong while two writers go on; then each recorded moment is gone back to. */
describe(`points in time from times of trouble (PBMKIT_SEED=${SEED})`, function () {
  this.timeout(2 * PATIENCE * 1_000)
  const random = seededRandom(SEED)
  const moments: Moment[] = []
  let cluster: Cluster
  let storage: FillableStorage
  let client: MongoClient
  let base = ''
  let writers: Writer[] = []

  before(async () => {
    storage = await fillableStorage(MEGABYTES)
    const pluginDir = await slowStoragePlugin()
    cluster = await startCluster({ storage: storage.path, pluginDir, cuttable: true })
    client = await MongoClient.connect(cluster.set.adminUri, IMPATIENT)
    await loadAccounts(client)
    await configure(true)
    writers = [startTransfers(client, SEED), startChanges(client, SEED + 1)]
    base = await cluster.backup()
    const { status, error = '' } = await backupEnded(cluster, base, PATIENCE)
    assert.deepEqual([status, error], ['done', ''], outputs(cluster))
    await stored()
  })
  after(async () => {
    await Promise.all(writers.map((writer) => writer.stop()))
    await client?.close()
    await cluster?.stop()
    storage?.unmount()
  })

  const configure = (enabled: boolean) =>
    cluster.configure(
      `storage:\n  type: slow\n  slow: {path: ${storage.path}}\npitr: {enabled: ${enabled}, oplogSpanMin: ${SPAN}}\n`,
    )
  const stored = () => storedUntilNow(cluster, PATIENCE)

  /** At a moment that nobody chose. */
  async function atSomeMoment(when: string): Promise<void> {
    await sleep(random(1_500))
    moments.push(await record(client, writers, when))
  }

  it('the agent that slices is killed, and starts again', async () => {
    await atSomeMoment('before any trouble')
    const agent = await slicingAgent(cluster)
    await agent.stop('SIGKILL')
    await atSomeMoment('with the slicing agent killed')
    await passSeconds(cluster, 35)
    await cluster.startAgent(agent.member)
    await atSomeMoment('with that agent back')
    await stored()
  })

  it('the primary steps down', async () => {
    await Promise.all([cluster.set.stepDown(15), atSomeMoment('while the primary steps down')])
    await atSomeMoment('under another primary')
    await stored()
  })

  it('the storage fills up, and has room again', async () => {
    const failures = () => outputs(cluster).split("the oplog can't be stored").length
    const before = failures()
    await storage.fill()
    try {
      await until('the slicer to fail', async () => failures() > before, PATIENCE)
      await atSomeMoment('with the storage full')
    } finally {
      await storage.free()
    }
    await atSomeMoment('with room again')
    await stored()
  })

  it('the network to the primary is cut, and mended', async () => {
    const lost = await cluster.set.primary()
    lost.network?.cut()
    try {
      await until('another primary', async () => (await cluster.set.primary()).host !== lost.host, PATIENCE)
      await atSomeMoment('with one member cut off')
    } finally {
      lost.network?.mend()
    }
    await cluster.set.ready()
    await atSomeMoment('with all members back')
    await stored()
  })

  it('nothing is missing of what was written meanwhile', async () => {
    await atSomeMoment('at the end')
    await Promise.all(writers.map((writer) => writer.stop()))
    for (const { done } of writers) assert.ok(done > 0)
    await stored()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
    await configure(false)
    await nobodySlices(cluster)
  })

  it('each moment comes back exactly', async () => {
    assert.equal(moments.length, 10)
    const order = moments.map((moment) => ({ moment, place: random(1_000) })).toSorted((a, b) => a.place - b.place)
    for (const { moment } of order) {
      const { time, state, when } = moment
      // What neither the backup nor the oplog knows would stay.
      for (const name of WRITTEN) await client.db(name).dropDatabase()
      const restore = await restoreEnded(cluster, await cluster.restore(base, time), PATIENCE)
      assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
      await unlocked(cluster)
      const found = compareStates(state, await snapshotState(client), { ignoreUsers: [`admin.${PBM_USER.user}`] })
      assert.deepEqual(found, [], `${when}, at ${time.t},${time.i}`)
      await assertBalanced(client, when)
    }
  })
})
