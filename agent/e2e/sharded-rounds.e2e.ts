import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  findOtherMongod,
  isAtLeast,
  randomWork,
  seededRandom,
  serviceManager,
  startCommand,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import type { Document, Timestamp } from 'mongodb'
import { backupEnded, filesystemConfig, outputs, sendBackup, until } from './cluster.support.js'
import { hashes, restoreFiles, validateAll, withClient } from './physical-restored.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.support.js'

/** See physical-rounds.e2e.ts. */
const ROUNDS = Number(process.env.PBMKIT_ROUNDS ?? 0)
const KINDS = process.env.PBMKIT_KINDS?.split(',') ?? ['sharded']
const SERVERS = process.env.PBMKIT_SERVERS?.split(',') ?? ['']
const SHARDS = ['s1', 's2'] as const

for (const version of SERVERS) {
  if (ROUNDS === 0 || !KINDS.includes('sharded')) continue
  // Chunks are moved, for which servers before need much that only mongos knows.
  if (version !== '' && !isAtLeast(version, '6.0')) continue
  describe(`physical backups under load: MongoDB ${version || 'of the tests'}, sharded`, function () {
    this.timeout(600_000)
    let bench: ShardedBench
    let folder: string
    let stopManager: () => Promise<void>

    before(async () => {
      folder = await temporaryFolder('pbmkit-services-')
      await mkdir(join(folder, 'state'))
      const mongod = version === '' ? undefined : await findOtherMongod(version, console.error)
      // Under such transactions primaries can't all be locked at once.
      bench = await startShardedBench({
        ...{ membersPerReplset: 2, configMembers: 1, physical: true, mongod },
        environment: ({ port }) => ({
          PBM_STATE_FOLDER: join(folder, 'state'),
          PBM_MONGOD_START: startCommand(folder, port),
          ...(mongod !== undefined && { LD_LIBRARY_PATH: dirname(mongod) }),
        }),
      })
      stopManager = serviceManager(() => bench.cluster.replsets.flatMap(({ members }) => members), folder)
      await loadAccounts(bench.cluster)
      await bench.cluster.createDatabase('one', 's1')
      await bench.cluster.createDatabase('two', 's2')
      await bench.configure(filesystemConfig(bench.storage))
    })
    after(async () => {
      await stopManager?.()
      await bench?.stop()
    })

    const clientOf = (id: string) => bench.cluster.shard(id).set.client()
    const accounts = async (at?: Timestamp) =>
      await Promise.all(
        SHARDS.map(async (id) => {
          const readConcern = at === undefined ? {} : { readConcern: { level: 'snapshot', atClusterTime: at } }
          const find = { find: 'accounts', sort: { _id: 1 }, batchSize: 1_000, ...readConcern }
          return (await (await clientOf(id)).db('bank').command(find)).cursor.firstBatch as Document[]
        }),
      )
    const settled = async () => {
      for (const { set } of bench.cluster.shards)
        await until('the end of transactions', async () => {
          const { transactions } = await (await set.client()).db('admin').command({ serverStatus: 1 })
          return Number(transactions.currentPrepared) === 0
        })
    }
    /** On both shards, beside transfers between them. */
    const loading = async (round: number, work: () => Promise<void>) => {
      const transfers = new Transfers(bench.cluster)
      const running = [transfers.run()]
      const stopped = new AbortController()
      for (const [id, db] of [['s1', 'one'] as const, ['s2', 'two'] as const]) {
        const random = seededRandom(round)
        const client = await clientOf(id)
        const go = async () => {
          while (!stopped.signal.aborted) await randomWork(client, [db], random, 5)
        }
        running.push(go())
      }
      try {
        await until('transfers', async () => transfers.done > 5)
        await work()
        const before = transfers.done
        await until('more transfers', async () => transfers.done > before + 5)
      } finally {
        transfers.stop()
        stopped.abort()
        await Promise.all(running)
      }
    }

    for (let round = 1; round <= ROUNDS; round++)
      it(`round ${round}`, async () => {
        const leader = await withClient(bench.cluster.config.adminUri, async (client) => {
          let name = ''
          await loading(round, async () => {
            name = await sendBackup(client, { type: 'physical' })
            await backupEnded({ ...bench, leader: client }, name, 240)
          })
          return await backupEnded({ ...bench, leader: client }, name)
        })
        assert.deepEqual([leader.status, leader.error ?? ''], ['done', ''], outputs(bench))
        await settled()
        const expected = await accounts(leader.last_write_ts)
        const before = bench.agents.map(({ output }) => output().split('started beside').length)
        const record = await restoreFiles(bench.cluster.config.adminUri, leader.name, {}, 240)
        assert.deepEqual([record.status, record.error ?? ''], ['done', ''], outputs(bench))
        await Promise.all(bench.cluster.replsets.map((set) => set.forgetClient()))
        await Promise.all(bench.cluster.replsets.map((set) => set.ready()))
        await bench.cluster.refresh('bank.accounts')
        await settled()
        assert.equal(await sumOfAccounts(bench.cluster), TOTAL)
        assert.deepEqual(await accounts(), expected)
        for (const set of bench.cluster.replsets) {
          await validateAll(set)
          const found = await Promise.all(set.members.map((member) => withClient(member.uri(), hashes)))
          for (const one of found) assert.deepEqual(one, found[0])
        }
        await until('all agents', async () =>
          bench.agents.every(({ output }, index) => output().split('started beside').length > (before[index] ?? 0)),
        )
      })
  })
}
