import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { serviceManager, startCommand, temporaryFolder } from '@pbmkit/conformance/testbed'
import {
  type BackupDocument,
  connectLeader,
  findDrill,
  findRestore,
  listChunks,
  type RestoreCommand,
  type RestoreDocument,
  sendCommand,
} from '@pbmkit/core'
import { type ClusterTime, type Document, Long, type MongoClient, type Timestamp, UUID } from 'mongodb'
import { backupEnded, filesystemConfig, outputs, sendBackup, sendRestore, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.support.js'

describe('physical backups of a sharded cluster', function () {
  this.timeout(300_000)

  let bench: ShardedBench
  let folder: string
  let stopManager: () => Promise<void>
  let backup: BackupDocument
  let restores = 0

  before(async () => {
    folder = await temporaryFolder('pbmkit-services-')
    await mkdir(join(folder, 'state'))
    // Under such transactions primaries can't all be locked at once: each keeps the other's lock from being granted.
    bench = await startShardedBench({
      membersPerReplset: 2,
      configMembers: 1,
      physical: true,
      environment: ({ port }) => ({
        PBM_STATE_FOLDER: join(folder, 'state'),
        PBM_MONGOD_START: startCommand(folder, port),
      }),
    })
    stopManager = serviceManager(() => bench.cluster.replsets.flatMap(({ members }) => members), folder)
    await loadAccounts(bench.cluster)
    await bench.configure(filesystemConfig(bench.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n'))
  })
  after(async () => {
    await stopManager()
    await bench.stop()
  })

  const fresh = () => connectLeader(bench.cluster.config.adminUri, { appName: 'test' })
  const restored = async (given: Partial<RestoreCommand> = {}) => {
    const sender = await fresh()
    const sent = await sendRestore(sender.client, backup.name, given).finally(() => sender.client.close())
    let record: RestoreDocument | undefined
    const look = async () => {
      const found = await fresh().catch(() => undefined)
      if (found !== undefined) record = await findRestore(found.client, sent).catch(() => undefined)
      await found?.client.close()
      return ['done', 'error', 'partlyDone'].includes(record?.status ?? '')
    }
    await until('the end of the restore', look, 180).catch((error: unknown) => {
      throw new Error(`${error}; ${record?.status}\n${outputs(bench)}`)
    })
    assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(bench))
    restores++
    await Promise.all(bench.cluster.replsets.map((set) => set.forgetClient()))
    await Promise.all(bench.cluster.replsets.map((set) => set.ready()))
    await bench.cluster.refresh('bank.accounts')
    await until('all agents', async () =>
      bench.agents.every(({ output }) => output().split('started beside').length > restores + 1),
    )
    return record
  }
  const accountsOf = async (id: string) => {
    const client = await bench.cluster.shard(id).set.client()
    return await client.db('bank').collection('accounts').find().sort({ _id: 1 }).toArray()
  }
  /** A transfer that both shards have prepared and none has committed. */
  const prepareTransfer = async () => {
    const id = new UUID().toBinary()
    const parts = await Promise.all(
      [['s1', 1, -7] as const, ['s2', 60, 7] as const].map(async ([shard, _id, by]) => {
        const client = await bench.cluster.shard(shard).set.client()
        const session = client.startSession({ causalConsistency: false })
        session.serverSession.id = { id }
        session.serverSession.txnNumber = 1
        session.serverSession.isDirty = true
        const common = { txnNumber: Long.ONE, autocommit: false }
        const send = (db: string, command: Document) => client.db(db).command({ ...command, ...common }, { session })
        const updates = [{ q: { _id }, u: { $inc: { balance: by } } }]
        const readConcern = { level: 'snapshot' }
        await send('bank', { update: 'accounts', updates, startTransaction: true, readConcern })
        const { prepareTimestamp } = await send('admin', { prepareTransaction: 1, writeConcern: { w: 'majority' } })
        return { shard, send, prepareTimestamp: prepareTimestamp as Timestamp }
      }),
    )
    const [one, other] = parts.map(({ prepareTimestamp }) => prepareTimestamp)
    assert.ok(one !== undefined && other !== undefined)
    const commitTimestamp = one.greaterThan(other) ? one : other
    const commit = async (id: string) => {
      const commit = { commitTransaction: 1, commitTimestamp, writeConcern: { w: 'majority' } }
      await parts.find(({ shard }) => shard === id)?.send('admin', commit)
    }
    return { commit }
  }
  /** What was written until now is no later, on any shard, and what comes is later. */
  const commonTime = async (): Promise<Timestamp> => {
    const clients = await Promise.all(bench.cluster.replsets.map((set) => set.client()))
    const ping = (client: MongoClient, known?: ClusterTime) =>
      client.withSession(async (session) => {
        if (known !== undefined) session.advanceClusterTime(known)
        await client.db('admin').command({ ping: 1 }, { session })
        assert.ok(session.clusterTime)
        return session.clusterTime
      })
    const times = await Promise.all(clients.map((client) => ping(client)))
    const latest = times.reduce((a, b) => (b.clusterTime.greaterThan(a.clusterTime) ? b : a))
    await Promise.all(clients.map((client) => ping(client, latest)))
    return latest.clusterTime
  }
  /** What is acknowledged may still be prepared on the shards, which end that by themselves. */
  const settled = async () => {
    for (const { set } of bench.cluster.shards)
      await until('the end of transactions', async () => {
        const { transactions } = await (await set.client()).db('admin').command({ serverStatus: 1 })
        return Number(transactions.currentPrepared) === 0
      })
  }
  const allAccounts = () => Promise.all(['s1', 's2'].map(accountsOf))

  /** Makes transfers while `work` is done, and at least a few. */
  const transferring = async (work: () => Promise<void> = async () => undefined) => {
    const transfers = new Transfers(bench.cluster)
    const running = transfers.run()
    try {
      await until('transfers', async () => transfers.done > 3)
      await work()
      const before = transfers.done
      await until('more transfers', async () => transfers.done > before + 3)
    } finally {
      transfers.stop()
      await running
    }
  }

  it('are of one time, under transfers between the shards', async () => {
    await transferring(async () => {
      const base = await backUp(bench, { type: 'incremental' })
      backup = await backupEnded(bench, await sendBackup(bench.leader, { type: 'incremental' }), 180)
      assert.equal(backup.src_backup, base.name)
    })
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(bench))
    for (const { last_write_ts } of backup.replsets) assert.ok(last_write_ts.equals(backup.last_write_ts))
  })

  it('give a part back while all shards serve, of what one shard had committed and another had not', async () => {
    await settled()
    const { commit } = await prepareTransfer()
    await commit('s1')
    const { name } = await backUp(bench, { type: 'physical' })
    await commit('s2')
    const then = await allAccounts()
    await Promise.all(
      ['s1', 's2'].map(async (id) => {
        const client = await bench.cluster.shard(id).set.client()
        await client
          .db('bank')
          .collection('accounts')
          .updateMany({}, { $inc: { balance: 1 } })
        await client.db('bank').collection('moving').deleteMany({})
      }),
    )
    await restore(bench, name, { nss: ['bank.accounts'] })
    assert.deepEqual(await allAccounts(), then)
    const other = await bench.cluster.shard('s1').set.client()
    assert.equal(await other.db('bank').collection('moving').countDocuments(), 0)
    await bench.cluster.refresh('bank.accounts')
    assert.deepEqual(await readdir(join(folder, 'state', 'scratch')), [])
  })

  it('are drilled, each replica set by itself', async () => {
    const drill = { backup: backup.name }
    const opid = (await sendCommand(bench.leader, { cmd: 'drill', drill })).toHexString()
    const reports = async () => (await findDrill(bench.leader, opid)).flatMap(({ report }) => report ?? [])
    await until('the drill', async () => (await reports()).length === 3, 90).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(bench)}`)
    })
    const found = (await reports()).map(({ rs, result, faults }) => [rs, result, faults])
    assert.deepEqual(
      found.sort(),
      ['cfg', 's1', 's2'].map((rs) => [rs, 'good', []]),
      outputs(bench),
    )
    assert.deepEqual(await readdir(join(folder, 'state', 'scratch')), [])
  })

  it('bring back the time that is asked for, on all shards', async () => {
    await settled()
    const time = await commonTime()
    const then = await allAccounts()
    await transferring()
    await until('the oplog to be stored', async () => {
      const chunks = await listChunks(bench.leader)
      return ['cfg', 's1', 's2'].every((rs) =>
        chunks.some((chunk) => chunk.rs === rs && chunk.end_ts.greaterThanOrEqual(time)),
      )
    })
    await restored({ oplogTS: time })
    await settled()
    assert.deepEqual(await allAccounts(), then)
  })

  it('bring back every transfer on both shards or on none', async () => {
    await restored()
    await settled()
    assert.equal(await sumOfAccounts(bench.cluster), TOTAL)
    await transferring()
    await settled()
    assert.equal(await sumOfAccounts(bench.cluster), TOTAL)
    const restores = async () => (await readdir(join(folder, 'state'))).filter((name) => name.startsWith('restore-'))
    await until('all to have ended', async () => (await restores()).length === 0)
  })
})
