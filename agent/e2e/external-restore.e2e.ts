import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
  listChunks,
  listLocks,
  type RestoreCommand,
  type RestoreDocument,
  sendCommand,
} from '@pbmkit/core'
import type { Document, Timestamp } from 'mongodb'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  sendRestore,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { copyFolder, dbPathOf, finishCopy, readyToCopy } from './external.support.js'
import { withClient } from './physical-restored.support.js'
import { storedUntilNow } from './slicing.support.js'

describe('a restore of external files', () => {
  let cluster: Cluster
  let folder: string
  let copy: string
  let stopManager: () => Promise<void>
  let was: DatabaseState
  let later: DatabaseState
  let time: Timestamp
  let backup: BackupDocument
  const dbPaths = new Map<string, string>()

  before(async () => {
    folder = await temporaryFolder('pbmkit-services-')
    copy = join(folder, 'copy')
    for (const name of ['state', 'copy']) await mkdir(join(folder, name))
    cluster = await startCluster({ members: 3, agents: 0, physical: true })
    stopManager = serviceManager(() => cluster.set.members, folder)
    for (const member of cluster.set.members) await begin(member)
    await loadSmallData(cluster.admin)
    const pitr = 'pitr:\n  enabled: true\n  oplogOnly: true\n  oplogSpanMin: 0.05\n'
    await cluster.configure(filesystemConfig(cluster.storage, pitr))
    for (const member of cluster.set.members) {
      const { parsed } = await withClient(member.uri(), (client) => client.db('admin').command({ getCmdLineOpts: 1 }))
      dbPaths.set(member.host, parsed.storage.dbPath)
    }
  })
  after(async () => {
    await stopManager()
    await cluster.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const begin = (member: AgentProcess['member'], notReady = false) =>
    cluster.startAgent(member, {
      env: { PBM_STATE_FOLDER: join(folder, 'state'), PBM_MONGOD_START: startCommand(folder, member.port) },
      notReady,
    })
  const state = () => withClient(cluster.set.adminUri, snapshotState)
  const fresh = () => connectLeader(cluster.set.uri({ user: 'pbmuser' }), { appName: 'test' })
  const change = () =>
    withClient(cluster.set.adminUri, async (admin) => {
      await admin.db('work').collection('types').drop()
      await admin.db('work').collection('later').insertOne({ later: true })
    })
  const allAgents = async () => {
    await until('all agents', async () =>
      cluster.set.members.every(({ host }) =>
        cluster.agents.some(
          ({ running, member, output }) => running && member.host === host && /started beside/.test(output()),
        ),
      ),
    )
  }
  const told = (restore: string, name: string) => join(cluster.storage, '.pbm.restore', restore, name)
  /** Sends it, and waits until files may be copied. */
  const readyForFiles = async (name: string, given: Partial<RestoreCommand> = {}): Promise<string> => {
    await allAgents()
    const { client } = await fresh()
    const sent = await sendRestore(client, name, { external: true, ...given }).finally(() => client.close())
    const isReady = async () => {
      if (existsSync(told(sent, 'cluster.error'))) throw new Error(outputs(cluster))
      return existsSync(told(sent, 'cluster.copyReady'))
    }
    await until('the members to be ready for files', isReady, 60).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(cluster)}`)
    })
    for (const path of dbPaths.values())
      assert.deepEqual(
        (await readdir(path)).filter((one) => one.endsWith('.wt')),
        [],
      )
    return sent
  }
  const copyIntoAll = async (leaveOut: readonly string[] = []) => {
    for (const path of dbPaths.values()) {
      await copyFolder(copy, path)
      for (const name of leaveOut) await rm(join(path, name))
    }
  }
  const finished = async (sent: string): Promise<RestoreDocument | undefined> => {
    await writeFile(told(sent, 'cluster.copyDone'), String(Math.floor(Date.now() / 1000)))
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
    await cluster.set.ready()
    await until('all to have ended', async () => (await readdir(join(folder, 'state'))).length === 0)
    for (const path of dbPaths.values())
      await until('the old files to be gone', async () => !existsSync(join(path, '.pbmkit-restore')))
    return record
  }

  it('has a copy of a locked member', async () => {
    was = await state()
    const ready = await readyToCopy(cluster)
    const [part] = ready.replsets
    assert.ok(part)
    await copyFolder(dbPathOf(part), copy)
    await finishCopy(cluster, ready.name)
    backup = await backupEnded(cluster, ready.name)
    assert.equal(backup.status, 'done', outputs(cluster))
    await unlocked(cluster)
    await cluster.admin.db('work').collection<Document>('orders').insertOne({ later: 'by the oplog' })
    time = await clusterTime(cluster.leader)
    later = await state()
    await storedUntilNow(cluster)
  })

  it('takes what was copied into the emptied places of all members', async () => {
    await change()
    const sent = await readyForFiles(backup.name)
    await copyIntoAll()
    const record = await finished(sent)
    assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(was, await state()), [])
    for (const path of dbPaths.values())
      assert.deepEqual(
        (await readdir(path)).filter((name) => /^pbm\.|filelist/.test(name)),
        [],
      )
    await allAgents()
    const { client } = await fresh()
    try {
      await until('the stored oplog to be known', async () => (await listChunks(client)).length > 0)
      await until('nothing to be locked', async () => (await listLocks(client)).length === 0)
      const name = new Date().toISOString().replace('Z', '000000Z')
      await sendCommand(client, { cmd: 'replay', replay: { name, start: backup.last_write_ts, end: time } })
      const isOver = async () => ['done', 'error'].includes((await findRestore(client, name))?.status ?? '')
      await until('the end of the replay', isOver)
      assert.deepEqual((await findRestore(client, name))?.error ?? '', '', outputs(cluster))
    } finally {
      await client.close()
    }
    assert.deepEqual(compareStates(later, await state()), [])
  })

  it('goes on with new agents where these ended meanwhile, and without anything that tells of the files', async () => {
    await change()
    const sent = await readyForFiles('', { exit: true })
    await until('the agents to end', async () => cluster.agents.every(({ running }) => !running))
    await copyIntoAll(['filelist.pbm', 'pbm.rsmeta.rs0.json'])
    for (const member of cluster.set.members) await begin(member, true)
    const record = await finished(sent)
    assert.deepEqual([record?.status, record?.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(was, await state()), [])
  })

  it('brings the old files back where not all was copied, also after an agent was killed', async () => {
    await change()
    const old = await state()
    const sent = await readyForFiles(backup.name)
    const agent = cluster.agents.find(({ running }) => running)
    await agent?.stop('SIGKILL')
    await copyIntoAll(['sizeStorer.wt'])
    assert.ok(agent)
    await begin(agent.member, true)
    const record = await finished(sent)
    assert.equal(record?.status, 'error', outputs(cluster))
    assert.match(record?.error ?? '', /sizeStorer\.wt was not copied/)
    assert.deepEqual(compareStates(old, await state()), [])
  })
})
