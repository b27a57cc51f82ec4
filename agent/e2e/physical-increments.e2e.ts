import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  compareStates,
  type DatabaseState,
  randomWork,
  seededRandom,
  serviceManager,
  snapshotState,
  startCommand,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import {
  type BackupDocument,
  clusterTime,
  connectLeader,
  findBackup,
  isStale,
  listAgents,
  listBackups,
  listLocks,
  sendCommand,
} from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  passSeconds,
  sendBackup,
  startCluster,
  until,
} from './cluster.support.js'
import { restoreFiles, validateAll, withClient } from './physical-restored.support.js'
import { storedUntilNow } from './slicing.support.js'

/** `npm run rounds -- --kinds chain` makes a long one. */
const INCREMENTS = Number(process.env.PBMKIT_CHAIN ?? 3)
const DATABASES = ['early', 'late']

describe('incremental backups', function () {
  this.timeout(60_000 + INCREMENTS * 20_000)
  let cluster: Cluster
  let folder: string
  let stopManager: () => Promise<void>
  let dbPath: string
  const made: { backup: BackupDocument; state: DatabaseState }[] = []
  const random = seededRandom(INCREMENTS)

  before(async () => {
    folder = await temporaryFolder('pbmkit-services-')
    await mkdir(join(folder, 'state'))
    cluster = await startCluster({ members: 1, agents: 0, physical: true })
    stopManager = serviceManager(() => cluster.set.members, folder)
    await begin()
    await loadSmallData(cluster.admin)
    const documents = Array.from({ length: 20_000 }, (_, _id) => ({ _id, n: 0, noise: randomBytes(600) }))
    await cluster.admin.db('work').collection<{ _id: number }>('large').insertMany(documents)
    await cluster.configure(filesystemConfig(cluster.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n'))
    dbPath = (await cluster.admin.db('admin').command({ getCmdLineOpts: 1 })).parsed.storage.dbPath
  })
  after(async () => {
    await stopManager()
    await cluster.stop()
  })

  const begin = async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const env = { PBM_STATE_FOLDER: join(folder, 'state'), PBM_MONGOD_START: startCommand(folder, member.port) }
    return await cluster.startAgent(member, { env })
  }
  const onServer = <T>(work: (client: Cluster['admin']) => Promise<T>) => withClient(cluster.set.adminUri, work)
  const state = () => onServer(snapshotState)
  const withLeader = async <T>(work: (now: Cluster) => Promise<T>): Promise<T> => {
    const { client: leader } = await connectLeader(cluster.set.uri({ user: 'pbmuser' }), { appName: 'test' })
    return await work({ ...cluster, leader }).finally(() => leader.close())
  }
  const backUp = (base = false) =>
    withLeader(async (now) => {
      const backup = await backupEnded(now, await sendBackup(now.leader, { type: 'incremental', base }))
      assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
      return backup
    })
  const restored = async (name: string, given = {}) => {
    const times = cluster.agents.map(({ output }) => output().split('started beside').length)
    const record = await restoreFiles(cluster.set.uri({ user: 'pbmuser' }), name, given)
    if (record.status !== 'error')
      await until('the agent', async () => {
        const running = cluster.agents.at(-1)
        return (running?.output().split('started beside').length ?? 0) > (times.at(-1) ?? 0)
      })
    await cluster.set.forgetClient()
    return record
  }
  const isRestored = async (name: string, given = {}) => {
    const record = await restored(name, given)
    assert.deepEqual([record.status, record.error ?? ''], ['done', ''], outputs(cluster))
    return record
  }
  /** A little of all that changes files: documents, indexes, collections that come and go. */
  const change = (round: number) =>
    onServer(async (client) => {
      const large = client.db('work').collection<{ _id: number; n: number }>('large')
      const ids = Array.from({ length: 20 }, () => random(20_000))
      await large.updateMany({ _id: { $in: ids } }, { $inc: { n: 1 } })
      await randomWork(client, DATABASES, random, 30)
      if (round % 3 === 0) await large.createIndex({ n: 1, [`field${round}`]: 1 })
      if (round % 3 === 1)
        await client
          .db('work')
          .dropCollection('once')
          .catch(() => undefined)
      if (round % 3 === 2) await client.db('work').collection('once').insertOne({ round })
      if (round % 10 === 5) {
        await large.deleteMany({ _id: { $lt: round * 1000 } })
        await client.db('work').command({ compact: 'large', force: true })
      }
    })
  const remember = async (backup: BackupDocument) => made.push({ backup, state: await state() })
  const link = (at: number) => {
    const found = made.at(at)
    assert.ok(found)
    return found
  }

  it('begin with a base, asked for or not', async () => {
    const backup = await backUp()
    await remember(backup)
    assert.equal(backup.src_backup ?? '', '')
    assert.match(outputs(cluster), /is a new base: there is no incremental backup that it could build on/)
  })

  it('store what has changed, each upon the one before', async () => {
    for (let round = 1; round <= INCREMENTS; round++) {
      await change(round)
      const backup = await backUp()
      assert.equal(backup.src_backup, link(-1).backup.name, outputs(cluster))
      await remember(backup)
      assert.ok(backup.size < link(0).backup.size, `${backup.size} of ${link(0).backup.size}`)
      assert.deepEqual(await readdir(join(dbPath, '.pbmkit')).catch(() => []), [])
    }
  })

  it('store next to nothing where next to nothing has changed', async () => {
    await remember(await backUp())
    const [last, base] = [link(-1).backup.size, link(0).backup.size]
    assert.ok(last < base * 0.15, `${last} of ${base}`)
  })

  it('are restored exactly, also from the middle', async () => {
    const { backup, state: was } = link(-2)
    const record = await isRestored(backup.name)
    assert.deepEqual(
      record.bcp_chain,
      made.slice(0, -1).map((one) => one.backup.name),
    )
    assert.deepEqual(compareStates(was, await state()), [])
    await validateAll(cluster.set)
  })

  it('go on after a restore, and lead to a time', async () => {
    await change(1)
    await withLeader((now) =>
      until('the list of backups', async () => (await listBackups(now.leader)).length === made.length),
    )
    const backup = await backUp()
    assert.equal(backup.src_backup, link(-1).backup.name, outputs(cluster))
    await remember(backup)
    await change(2)
    const [time, then] = [await withLeader(({ leader }) => clusterTime(leader)), await state()]
    await change(3)
    await withLeader(storedUntilNow)
    await isRestored(backup.name, { oplogTS: time })
    assert.deepEqual(compareStates(then, await state()), [])
  })

  it('are never built upon one that did not end', async () => {
    const [agent] = cluster.agents
    await change(4)
    const name = await withLeader(async ({ leader }) => {
      await until('the list of backups', async () => (await listBackups(leader)).length === made.length)
      const sent = await sendBackup(leader, { type: 'incremental' })
      await until('some of its objects', async () => existsSync(join(cluster.storage, sent)))
      return sent
    })
    await agent?.stop('SIGKILL')
    assert.ok(!existsSync(join(cluster.storage, `${name}.pbm.json`)), 'it was too fast for this test')
    await begin()
    await withLeader(async (now) => {
      await onServer((admin) => passSeconds({ ...now, admin }, 35))
      await until('its end', async () => (await findBackup(now.leader, name))?.status === 'error', 40)
      await until('the agent to report again', async () => {
        const [reports, time] = await Promise.all([listAgents(now.leader), clusterTime(now.leader)])
        return reports.every(({ hb }) => !isStale(hb, time))
      })
    })
    const backup = await backUp()
    assert.equal(backup.src_backup, link(-1).backup.name, outputs(cluster))
    await remember(backup)
    await isRestored(backup.name)
    assert.deepEqual(compareStates(link(-1).state, await state()), [])
    await validateAll(cluster.set)
  })

  it('are deleted with their base alone', async () => {
    await withLeader(async ({ leader }) => {
      await until('the list of backups', async () => (await listBackups(leader)).length >= made.length)
      const middle = link(1).backup.name
      await sendCommand(leader, { cmd: 'delete', delete: { backup: middle, olderthan: 0, type: '', profile: '' } })
      await until('the refusal', async () => /is an increment upon/.test(outputs(cluster)))
      assert.ok(await findBackup(leader, middle))
    })
  })

  it('begin anew where the base is gone from the storage, and restore none without it', async () => {
    const { backup: base } = link(0)
    const [before, pid] = [await state(), await onServer(pidOf)]
    await rename(join(cluster.storage, base.name), join(folder, 'gone'))
    const record = await restored(link(-1).backup.name)
    assert.equal(record.status, 'error', outputs(cluster))
    assert.match(record.error ?? '', /filelist\.pbm.*Nothing of the data was changed/)
    assert.equal(await onServer(pidOf), pid)
    await withLeader(({ leader }) => until('the lock to be free', async () => (await listLocks(leader)).length === 0))
    const backup = await backUp()
    assert.equal(backup.src_backup ?? '', '')
    assert.match(outputs(cluster), /is a new base: .*filelist\.pbm is not on the storage any more/)
    assert.deepEqual(compareStates(before, await state()), [])
    assert.ok((await readdir(join(cluster.storage, backup.name, 'rs0'))).includes('pbmkit.blocks'))
  })
})

async function pidOf(client: Cluster['admin']): Promise<number> {
  return Number((await client.db('admin').command({ serverStatus: 1 })).pid)
}
