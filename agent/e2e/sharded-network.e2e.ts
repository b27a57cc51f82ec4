import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { balancerStatus, clusterTime, listBackups, listChunks, listLiveLocks, optime, timelines } from '@pbmkit/core'
import { backupEnded, objectsOn, outputs, sendBackup, until } from './cluster.support.js'
import { backUp } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { loadAccounts } from './sharded-transfers.support.js'
import { assertChain, startWriting } from './slicing.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

/** Minutes: a chunk each second. */
const SPAN = 1 / 60

/** The agent of a shard lives, reaches its mongod and the storage, and for a while nothing of the config servers. */
describe('a shard that is cut off from the config servers', function () {
  // It takes half a minute until an agent counts as dead.
  this.timeout(180_000)
  let bench: ShardedBench
  let base = ''
  const writing: { stop(): Promise<number> }[] = []

  before(async () => {
    bench = await startShardedBench({
      shards: [{ name: 's1' }, { name: 'second', id: 's2' }],
      networks: true,
      pluginDir: await slowStoragePlugin(),
    })
    await bench.configure(
      `storage:\n  type: slow\n  slow: {path: ${bench.storage}}\npitr: {enabled: true, oplogSpanMin: ${SPAN}}\n`,
    )
    await loadAccounts(bench.cluster)
    base = await backupWorks()
    for (const { set } of bench.cluster.shards) writing.push(startWriting(await set.client()))
    await storedUntilNow()
  })
  after(async () => {
    await Promise.all(writing.map((one) => one.stop()))
    await bench?.stop()
  })
  afterEach(() => {
    for (const { network } of bench.agents) network?.mend()
  })

  async function backupWorks(): Promise<string> {
    await bench.agentsWell()
    return (await backUp(bench)).name
  }

  async function storedUntilNow(): Promise<void> {
    const now = await clusterTime(bench.leader)
    await until('the oplog of every replica set to be stored', async () => {
      const chunks = await listChunks(bench.leader)
      return bench.cluster.replsets.every(({ name }) =>
        chunks.some(({ rs, end_ts }) => rs === name && end_ts.greaterThanOrEqual(now)),
      )
    }).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(bench)}`)
    })
  }

  /** One range from the first backup until now, and no gap within it on any replica set. */
  async function assertWhole(): Promise<void> {
    await storedUntilNow()
    const now = await clusterTime(bench.leader)
    await storedUntilNow()
    const chunks = await listChunks(bench.leader)
    for (const { name } of bench.cluster.replsets) assertChain(chunks.filter(({ rs }) => rs === name))
    const { ranges } = timelines(chunks, await listBackups(bench.leader))
    assert.equal(
      ranges.length,
      1,
      JSON.stringify(ranges, (_key, value) => String(value)),
    )
    assert.ok((ranges[0]?.end ?? 0n) >= optime(now))
  }

  async function backupOnHold(): Promise<string> {
    await rm(`${bench.storage}.held`, { force: true })
    await writeFile(`${bench.storage}.hold-types`, '')
    const name = await sendBackup(bench.leader)
    await until('the backup to stand still', async () => existsSync(`${bench.storage}.held`)).catch(
      (error: unknown) => {
        throw new Error(`${error}\n${outputs(bench)}`)
      },
    )
    return name
  }

  it('during a backup: it ends everywhere, and the next one works; no piece of the oplog is missing in the end', async () => {
    await bench.cluster.setBalancer('full')
    const [agent] = bench.agentsOf('s1')
    assert.ok(agent)
    const name = await backupOnHold()
    agent.network?.cut(...bench.cluster.config.members.map(({ host }) => host))
    const ended = await backupEnded(bench, name)
    assert.equal(ended.status, 'error', outputs(bench))
    assert.match(ended.error ?? '', /s1.* no heartbeat/)
    // The others do not wait for the one that is away.
    await until('the other replica sets to let go', async () => {
      const locks = await listLiveLocks(bench.leader)
      return locks.length === 0
    })
    for (const { name: rs } of bench.cluster.replsets) {
      const part = ended.replsets.find((one) => one.name === rs)
      assert.ok(part !== undefined && part.status !== 'done', `${rs} is ${part?.status}`)
    }
    assert.equal((await balancerStatus(bench.leader)).mode, 'full')
    await rm(`${bench.storage}.hold-types`)
    await until('the one that is away to give up', async () => /backup failed: /.test(agent.output())).catch(
      (error: unknown) => {
        throw new Error(`${error}\n${agent.output()}`)
      },
    )
    const before = new Set((await listChunks(bench.leader)).filter(({ rs }) => rs === 's1').map(({ fname }) => fname))
    agent.network?.mend()
    await until('the shard to store its oplog again', async () =>
      (await listChunks(bench.leader)).some(({ rs, fname }) => rs === 's1' && !before.has(fname)),
    ).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(bench)}`)
    })
    await until(
      'the objects of the backup to be gone',
      async () => !(await objectsOn(bench.storage)).some((object) => object.startsWith(name)),
    )
    assert.notEqual(await backupWorks(), base)
    await assertWhole()
  })
})
