import assert from 'node:assert/strict'
import { findPitr, listBackups, listChunks, listSlicerLocks, PluginHost, setConfigKeys } from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  outputs,
  passSeconds,
  restoreEnded,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import {
  assertChain,
  assertHoldsOplog,
  nobodySlices,
  slicingAgent,
  startWriting,
  storedUntilNow,
} from './slicing.support.js'

/** Minutes: a chunk each two seconds. */
const SPAN = 2 / 60

describe('three agents that store the oplog', () => {
  const host = new PluginHost({ resolveFrom: import.meta.url })
  let cluster: Cluster
  const set = (key: string, value: string) => setConfigKeys(cluster.leader, [{ key, value }], host)
  const backup = async () => {
    const done = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([done.status, done.error ?? ''], ['done', ''], outputs(cluster))
    return done
  }

  before(async () => {
    cluster = await startCluster()
    await cluster.configure(filesystemConfig(cluster.storage, `pitr:\n  enabled: true\n  oplogSpanMin: ${SPAN}\n`))
  })
  after(() => cluster.stop())

  it('say that they wait for a snapshot', async () => {
    await until('the error', async () => /there is no full snapshot/.test(outputs(cluster)))
    assert.equal((await listChunks(cluster.leader)).length, 0)
  })

  it('begin by themselves after it, and never leave a gap', async () => {
    const writing = startWriting(cluster.admin)
    const base = await backup()
    const agent = await slicingAgent(cluster)
    assert.notEqual(agent.member.host, (await cluster.set.primary()).host, 'a secondary is asked first')
    await storedUntilNow(cluster)
    await writing.stop()
    await storedUntilNow(cluster)
    const chunks = await listChunks(cluster.leader)
    assert.ok(chunks[0]?.start_ts.equals(base.last_write_ts))
    await assertHoldsOplog(cluster, chunks)
    const document = await findPitr(cluster.leader)
    assert.equal(document?.status, 'running')
    assert.equal(document.n[0]?.ack, agent.member.host)
  })

  it('go on through a backup', async () => {
    const writing = startWriting(cluster.admin)
    await backup()
    await storedUntilNow(cluster)
    await writing.stop()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('hand over when the one that slices is stopped: a last chunk, and the next goes on there', async () => {
    const writing = startWriting(cluster.admin)
    const agent = await slicingAgent(cluster)
    assert.equal(await agent.stop('SIGTERM'), 0)
    assert.match(agent.output(), /created chunk(?=(.|\n)*the agent stops)/)
    const next = await slicingAgent(cluster, agent.member.host)
    assert.notEqual(next.member.host, agent.member.host)
    await storedUntilNow(cluster)
    await cluster.startAgent(agent.member)
    await writing.stop()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('take over from one that was killed', async () => {
    const writing = startWriting(cluster.admin)
    const agent = await slicingAgent(cluster)
    await agent.stop('SIGKILL')
    await passSeconds(cluster, 35)
    await slicingAgent(cluster, agent.member.host)
    await storedUntilNow(cluster)
    await cluster.startAgent(agent.member)
    await writing.stop()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('take over from one whose mongod hangs', async () => {
    const writing = startWriting(cluster.admin)
    const { member } = await slicingAgent(cluster)
    member.pause()
    try {
      await slicingAgent(cluster, member.host)
      await storedUntilNow(cluster)
    } finally {
      member.resume()
    }
    await cluster.set.ready()
    await writing.stop()
    await storedUntilNow(cluster)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('never slice twice: a lock taken away, a second agent at the same mongod', async () => {
    const writing = startWriting(cluster.admin)
    const agent = await slicingAgent(cluster)
    const second = await cluster.startAgent(agent.member, { notReady: true })
    await cluster.admin.db('admin').collection('pbmLockOp').deleteMany({})
    await slicingAgent(cluster)
    await storedUntilNow(cluster)
    await second.stop()
    await storedUntilNow(cluster)
    await writing.stop()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('take over when the primary steps down', async () => {
    const writing = startWriting(cluster.admin)
    await cluster.set.stepDown(15)
    await storedUntilNow(cluster)
    await writing.stop()
    await cluster.set.ready()
    await storedUntilNow(cluster)
    assertChain(await listChunks(cluster.leader))
  })

  it('follow the configuration at once', async () => {
    await set('pitr.compression', 'gzip')
    await until('gzip', async () => (await listChunks(cluster.leader)).some(({ fname }) => fname.endsWith('.oplog.gz')))
    await set('pitr.enabled', 'false')
    await nobodySlices(cluster)
    const before = await listChunks(cluster.leader)
    await set('pitr.enabled', 'true')
    await storedUntilNow(cluster)
    assertChain(await listChunks(cluster.leader))
    assert.ok((await listChunks(cluster.leader)).length > before.length)
    const holder = (await slicingAgent(cluster)).member.host
    const other = cluster.set.members.find(({ host: name }) => name !== holder)?.host ?? ''
    await set(`pitr.priority.${other}`, '5')
    await until('the one with the priority', async () => (await listSlicerLocks(cluster.leader))[0]?.node === other)
    await storedUntilNow(cluster)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('stop for a restore, and go on by themselves after the next snapshot', async () => {
    const [newest] = await listBackups(cluster.leader, { status: 'done' })
    const restore = await restoreEnded(cluster, await cluster.restore(newest?.name ?? ''))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    await nobodySlices(cluster)
    await until('the warning', async () => /off since a restore/.test(outputs(cluster)))
    const before = await listChunks(cluster.leader)
    const base = await backup()
    await storedUntilNow(cluster)
    const since = (await listChunks(cluster.leader)).slice(before.length)
    assert.ok(since[0]?.start_ts.equals(base.last_write_ts))
    await assertHoldsOplog(cluster, since)
    await until('the gap to be told', async () => /gap in the stored oplog/.test(outputs(cluster)))
  })
})
