import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  compareStates,
  type DatabaseState,
  findOtherMongod,
  isAtLeast,
  loadSampleData,
  PBM_USER,
  randomWork,
  seededRandom,
  snapshotState,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { clusterTime, type RestoreCommand, sendCommand } from '@pbmkit/core'
import { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, filesystemConfig, restoreEnded, sendRestore, startCluster, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { storedUntilNow } from './slicing.support.js'
import { loadTwoAccounts, sumOfTwoAccounts, TwoAccountTransfers } from './versions.support.js'

/** All that `npm run test:versions` asks for, oldest first; the tests of every day have the oldest alone, and little of it. */
const ASKED = process.env.PBMKIT_SERVERS?.split(',')
const SERVERS = ASKED ?? ['4.4.2']
const PITR = 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'
const DATABASES = ['one', 'two']

interface Kept {
  readonly version: string
  readonly storage: string
  readonly backup: string
  readonly state: DatabaseState
}

/** What older servers have made, for newer ones. */
const kept: Kept[] = []

for (const version of SERVERS) {
  describe(`MongoDB ${version}`, function () {
    this.timeout(300_000)
    const random = seededRandom(7)
    let mongod = ''
    let cluster: Cluster

    before(async function () {
      try {
        mongod = await findOtherMongod(version, console.error)
      } catch (error) {
        if (ASKED !== undefined) throw error
        console.error(`skipped: ${(error as Error).message.split('\n')[0]}`)
        this.skip()
      }
      cluster = await startCluster({ members: 1, agents: 0, mongod, physical: true })
      const [member] = cluster.set.members
      assert.ok(member)
      const scratch = await temporaryFolder('pbmkit-scratch-')
      // It starts such a mongod itself.
      await cluster.startAgent(member, { env: { PBM_SCRATCH_FOLDER: scratch, LD_LIBRARY_PATH: dirname(mongod) } })
      await cluster.configure(filesystemConfig(cluster.storage, PITR))
    })
    after(() => cluster?.stop())

    it('backup and restore', async () => {
      await loadSampleData(cluster.admin, { scale: 0.2 })
      const { name } = await backUp(cluster)
      const before = await snapshotState(cluster.admin)
      for (const db of Object.keys(before.dbs)) await cluster.admin.db(db).dropDatabase()
      await restore(cluster, name)
      assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
      if (ASKED === undefined) return
      const storage = await mkdtemp(join(tmpdir(), 'pbmkit-versions-'))
      await cp(cluster.storage, storage, { recursive: true })
      kept.push({ version, storage, backup: name, state: before })
    })

    it('physical backup, one collection out of it', async () => {
      const before = await snapshotState(cluster.admin)
      const { name, replsets } = await backUp(cluster, { type: 'physical' })
      assert.deepEqual(replsets[0]?.last_write_ts, replsets[0]?.first_write_ts)
      // Those of Wine run in processes that nobody outside sees.
      if (isAtLeast(version, '7.0')) return
      await cluster.admin.db('shop').collection('orders').drop()
      await restore(cluster, name, { nss: ['shop.orders'] })
      const found = compareStates(before, await snapshotState(cluster.admin))
      assert.deepEqual(
        found.filter((line) => !line.startsWith('shop.orders: uuid ')),
        [],
      )
    })

    it('point in time, one collection', async () => {
      // A restore ends point-in-time recovery until the next full backup.
      await randomWork(cluster.admin, DATABASES, random, 60)
      const { name } = await backUp(cluster)
      const moments: { time: Timestamp; state: DatabaseState }[] = []
      for (let n = 0; n < 3; n++) {
        await randomWork(cluster.admin, DATABASES, random, 40)
        moments.push({ state: await snapshotState(cluster.admin), time: await clusterTime(cluster.leader) })
      }
      await storedUntilNow(cluster)
      for (const { state, time } of moments) {
        // What the backup does not know stays.
        for (const db of DATABASES) await cluster.admin.db(db).dropDatabase()
        await restore(cluster, name, { oplogTS: time })
        assert.deepEqual(compareStates(state, await snapshotState(cluster.admin)), [], `at ${time.t},${time.i}`)
      }
      const [first] = moments
      assert.ok(first)
      const [ns] = Object.entries(first.state.dbs.one ?? {}).flatMap(([collection, { type }]) =>
        type === 'collection' && !collection.startsWith('system.') ? [`one.${collection}`] : [],
      )
      assert.ok(ns, 'one has a collection')
      const chosen: Partial<RestoreCommand> = { nss: [ns], oplogTS: first.time }
      const before = await snapshotState(cluster.admin)
      await restore(cluster, name, chosen)
      const collection = ns.slice('one.'.length)
      const now = await snapshotState(cluster.admin)
      assert.deepEqual(now.dbs.one?.[collection]?.sha256, first.state.dbs.one?.[collection]?.sha256)
      assert.deepEqual(now.dbs.two, before.dbs.two)
    })

    if (ASKED === undefined) return

    it('backups of older servers', async () => {
      let admin = await MongoClient.connect(cluster.set.adminUri)
      for (const { version: older, storage, backup, state } of kept.filter((one) => one.version !== version)) {
        await cluster.configure(filesystemConfig(storage))
        for (const db of [...DATABASES, ...Object.keys(state.dbs)]) await admin.db(db).dropDatabase()
        await sendCommand(cluster.leader, { cmd: 'resync' })
        await until(
          `the backup of ${older} to be listed`,
          async () =>
            (await cluster.leader
              .db('admin')
              .collection('pbmBackups')
              .countDocuments({ name: backup, status: 'done' })) > 0,
        )
        await restore(cluster, backup)
        await admin.close()
        // Its users are those of the backup now, and whoever was logged in before is not any more.
        admin = await MongoClient.connect(cluster.set.adminUri)
        const found = compareStates(state, await snapshotState(admin), {
          ignoreUsers: [`admin.${PBM_USER.user}`],
        })
        const own = found.filter((line) => !/(?:^|: )role admin\./.test(line))
        // Newer servers keep these bounds as doubles, and make the rules of buckets themselves.
        const theirs = /: index flat: (?:min|max) |system\.buckets\.\w+: option validator /
        assert.deepEqual(
          own.filter((line) => !theirs.test(line)),
          [],
          older,
        )
      }
      await admin.close()
    })

    describe('sharded', () => {
      let bench: ShardedBench
      before(async () => {
        bench = await startShardedBench({ shards: 2, mongod })
        await bench.configure(filesystemConfig(bench.storage, PITR))
      })
      after(() => bench?.stop())

      if (!isAtLeast(version, '5.0')) {
        it('backup; a restore is refused', async () => {
          await loadTwoAccounts(bench.cluster)
          const { name } = await backUp(bench)
          const before = await sumOfTwoAccounts(bench.cluster)
          const refused = await restoreEnded(bench, await sendRestore(bench.leader, name))
          assert.equal(refused.status, 'error')
          assert.match(refused.error ?? '', /a sharded cluster of MongoDB 4\..* can't be restored/)
          assert.equal(await sumOfTwoAccounts(bench.cluster), before)
        })
        return
      }

      it('backup, point in time', async () => {
        await loadTwoAccounts(bench.cluster)
        const { name } = await backUp(bench)
        await slicedEverywhere(bench)
        const transfers = new TwoAccountTransfers(bench.cluster)
        const began = await clusterTime(bench.leader)
        await transfers.run(4_000)
        assert.ok(transfers.done > 10, `only ${transfers.done} transfers`)
        const ended = await clusterTime(bench.leader)
        await storedUpTo(bench, ended)
        await restore(bench, name)
        const whole = await sumOfTwoAccounts(bench.cluster)
        for (let n = 1; n <= 3; n++) {
          const time = new Timestamp({ t: began.t + Math.ceil(((ended.t - began.t) * n) / 4), i: 5 })
          await restore(bench, name, { oplogTS: time })
          assert.equal(await sumOfTwoAccounts(bench.cluster), whole, `at ${time.t},${time.i}`)
        }
      })
    })
  })
}

after(async () => {
  for (const { storage } of kept) await rm(storage, { recursive: true, force: true })
})
