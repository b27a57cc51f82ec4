import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'
import { type BackupDocument, listBackups, sendCommand } from '@pbmkit/core'
import type { Document } from 'mongodb'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  objectsOn,
  outputs,
  passSeconds,
  sendBackup,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { copyFolder, dbPathOf, finishCopy, isLocked, readyToCopy } from './external.support.js'
import { withClient } from './physical-restored.support.js'

describe('an external backup', () => {
  let cluster: Cluster
  let folder: string

  before(async () => {
    folder = await temporaryFolder('pbmkit-external-')
    cluster = await startCluster({ members: 3, physical: true })
    await loadSmallData(cluster.admin)
    await cluster.configure(filesystemConfig(cluster.storage))
  })
  after(() => cluster.stop())

  const partOf = ({ replsets: [part] }: BackupDocument) => {
    assert.ok(part)
    return part
  }
  const agentOf = (backup: BackupDocument): AgentProcess => {
    const found = cluster.agents.find((agent) => agent.running && agent.member.host === partOf(backup).node)
    assert.ok(found)
    return found
  }
  const lockedOn = (backup: BackupDocument) => isLocked(agentOf(backup).member.uri())
  const uriOf = (backup: BackupDocument) => agentOf(backup).member.uri()
  const beside = (backup: BackupDocument) => {
    const dbPath = dbPathOf(partOf(backup))
    return ['pbm.rsmeta.rs0.json', 'filelist.pbm'].filter((name) => existsSync(join(dbPath, name)))
  }
  const failed = async (backup: BackupDocument, message: RegExp) => {
    const uri = uriOf(backup)
    await until('the lock to end', async () => !(await isLocked(uri)), 15)
    const ended = await backupEnded(cluster, backup.name)
    assert.match(ended.error ?? '', message, outputs(cluster))
    await unlocked(cluster)
    await until('the lists to be gone', async () => beside(backup).length === 0)
    assert.deepEqual(
      (await objectsOn(cluster.storage)).filter((object) => object.startsWith(backup.name)),
      [],
    )
    return ended
  }

  it('holds a secondary still until it is said that all is copied', async () => {
    const backup = await readyToCopy(cluster, { filelist: true })
    const part = partOf(backup)
    const primary = (await cluster.set.primary()).host
    assert.notEqual(part.node, primary)
    assert.equal(await lockedOn(backup), true)
    assert.ok((part.locked_until ?? 0) > Date.now() / 1000 + 3_000)
    assert.deepEqual(beside(backup), ['pbm.rsmeta.rs0.json', 'filelist.pbm'])
    assert.ok(existsSync(join(cluster.storage, backup.name, 'rs0', 'filelist.pbm')))
    const told = JSON.parse(await readFile(join(dbPathOf(part), 'pbm.rsmeta.rs0.json'), 'utf8'))
    assert.deepEqual([told.name, told.last_write_ts.T], ['rs0', part.last_write_ts.t])
    await cluster.admin.db('work').collection<Document>('orders').insertOne({ during: 'the copy' })
    // Nothing else begins meanwhile.
    const second = await sendBackup(cluster.leader, { type: 'external' })
    await until('it to be refused', async () => /another operation|is running/.test(outputs(cluster)))
    assert.deepEqual(
      (await listBackups(cluster.leader)).filter(({ name }) => name === second),
      [],
    )
    const copy = join(folder, 'copy')
    await mkdir(copy)
    await copyFolder(dbPathOf(part), copy)
    await finishCopy(cluster, backup.name)
    const ended = await backupEnded(cluster, backup.name)
    assert.deepEqual([ended.status, ended.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(ended.last_write_ts, part.last_write_ts)
    await unlocked(cluster)
    assert.equal(await lockedOn(backup), false)
    assert.deepEqual(beside(backup), [])
    const objects = (await objectsOn(cluster.storage)).filter((object) => object.startsWith(backup.name))
    assert.deepEqual(objects, [`${backup.name}.pbm.json`])
    assert.ok((await readdir(copy)).includes('WiredTiger.backup'))
  })

  it('can be canceled', async () => {
    const backup = await readyToCopy(cluster)
    await sendCommand(cluster.leader, { cmd: 'cancelBackup' })
    assert.equal((await failed(backup, /cancel/)).status, 'canceled')
  })

  it('ends, and the lock with it, when the agent is killed', async () => {
    const backup = await readyToCopy(cluster)
    const agent = agentOf(backup)
    const uri = uriOf(backup)
    await agent.stop('SIGKILL')
    await until('the watchdog to unlock', async () => !(await isLocked(uri)), 5)
    await cluster.startAgent(agent.member)
    await passSeconds(cluster, 35)
    await failed(backup, /no heartbeat/)
  })

  it('ends where the copy takes longer than a member may be locked', async () => {
    await cluster.configure(filesystemConfig(cluster.storage, 'backup:\n  physical:\n    maxExternalLockSeconds: 5\n'))
    await failed(await readyToCopy(cluster), /took longer than 5 s/)
  })

  it('is not begun where no write would be acknowledged any more', async () => {
    const primary = await cluster.set.primary()
    const other = cluster.set.members.find(({ host }) => host !== primary.host)
    const asked = cluster.set.members.find(({ host }) => host !== primary.host && host !== other?.host)
    assert.ok(other && asked)
    await cluster.configure(filesystemConfig(cluster.storage, `backup:\n  priority:\n    '${asked.host}': 5\n`))
    await other.kill()
    // As the one that is asked sees it.
    await until('it to be missed', async () => {
      const { members } = await withClient(asked.uri(), (one) => one.db('admin').command({ replSetGetStatus: 1 }))
      return (members as Document[]).some(({ name, state }) => name === other.host && state === 8)
    })
    const ended = await backupEnded(cluster, await sendBackup(cluster.leader, { type: 'external' }))
    assert.match(ended.error ?? '', /a majority is 2: no write would be acknowledged/, outputs(cluster))
    await other.restart()
    await cluster.agentsWell()
  })
})
