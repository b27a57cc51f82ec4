import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { startStandalone } from '@pbmkit/conformance/testbed'
import { listAgents, listBackups, sendCommand } from '@pbmkit/core'
import { ObjectId, Timestamp } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  objectsOn,
  outputs,
  restoreEnded,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'

const BIN = fileURLToPath(new URL('../src/bin.js', import.meta.url))

/** Each of them would keep an agent from working, were it not its own matter. */
const NOT_FOR_THE_URI = 'w=2&journal=false&maxPoolSize=1&waitQueueTimeoutMS=1&socketTimeoutMS=500&timeoutMS=500'

async function refusedStart(env: NodeJS.ProcessEnv, args: string[] = []): Promise<string> {
  const child = spawn(process.execPath, [BIN, ...args], { env: { PATH: process.env.PATH, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = await once(child, 'exit')
  assert.equal(code, 1, output)
  return output
}

describe('start and catalog of an agent', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ members: 1, agents: 0 })
    const [member] = cluster.set.members
    assert.ok(member)
    await cluster.startAgent(member, { uriOptions: NOT_FOR_THE_URI })
    await loadSmallData(cluster.admin)
  })
  after(() => cluster.stop())

  const [wrongUser, wrongPassword] = ['somebody', 'wr0ng-secret']

  it('refuses what can not work, and never tells the password', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const standalone = await startStandalone()
    const [wrong, none, nobody, scheme, alone] = await Promise.all([
      refusedStart({
        PBM_MONGODB_URI: `mongodb://${wrongUser}:${wrongPassword}@${member.host}/?authSource=admin`,
      }),
      refusedStart({}),
      refusedStart({ PBM_MONGODB_URI: 'mongodb://127.0.0.1:1/' }, ['--wait-for-mongod', '0']),
      refusedStart({ PBM_MONGODB_URI: 'http://x' }),
      refusedStart({ PBM_MONGODB_URI: standalone.uri() }),
    ]).finally(() => standalone.stop())
    assert.match(wrong, /credentials/)
    assert.doesNotMatch(wrong, new RegExp(wrongPassword))
    assert.match(none, /no MongoDB URI/)
    assert.match(nobody, /cannot reach MongoDB/)
    assert.match(scheme, /URI/)
    assert.match(alone, /standalone/)
    assert.doesNotMatch(alone, /waiting up to/)
  })

  // Only there can the command line of another process be read like this.
  if (process.platform === 'linux') {
    it('hides its command line', async () => {
      const [agent] = cluster.agents
      assert.ok(agent)
      const commandLine = await readFile(`/proc/${agent.pid}/cmdline`, 'utf8')
      assert.equal(commandLine.replace(/\0/g, ' ').trim(), 'pbm-agent')
    })
  }

  it('refuses operations without a configuration and names the command that mends it', async () => {
    const advice = /no configuration is set: set one with: pbm config --file/
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.equal(backup.status, 'error')
    assert.match(backup.error ?? '', advice)
    const restore = await restoreEnded(cluster, await cluster.restore(backup.name))
    assert.equal(restore.status, 'error')
    assert.match(restore.error ?? '', advice)
  })

  it('refuses a backup by a method that is not installed', async () => {
    await cluster.configure(filesystemConfig(cluster.storage))
    const backup = await backupEnded(cluster, await cluster.backup({ compression: 'brotli' as 'zstd' }))
    assert.equal(backup.status, 'error')
    assert.match(backup.error ?? '', /brotli.*npm install/s)
  })

  it('finds the backups of a storage at a resync, marks damaged ones, and deletes', async () => {
    const names: string[] = []
    for (const compression of ['zstd', 'none']) {
      const name = await cluster.backup({ compression })
      assert.equal((await backupEnded(cluster, name)).status, 'done', outputs(cluster))
      await unlocked(cluster)
      names.push(name)
    }
    const [first, second] = names
    assert.ok(first !== undefined && second !== undefined)
    const victim = (await objectsOn(cluster.storage)).find((object) => object.startsWith(`${second}/rs0/work.`))
    assert.ok(victim !== undefined)
    await rm(`${cluster.storage}/${victim}`)
    await writeFile(`${cluster.storage}/broken.pbm.json`, '{"name": 3}')
    await cluster.admin.db('admin').collection('pbmBackups').deleteMany({})

    await sendCommand(cluster.leader, { cmd: 'resync' })
    await until('the resync', async () => /\[resync\] succeed/.test(outputs(cluster)))
    const found = await listBackups(cluster.leader)
    assert.deepEqual(
      found.map(({ name, status }) => [name, status]).sort(),
      [
        [first, 'done'],
        [second, 'error'],
      ].sort(),
    )
    assert.match(found.find(({ name }) => name === second)?.error ?? '', /is missing/)
    assert.match(outputs(cluster), /skipped broken\.pbm\.json: key name/)

    for (const backup of names) {
      await sendCommand(cluster.leader, { cmd: 'delete', delete: { backup, olderthan: 0, type: '', profile: '' } })
      await until(
        `${backup} to go`,
        async () => !(await listBackups(cluster.leader)).some(({ name }) => name === backup),
      )
      await unlocked(cluster)
    }
    assert.deepEqual(await objectsOn(cluster.storage), ['.pbm.init', '.pbmkit.storage', 'broken.pbm.json'])
  })

  it('works on after documents that are no commands', async () => {
    const commands = cluster.admin.db('admin').collection('pbmCmd')
    for (const document of [
      { cmd: 'backup', backup: { type: 'logical', name: { a: 2 }, compression: 's2' } },
      { cmd: 'delete', delete: { backup: { x: 1 } } },
      { cmd: 'restore', restore: { name: { a: 3 }, backupName: '2001-01-01T00:00:00Z' } },
      { cmd: 'replay', replay: { name: { a: 1 }, start: 1, end: 'x' } },
      { cmd: 'deletePitr', deletePitr: { olderthan: 'x' } },
      { cmd: { toString: 1 } },
    ]) {
      await commands.insertOne({ ...document, ts: Math.floor(Date.now() / 1000) })
    }
    await until('each to be told', async () => {
      return (
        outputs(cluster)
          .split('\n')
          .filter((line) => line.includes('that is no command')).length >= 6
      )
    })
  })

  it('says that it can not restore an unknown backup', async () => {
    const name = await cluster.restore('2001-01-01T00:00:00Z')
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error')
    assert.match(restore.error ?? '', /There is no backup/)
    await unlocked(cluster)
  })

  it('leaves nothing in pbmAgents and exits with 0', async () => {
    const [agent] = cluster.agents
    assert.doesNotMatch(outputs(cluster), /interrupted|timed out/)
    assert.equal(await agent?.stop('SIGINT'), 0, outputs(cluster))
    assert.deepEqual(await listAgents(cluster.leader), [])
  })

  it('keeps from PBM what an earlier version listed of sealed chunks, once that is old', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const chunks = cluster.leader.db('admin').collection('pbmPITRChunks')
    const bounds = {
      start_ts: new Timestamp({ t: 1_700_000_000, i: 1 }),
      end_ts: new Timestamp({ t: 1_700_000_600, i: 1 }),
    }
    const listed = { rs: 'rs0', compression: 's2', size: 1, encryption: 'aes-gcm', ...bounds }
    await chunks.insertOne({ ...listed, _id: ObjectId.createFromTime(1_700_000_600), fname: 'old' })
    await cluster.startAgent(member)
    await until('the new name', async () => (await chunks.findOne())?.fname === 'old (sealed, for pbmkit alone)')
  })
})
