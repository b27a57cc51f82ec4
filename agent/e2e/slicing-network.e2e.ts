import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { listChunks, listSlicerLocks } from '@pbmkit/core'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  outputs,
  passSeconds,
  startCluster,
  until,
} from './cluster.support.js'
import { assertHoldsOplog, noStrays, slicingAgent, startWriting, storedUntilNow } from './slicing.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

/** Minutes: a chunk each second. */
const SPAN = 1 / 60

/** Connections that stand still without a word, while the agent that uses them lives and the storage answers. */
describe('slicing across a network that is cut', function () {
  // Two waits of a minute or two on a busy machine.
  this.timeout(300_000)
  let cluster: Cluster
  let writing: { stop(): Promise<number> }

  before(async () => {
    cluster = await startCluster({ networks: true, cuttable: true, pluginDir: await slowStoragePlugin() })
    await cluster.configure(
      `storage:\n  type: slow\n  slow: {path: ${cluster.storage}}\npitr: {enabled: true, oplogSpanMin: ${SPAN}}\n`,
    )
    const { status, error = '' } = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([status, error], ['done', ''], outputs(cluster))
    await storedUntilNow(cluster)
  })
  after(() => cluster?.stop())
  beforeEach(() => {
    writing = startWriting(cluster.admin)
  })
  afterEach(async () => {
    for (const { network } of cluster.agents) network?.mend()
    for (const { network } of cluster.set.members) network?.mend()
    await writing.stop()
  })

  /** No gap, no overlap, and nothing on the storage that is not listed. */
  async function assertWhole(): Promise<void> {
    await writing.stop()
    await storedUntilNow(cluster)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
    await noStrays(cluster)
  }

  /** In the middle of a chunk, which it can end only when it is let go. */
  async function inMidChunk(): Promise<{ agent: AgentProcess; letGo(): Promise<void> }> {
    const agent = await slicingAgent(cluster)
    const hold = `${cluster.storage}.hold-chunk.${agent.pid}`
    const mark = `${cluster.storage}.held`
    await rm(mark, { force: true })
    await writeFile(hold, '')
    await until('a chunk to stand still', async () => existsSync(mark))
    return { agent, letGo: () => rm(hold) }
  }

  async function takenOver(from: AgentProcess): Promise<void> {
    const next = await slicingAgent(cluster, from.member.host)
    assert.notEqual(next.member.host, from.member.host)
    await storedUntilNow(cluster)
  }

  it('between the agent and the whole cluster, in mid-chunk: another goes on, and its late chunk goes', async () => {
    const { agent, letGo } = await inMidChunk()
    agent.network?.cut()
    await passSeconds(cluster, 35)
    await takenOver(agent)
    await letGo()
    const isLate = async () => /can't be listed yet|lock|stops storing/.test(agent.output())
    await until('the one cut off to end its chunk or to give up', isLate)
    agent.network?.mend()
    await until('it to notice', async () => /storing the oplog ended: .*lock/.test(agent.output()))
    await assertWhole()
  })

  it('between the agent and its mongod only, in mid-chunk, and connections break in the end', async () => {
    const { agent, letGo } = await inMidChunk()
    agent.network?.cut(agent.member.host)
    await letGo()
    // It has its lock, and tells the others that its mongod does not answer.
    await until(
      'another to take over',
      async () => {
        const [lock] = await listSlicerLocks(cluster.leader)
        return lock !== undefined && lock.node !== agent.member.host
      },
      120,
    )
    await storedUntilNow(cluster)
    agent.network?.reset()
    await assertWhole()
  })

  it('between the primary and everybody', async () => {
    const lost = await cluster.set.primary()
    lost.network?.cut()
    await until('another primary', async () => (await cluster.set.primary()).host !== lost.host, 120)
    await storedUntilNow(cluster, 120)
    lost.network?.mend()
    await cluster.set.ready()
    await assertWhole()
  })
})
