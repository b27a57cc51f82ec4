import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { backUp } from './finished.support.js'

describe('the lock of a physical backup', () => {
  let cluster: Cluster
  let folder: string
  before(async () => {
    cluster = await startCluster({ members: 1, physical: true })
    await loadSmallData(cluster.admin)
    await cluster.configure(filesystemConfig(cluster.storage, 'backup:\n  physical:\n    maxLockSeconds: 4\n'))
    const { parsed } = await cluster.admin.db('admin').command({ getCmdLineOpts: 1 })
    folder = join(parsed.storage.dbPath, '.pbmkit')
  })
  after(() => cluster.stop())

  const agent = (): AgentProcess => {
    const running = cluster.agents.find((one) => one.running)
    assert.ok(running)
    return running
  }
  const isLocked = async () => {
    const { fsyncLock } = await cluster.admin.db('admin').command({ currentOp: 1 })
    return fsyncLock === true
  }
  const isWritable = async () => {
    assert.equal(await isLocked(), false, outputs(cluster))
    await cluster.admin.db('work').collection<Document>('orders').insertOne({ after: 'the lock' })
  }
  /** Stops the agent when the lock is being asked for: before anything can be copied under it. */
  const heldBackup = async () => {
    const name = await cluster.backup({ type: 'physical' })
    const deadline = Date.now() + 30_000
    while (!existsSync(join(folder, 'lock.json'))) {
      assert.ok(Date.now() < deadline, outputs(cluster))
      await sleep(2)
    }
    agent().signal('SIGSTOP')
    await until('the lock', isLocked)
    return name
  }
  const ended = async (name: string) => {
    await passSeconds(cluster, 35)
    const backup = await backupEnded(cluster, name)
    assert.equal(backup.status, 'error', outputs(cluster))
    await unlocked(cluster)
    const left = (await objectsOn(cluster.storage)).filter((object) => object.startsWith(name))
    assert.deepEqual(left, [])
    return backup.error ?? ''
  }

  it('is held for a moment, and nothing is left of it', async () => {
    const backup = await backUp(cluster, { type: 'physical' })
    assert.equal(backup.type, 'physical')
    const [part] = backup.replsets
    assert.deepEqual(part?.last_write_ts, part?.first_write_ts)
    const objects = (await objectsOn(cluster.storage)).filter((object) => object.startsWith(backup.name))
    assert.ok(objects.includes(`${backup.name}/rs0/WiredTiger.backup.s2`), objects.join('\n'))
    assert.equal(
      objects.some((object) => /\.lock|\.turtle|WiredTiger\.wt|Preplog/.test(object)),
      false,
    )
    assert.equal(existsSync(join(folder, 'copy')), false)
    await isWritable()
  })

  it('is ended when the agent is killed', async () => {
    const name = await heldBackup()
    const { member } = agent()
    await agent().stop('SIGKILL')
    await until('the watchdog to unlock', async () => !(await isLocked()), 5)
    await isWritable()
    assert.equal(existsSync(join(folder, 'lock.json')), false)
    await Promise.all([ended(name), cluster.startAgent(member)])
    await until('the copy to be gone', async () => !existsSync(folder))
  })

  it('is ended when the agent hangs, and what it had copied is no backup', async () => {
    const name = await heldBackup()
    await until('the watchdog to unlock', async () => !(await isLocked()), 15)
    await isWritable()
    agent().signal('SIGCONT')
    assert.match((await backupEnded(cluster, name)).error ?? '', /the lock was ended before everything was copied/)
    await ended(name)
    await until('the copy to be gone', async () => !existsSync(folder))
  })

  it('is ended by the next agent where the watchdog was killed, too', async () => {
    const name = await heldBackup()
    const { pid, member } = agent()
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number)
    const own = await Promise.all(
      children.map(async (child) =>
        (await readFile(`/proc/${child}/comm`, 'utf8')).startsWith('pbm-agent-lock') ? child : [],
      ),
    )
    const [watchdog] = own.flat()
    assert.ok(watchdog)
    process.kill(watchdog, 'SIGKILL')
    await agent().stop('SIGKILL')
    assert.equal(await isLocked(), true)
    await cluster.startAgent(member, { notReady: true })
    await until('the agent to unlock', async () => !(await isLocked()))
    await isWritable()
    await ended(name)
    await until('what is left to be gone', async () => !existsSync(folder))
    await backUp(cluster, { type: 'physical' })
  })
})
