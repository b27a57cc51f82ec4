import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  compareStates,
  type DatabaseState,
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
  isStale,
  listAgents,
  type RestoreDocument,
} from '@pbmkit/core'
import { type Document, MongoClient } from 'mongodb'
import {
  type AgentProcess,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  objectsOn,
  outputs,
  passSeconds,
  sendBackup,
  sendRestore,
  startCluster,
  until,
} from './cluster.support.js'
import { backUp } from './finished.support.js'

/** `machine`: all at once, and mongod begins before the agent does, as when a machine boots. */
type Victim = 'agent' | 'mongod' | 'watchdog' | 'machine'

/**
 * Who is killed, and when: a phase of the journal, or before there is one. `fails`: the new data can't be served. `away`: until the agent
 * has given up. `inCi`: the others run by `npm run kills`.
 */
const RESTORES: readonly { victim: Victim; at: string; fails?: true; away?: true; inCi?: true }[] = [
  { victim: 'agent', at: 'files' },
  { victim: 'agent', at: 'down' },
  { victim: 'agent', at: 'aside' },
  { victim: 'agent', at: 'placing', inCi: true },
  { victim: 'agent', at: 'placed' },
  { victim: 'agent', at: 'started' },
  { victim: 'mongod', at: 'files' },
  { victim: 'mongod', at: 'files', away: true },
  { victim: 'mongod', at: 'down' },
  { victim: 'mongod', at: 'placed', inCi: true },
  { victim: 'mongod', at: 'started' },
  { victim: 'machine', at: 'files' },
  { victim: 'machine', at: 'down' },
  { victim: 'machine', at: 'aside', inCi: true },
  { victim: 'machine', at: 'placing' },
  { victim: 'machine', at: 'placed' },
  { victim: 'machine', at: 'started' },
  { victim: 'machine', at: 'undo', fails: true },
  { victim: 'machine', at: 'back', fails: true },
  { victim: 'agent', at: 'undo', fails: true },
  { victim: 'agent', at: 'back', fails: true },
]
const BACKUPS: readonly { victim: Victim; at: string; inCi?: true }[] = [
  { victim: 'agent', at: 'copy' },
  { victim: 'agent', at: 'asked' },
  { victim: 'agent', at: 'locked' },
  { victim: 'agent', at: 'stored' },
  { victim: 'watchdog', at: 'asked', inCi: true },
  { victim: 'watchdog', at: 'locked', inCi: true },
  { victim: 'mongod', at: 'copy' },
  { victim: 'mongod', at: 'asked' },
  { victim: 'mongod', at: 'locked' },
  { victim: 'mongod', at: 'stored' },
  { victim: 'machine', at: 'copy' },
  { victim: 'machine', at: 'locked' },
  { victim: 'machine', at: 'stored' },
]
const isChosen = ({ inCi }: { inCi?: true }) => inCi === true || process.env.PBMKIT_KILLS === 'all'

/** Either the old data runs or the new, never neither, and nothing stays locked or lying about. */
describe('kills in a physical operation', () => {
  let cluster: Cluster
  let folder: string
  let stopManager: () => Promise<void>
  let was: DatabaseState
  let backup: BackupDocument
  let dbPath: string
  let newer = 0

  before(async () => {
    folder = await temporaryFolder('pbmkit-services-')
    await mkdir(join(folder, 'state'))
    cluster = await startCluster({ members: 1, agents: 0, physical: true })
    stopManager = serviceManager(() => cluster.set.members, folder)
    await begin()
    await loadSmallData(cluster.admin)
    await cluster.configure(filesystemConfig(cluster.storage))
    dbPath = (await cluster.admin.db('admin').command({ getCmdLineOpts: 1 })).parsed.storage.dbPath
    was = await state()
    backup = await backUp(cluster, { type: 'physical' })
  })
  after(async () => {
    await stopManager()
    await cluster.stop()
  })

  const member = () => {
    const [one] = cluster.set.members
    assert.ok(one)
    return one
  }
  const begin = async (): Promise<AgentProcess> => {
    const env = { PBM_STATE_FOLDER: join(folder, 'state'), PBM_MONGOD_START: startCommand(folder, member().port) }
    return await cluster.startAgent(member(), { env, notReady: true })
  }
  const agent = () => cluster.agents.find(({ running }) => running)
  const withClient = async <T>(work: (client: MongoClient) => Promise<T>): Promise<T> => {
    const client = await MongoClient.connect(cluster.set.adminUri, { serverSelectionTimeoutMS: 3_000 })
    return await work(client).finally(() => client.close())
  }
  const state = () => withClient(snapshotState)
  const journal = () => {
    try {
      const name = readdirSync(join(folder, 'state')).find((one) => one.endsWith('.json'))
      return name === undefined ? undefined : readFileSync(join(folder, 'state', name), 'utf8')
    } catch {
      return undefined
    }
  }
  const isAt = (at: string, name: string): boolean => {
    if (at === 'files') return existsSync(join(dbPath, '.pbmkit-restore', 'new'))
    if (at === 'copy') return existsSync(join(dbPath, '.pbmkit', 'copy'))
    if (at === 'asked') return existsSync(join(dbPath, '.pbmkit', 'lock.json'))
    if (at === 'locked') {
      try {
        return readFileSync(join(dbPath, '.pbmkit', 'lock.json'), 'utf8').includes('"cursor"')
      } catch {
        return false
      }
    }
    if (at === 'stored') return existsSync(join(cluster.storage, name))
    return journal()?.includes(`"phase":"${at}"`) === true
  }
  /** Whether it was seen. */
  const awaitPhase = async (at: string, name: string, isOver: () => boolean): Promise<boolean> => {
    const deadline = Date.now() + 60_000
    while (Date.now() < deadline && !isOver()) {
      if (isAt(at, name)) return true
      await sleep(1)
    }
    return false
  }
  const kill = async (victim: Victim) => {
    if (victim === 'agent') return void (await agent()?.stop('SIGKILL'))
    if (victim === 'machine') {
      await kill('watchdog')
      await Promise.all([kill('agent'), kill('mongod')])
      // What it finds may be nothing to begin with.
      return void (await member()
        .restart()
        .catch(() => undefined))
    }
    if (victim === 'mongod') {
      const pid = Number((await readFile(join(dbPath, 'mongod.lock'), 'utf8').catch(() => '')).trim())
      if (pid > 0) process.kill(pid, 'SIGKILL')
      return
    }
    const pid = agent()?.pid
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
      .trim()
      .split(' ')
      .map(Number)
    for (const child of children) {
      const name = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '')
      if (name.startsWith('pbm-agent-lock')) process.kill(child, 'SIGKILL')
    }
  }
  const tell = (error: unknown) => {
    throw new Error(`${error}\n${outputs(cluster)}`)
  }
  /** A service manager would start again what was not to end. */
  const serve = async () => {
    if (agent() === undefined) await begin()
    await until(
      'the agent beside a server that writes',
      async () => {
        if (agent() === undefined) await begin()
        const isServing = await withClient((client) =>
          client
            .db('admin')
            .collection<Document>('probe')
            .insertOne({}, { writeConcern: { w: 'majority' } }),
        ).then(
          () => true,
          () => false,
        )
        if (!isServing && journal() === undefined && !isRestarting) {
          isRestarting = true
          await member()
            .restart()
            .finally(() => {
              isRestarting = false
            })
        }
        if (!isServing || journal() !== undefined || !/started beside/.test(agent()?.output() ?? '')) return false
        // Its report of before a restore went with the database, and time was made to pass.
        return await withClient(async (client) => {
          const [reports, now] = [await listAgents(client), await clusterTime(client)]
          return reports.some(({ n, hb }) => n === member().host && !isStale(hb, now))
        })
      },
      60,
    ).catch(tell)
  }
  let isRestarting = false
  /** A restore whose database is back may go on; one that nobody goes on with is marked as failed. */
  const ended = async (sent: string) => {
    let record: RestoreDocument | undefined
    const look = async () => {
      record = await withClient((client) => findRestore(client, sent)).catch(() => record)
      return ['done', 'error', 'partlyDone'].includes(record?.status ?? '')
    }
    await until('the end of the restore', look, 60).catch(tell)
    await serve()
    return record
  }

  for (const { victim, at, fails, away } of RESTORES.filter(isChosen))
    it(`leaves the old data or the new: ${victim}, restore, ${at}${away ? ', for long' : ''}`, async () => {
      await serve()
      await withClient((client) => client.db('work').collection(`newer${newer++}`).insertOne({ newer }))
      const old = await state()
      await (fails === true ? writeFile(join(folder, 'fail'), '') : rm(join(folder, 'fail'), { force: true }))
      const fresh = await connectLeader(cluster.set.adminUri, { appName: 'test' })
      const sent = await sendRestore(fresh.client, backup.name).finally(() => fresh.client.close())
      const isSeen = await awaitPhase(at, sent, () => false)
      await kill(victim)
      assert.ok(isSeen, `${at} was not met\n${outputs(cluster)}`)
      const hasGivenUp = async () => agent()?.output().includes(`E [rs0/${member().host}] [restore/${sent}]`) === true
      if (away === true) await until('the agent to give up', hasGivenUp, 100)
      await serve()
      const record = await ended(sent)
      const now = await state()
      const [isOld, isNew] = [compareStates(old, now).length === 0, compareStates(was, now).length === 0]
      const told = `${record?.status} ${record?.error}; old ${isOld}, new ${isNew}\n${outputs(cluster)}`
      assert.ok(isOld !== isNew, told)
      if (record?.status === 'done') assert.ok(isNew, told)
      if (record?.status === 'error') assert.ok(isOld && (record.error ?? '') !== '', told)
      if (away === true) assert.equal(record?.status, 'error', told)
      const left = (await readdir(dbPath)).filter((name) => name.startsWith('.pbmkit-restore'))
      if (left.length > 0) assert.deepEqual(await readdir(join(dbPath, '.pbmkit-restore')), [], told)
    })

  for (const { victim, at } of BACKUPS.filter(isChosen))
    it(`leaves nothing locked: ${victim}, backup, ${at}`, async () => {
      await serve()
      const old = await state()
      const fresh = await connectLeader(cluster.set.adminUri, { appName: 'test' })
      const one = { ...cluster, leader: fresh.client }
      try {
        const name = await sendBackup(fresh.client, { type: 'physical' })
        const isSeen = await awaitPhase(at, name, () => false)
        await kill(victim)
        assert.ok(isSeen, `${at} was not met\n${outputs(cluster)}`)
        await serve()
        const isClean = async () => !existsSync(join(dbPath, '.pbmkit'))
        await until('the copy to be gone', isClean, 40).catch(tell)
        assert.deepEqual(compareStates(old, await state()), [])
        await withClient((admin) => passSeconds({ ...one, admin }, 35))
        const isGone = async () => {
          const objects = (await objectsOn(cluster.storage)).filter((object) => object.startsWith(name))
          return objects.length === 0 || existsSync(join(cluster.storage, `${name}.pbm.json`))
        }
        await until('the objects of what failed to be gone', isGone, 40).catch(tell)
      } finally {
        await fresh.client.close()
      }
    })

  after(() => rm(folder, { recursive: true, force: true }))
})
