import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { readFile, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnSupervised, temporaryFolder } from '@pbmkit/conformance/testbed'
import { listAgents } from '@pbmkit/core'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  outputs,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'

const BIN = fileURLToPath(new URL('../src/bin.js', import.meta.url))

describe('the log of an agent', () => {
  let cluster: Cluster
  let folder: string
  before(async () => {
    cluster = await startCluster({ members: 1, agents: 0 })
    folder = await temporaryFolder('pbmkit-agent-log-')
  })
  after(() => cluster.stop())

  const backsUp = async () => {
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
  }

  // A device that is always full.
  if (process.platform === 'linux') {
    it('on a full disk keeps no agent from its work, and is opened anew upon SIGHUP', async () => {
      const [member] = cluster.set.members
      assert.ok(member)
      const path = join(folder, 'agent.log')
      await symlink('/dev/full', path)
      const agent = await cluster.startAgent(member, { notReady: true, args: ['--log-path', path] })
      await until('its report', async () => (await listAgents(cluster.leader)).length > 0)
      await cluster.configure(filesystemConfig(cluster.storage))
      await backsUp()

      const has = (text: string) => async () => (await readFile(path, 'utf8').catch(() => '')).includes(text)
      await rm(path)
      agent.signal('SIGHUP')
      await until('what could not be written', has('backup finished'))
      await rename(path, `${path}.1`)
      agent.signal('SIGHUP')
      await until('the settings in the new file', has('the settings were read again'))
      assert.equal(await agent.stop(), 0)
      assert.match(await readFile(path, 'utf8'), /stopped\n$/)
      assert.match(await readFile(`${path}.1`, 'utf8'), /started beside/)
    })
  }

  if (process.platform !== 'win32') {
    it('to a pipe that nobody reads keeps no agent from its work or its end', async () => {
      const [member] = cluster.set.members
      assert.ok(member)
      const path = join(folder, 'pipe')
      assert.equal(spawnSync('mkfifo', [path]).status, 0)
      const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
      const blocking = openSync(path, constants.O_WRONLY)
      try {
        fill(reader)
        const child = spawnSupervised(process.execPath, [BIN], {
          env: { PATH: process.env.PATH, PBM_MONGODB_URI: member.uri({ user: 'pbmuser' }) },
          stdio: ['ignore', 'ignore', blocking],
        })
        const ended = once(child, 'exit')
        await until('its report', async () => (await listAgents(cluster.leader)).some((agent) => agent.stors.ok))
        await backsUp()
        // Room for some lines, so that what comes is what was held back.
        readSync(reader, Buffer.alloc(32 * 1024))
        await backsUp()
        child.kill('SIGTERM')
        assert.deepEqual((await ended)[0], 0)
      } finally {
        closeSync(blocking)
        closeSync(reader)
      }
    })
  }
})

function fill(pipe: number): void {
  const page = Buffer.alloc(4096)
  for (;;) {
    try {
      writeSync(pipe, page)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EAGAIN') return
      throw error
    }
  }
}
