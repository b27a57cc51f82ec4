import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  compareStates,
  type DatabaseState,
  loadSampleData,
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
  findRestore,
  listBackups,
  type RestoreCommand,
  type RestoreDocument,
} from '@pbmkit/core'
import { type Document, MongoClient } from 'mongodb'
import {
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  sendRestore,
  startCluster,
  until,
} from './cluster.support.js'
import { backUp } from './finished.support.js'
import { storedUntilNow } from './slicing.support.js'

for (const members of [1, 3] as const) {
  describe(`a physical restore of ${members} members`, () => {
    let cluster: Cluster
    let folder: string
    let stopManager: () => Promise<void>
    let was: DatabaseState
    let backup: BackupDocument
    let primary: string

    before(async () => {
      folder = await temporaryFolder('pbmkit-services-')
      await mkdir(join(folder, 'state'))
      cluster = await startCluster({ members, agents: 0, physical: true })
      stopManager = serviceManager(() => cluster.set.members, folder)
      for (const member of cluster.set.members) {
        await cluster.startAgent(member, { env: environment(member.port) })
      }
      await loadSmallData(cluster.admin)
      await loadSampleData(cluster.admin, { oddNames: false })
      await cluster.configure(filesystemConfig(cluster.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n'))
    })
    after(async () => {
      await stopManager()
      await cluster.stop()
    })

    const withClient = async <T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> => {
      const client = await MongoClient.connect(uri)
      return await work(client).finally(() => client.close())
    }
    const state = () => withClient(cluster.set.adminUri, snapshotState)
    const fresh = () => connectLeader(cluster.set.uri({ user: 'pbmuser' }), { appName: 'test' })
    /** Agents begin anew after each restore, and say so. */
    const agentsBack = (times: number) =>
      until('all agents', async () =>
        cluster.agents.every(({ output }) => output().split('started beside').length > times),
      )
    const environment = (port: number) => ({
      PBM_STATE_FOLDER: join(folder, 'state'),
      PBM_MONGOD_START: startCommand(folder, port),
    })
    const send = async (name: string, given: Partial<RestoreCommand> = {}) => {
      const { client } = await fresh()
      return await sendRestore(client, name, given).finally(() => client.close())
    }
    const ended = async (sent: string) => {
      let record: RestoreDocument | undefined
      const look = async () => {
        const found = await fresh().catch(() => undefined)
        if (found !== undefined) record = await findRestore(found.client, sent).catch(() => undefined)
        await found?.client.close()
        return ['done', 'error', 'partlyDone'].includes(record?.status ?? '')
      }
      await until('the end of the restore', look, 90).catch((error: unknown) => {
        throw new Error(`${error}; ${record?.status}\n${outputs(cluster)}`)
      })
      return record
    }
    const restored = async (name: string, given?: Partial<RestoreCommand>) => await ended(await send(name, given))

    it('is made of a member that may be locked', async () => {
      primary = (await cluster.set.primary()).host
      was = await state()
      backup = await backUp(cluster, { type: 'physical' })
      const node = backup.replsets[0]?.node
      assert.equal(node === primary, members === 1, `${node} and ${primary}\n${outputs(cluster)}`)
    })

    it('brings back the time that is asked for, to the UUIDs, by the stored oplog', async () => {
      const random = seededRandom(members)
      const { admin } = cluster
      await randomWork(admin, ['early', 'late'], random, 60)
      await admin.withSession((session) =>
        session.withTransaction(async () => {
          for (const name of ['types', 'orders'])
            await admin.db('work').collection<Document>(name).insertOne({ in: 'a transaction' }, { session })
        }),
      )
      await admin.db('work').collection('types').rename('renamed')
      const time = await clusterTime(cluster.leader)
      const then = await state()
      await admin.db('shop').dropDatabase()
      await randomWork(admin, ['early', 'late'], random, 20)
      await storedUntilNow(cluster)
      const record = await restored(backup.name, { oplogTS: time })
      assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
      assert.equal(record?.pitr, time.t)
      await cluster.set.ready()
      assert.deepEqual(compareStates(then, await state()), [])
      await agentsBack(1)
    })

    it('brings back what was there, to the UUIDs, on every member', async () => {
      await withClient(cluster.set.adminUri, async (admin) => {
        const work = admin.db('work')
        await work.collection('types').drop()
        await work.collection<Document>('orders').deleteMany({})
        await work.collection('later').insertOne({ later: true })
        await work.command({ dropUser: 'clerk' })
      })
      const record = await restored(backup.name)
      assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
      await cluster.set.ready()
      assert.deepEqual(compareStates(was, await state()), [])
      const hashes = await Promise.all(
        cluster.set.members.map((member) =>
          withClient(member.uri(), async (client) => {
            const hello = await client.db('admin').command({ hello: 1 })
            assert.ok(hello.isWritablePrimary || hello.secondary)
            const { md5 } = await client.db('work').command({ dbHash: 1 })
            for (const name of ['types', 'orders']) {
              const { valid, errors } = await client.db('work').command({ validate: name, full: true })
              assert.deepEqual([valid, errors], [true, []])
            }
            const { parsed } = await client.db('admin').command({ getCmdLineOpts: 1 })
            const aside = join(parsed.storage.dbPath, '.pbmkit-restore')
            // Each member removes its own once it has heard how all have ended, so after the record says it.
            await until('the old files to be gone', async () => !existsSync(aside))
            return md5
          }),
        ),
      )
      assert.equal(new Set(hashes).size, 1)
      assert.deepEqual(await readdir(join(folder, 'state')), [])
    })

    it('knows its backups again, and goes on', async () => {
      const { client } = await fresh()
      try {
        await until('the list of backups', async () =>
          (await listBackups(client)).some(({ name }) => name === backup.name),
        )
        await agentsBack(3)
        await backUp({ ...cluster, leader: client })
      } finally {
        await client.close()
      }
    })

    if (members > 1) {
      it('gives the old data back to all where one can not serve the new, and all are to have them', async () => {
        await withClient(cluster.set.adminUri, (admin) => admin.db('work').collection('orders').drop())
        const old = await state()
        await writeFile(join(folder, 'fail'), '')
        const record = await restored(backup.name, { allowPartlyDone: false })
        assert.equal(record?.status, 'error', outputs(cluster))
        assert.match(record?.error ?? '', /restore.allowPartlyDone is off/)
        await cluster.set.ready()
        assert.deepEqual(compareStates(old, await state()), [])
        await until('all to have ended', async () => (await readdir(join(folder, 'state'))).length === 0)
        await agentsBack(4)
      })

      it('goes on with the others where the agent of one was killed', async () => {
        const [agent] = cluster.agents.filter(({ member }) => member.host !== primary)
        assert.ok(agent)
        await withClient(cluster.set.adminUri, (admin) => admin.db('work').collection('orders').drop())
        const sent = await send(backup.name)
        const file = join(folder, 'state', `restore-127.0.0.1_${agent.member.port}.json`)
        await until('its part to begin', async () => existsSync(file))
        await agent.stop('SIGKILL')
        await cluster.startAgent(agent.member, { env: environment(agent.member.port), notReady: true })
        const record = await ended(sent)
        assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
        await cluster.set.ready()
        assert.deepEqual(compareStates(was, await state()), [])
        await until('all to have ended', async () => (await readdir(join(folder, 'state'))).length === 0)
      })
      return
    }

    it('gives the old data back where the new can not be served', async () => {
      await withClient(cluster.set.adminUri, (admin) => admin.db('work').collection('newer').insertOne({ newer: true }))
      const old = await state()
      await writeFile(join(folder, 'fail'), '')
      const record = await restored(backup.name)
      assert.equal(record?.status, 'error', outputs(cluster))
      assert.match(record?.error ?? '', /the start command of the mongod ended with exit code 3/)
      assert.deepEqual(compareStates(old, await state()), [])
    })

    it('goes on where its agent was killed', async () => {
      await agentsBack(4)
      await writeFile(join(folder, 'hold'), '')
      const sent = await send(backup.name)
      await until('the mongod to be started', async () => existsSync(join(folder, 'held')), 60)
      const [agent] = cluster.agents
      assert.ok(agent)
      await agent.stop('SIGKILL')
      await rm(join(folder, 'hold'))
      await cluster.startAgent(agent.member, { env: environment(agent.member.port), notReady: true })
      const record = await ended(sent)
      assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
      assert.deepEqual(compareStates(was, await state()), [])
      assert.deepEqual(await readdir(join(folder, 'state')), [])
    })

    it('touches nothing where an object is damaged', async () => {
      await until('the agent', async () => /started beside/.test(cluster.agents[1]?.output() ?? ''))
      const part = join(cluster.storage, backup.name, 'rs0')
      const damaged = join(part, (await readdir(part)).find((name) => name.startsWith('collection-')) ?? '')
      const bytes = await readFile(damaged)
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
      await writeFile(damaged, bytes)
      const { pid } = await withClient(cluster.set.adminUri, (admin) => admin.db('admin').command({ serverStatus: 1 }))
      const record = await restored(backup.name)
      assert.equal(record?.status, 'error', outputs(cluster))
      assert.match(record?.error ?? '', /is altered.*Nothing of the data was changed/)
      const now = await withClient(cluster.set.adminUri, (admin) => admin.db('admin').command({ serverStatus: 1 }))
      assert.equal(Number(now.pid), Number(pid))
    })
  })
}
