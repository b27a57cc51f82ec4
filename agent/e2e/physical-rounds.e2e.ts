import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  compareStates,
  findOtherMongod,
  serviceManager,
  snapshotState,
  startCommand,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { type BackupDocument, connectLeader } from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  outputs,
  sendBackup,
  startCluster,
  until,
} from './cluster.support.js'
import { stateUnderLock } from './held-lock.support.js'
import { assertCounted, Load } from './physical-load.support.js'
import { hashes, restoreFiles, TEMPORARY, validateAll, withClient } from './physical-restored.support.js'

/** `npm run rounds` says how many, of what, and with which servers: too long for every day. */
const ROUNDS = Number(process.env.PBMKIT_ROUNDS ?? 0)
const KINDS = process.env.PBMKIT_KINDS?.split(',') ?? ['1', '3', 'sharded']
const SERVERS = process.env.PBMKIT_SERVERS?.split(',') ?? ['']

for (const version of SERVERS)
  for (const members of [1, 3] as const) {
    if (ROUNDS === 0 || !KINDS.includes(String(members))) continue
    describe(`physical backups under load: MongoDB ${version || 'of the tests'}, members: ${members}`, function () {
      this.timeout(600_000)
      let cluster: Cluster
      let folder: string
      let stopManager: () => Promise<void>

      before(async () => {
        folder = await temporaryFolder('pbmkit-services-')
        await mkdir(join(folder, 'state'))
        const mongod = version === '' ? undefined : await findOtherMongod(version, console.error)
        const mongodArgs = members === 1 ? ['--directoryperdb', '--wiredTigerDirectoryForIndexes'] : []
        const options = { members, agents: 0, physical: true, mongodArgs }
        cluster = await startCluster({ ...options, ...(mongod !== undefined && { mongod }) })
        stopManager = serviceManager(() => cluster.set.members, folder)
        for (const member of cluster.set.members) {
          const env = {
            PBM_STATE_FOLDER: join(folder, 'state'),
            PBM_MONGOD_START: startCommand(folder, member.port),
            // Of servers that bring libraries of their own.
            ...(mongod !== undefined && { LD_LIBRARY_PATH: dirname(mongod) }),
          }
          await cluster.startAgent(member, { env })
        }
        await cluster.configure(filesystemConfig(cluster.storage))
      })
      after(async () => {
        await stopManager?.()
        await cluster?.stop()
      })

      const backUpOnce = async (): Promise<{
        backup: BackupDocument
        locked: Awaited<ReturnType<typeof stateUnderLock>>
      }> => {
        const { client: leader } = await connectLeader(cluster.set.uri({ user: 'pbmuser' }), { appName: 'test' })
        try {
          const name = await sendBackup(leader, { type: 'physical' })
          let isOver = false
          const ending = backupEnded({ ...cluster, leader }, name, 180).finally(() => {
            isOver = true
          })
          ending.catch(() => undefined)
          const beside = cluster.agents.map((agent) => ({ mongod: agent.member, agent }))
          const locked = await stateUnderLock(beside, () => isOver)
          return { backup: await ending, locked }
        } finally {
          await leader.close()
        }
      }

      for (let round = 1; round <= ROUNDS; round++)
        it(`round ${round}`, async () => {
          const load = new Load(await cluster.set.client(), round)
          await load.start()
          await until('the load', async () => load.done > 100)
          const { backup, locked } = await backUpOnce()
          const then = load.done
          await until('more load', async () => load.done > then + 50)
          await load.stop()
          assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
          const before = cluster.agents.map(({ output }) => output().split('started beside').length)
          const record = await restoreFiles(cluster.set.uri({ user: 'pbmuser' }), backup.name)
          assert.deepEqual([record.status, record.error ?? ''], ['done', ''], outputs(cluster))
          await cluster.set.forgetClient()
          await cluster.set.ready()
          await validateAll(cluster.set)
          const client = await cluster.set.client()
          await assertCounted(client, 2 * round)
          const found = await Promise.all(cluster.set.members.map((member) => withClient(member.uri(), hashes)))
          for (const one of found) assert.deepEqual(one, found[0])
          assert.ok(locked, 'the lock was missed: nothing says what is in the backup')
          const differences = compareStates(locked.state, await snapshotState(client))
          assert.deepEqual(
            differences.filter((line) => !TEMPORARY.test(line)),
            [],
          )
          assert.deepEqual(found[0], locked.hashes)
          await until('all agents', async () =>
            cluster.agents.every(({ output }, index) => output().split('started beside').length > (before[index] ?? 0)),
          )
        })
    })
  }
