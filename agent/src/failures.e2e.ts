import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { compareStates, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { findBackup, findRestore, listAgents, sendCommand } from '@pbmkit/core'
import {
  type AgentProcess,
  backupEnded,
  type Cluster,
  objectsOn,
  outputs,
  passSeconds,
  restoreEnded,
  slowStoragePlugin,
  startCluster,
  unlocked,
  until,
} from './cluster.e2e.support.js'

/** Where the slow storage stands still, and the state a backup is in meanwhile. */
const PLACES = [
  { place: 'types', state: 'running', what: 'a collection' },
  { place: 'list', state: 'running', what: 'the list of namespaces' },
  { place: 'oplog', state: 'dumpDone', what: 'the oplog' },
  { place: 'record', state: 'dumpDone', what: 'its metadata' },
] as const
type Place = (typeof PLACES)[number]['place']

describe('work that is cut off', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster({ pluginDir: await slowStoragePlugin(), args: ['--stop-grace', '0'] })
    await cluster.configure(`storage:\n  type: slow\n  slow:\n    path: ${cluster.storage}\n`)
    await loadSampleData(cluster.admin)
  })
  after(() => cluster.stop())

  const hold = async (place: Place) => {
    await rm(`${cluster.storage}.held`, { force: true })
    await writeFile(`${cluster.storage}.hold-${place}`, '')
  }
  const letGo = (place: Place) => rm(`${cluster.storage}.hold-${place}`, { force: true })
  afterEach(() => Promise.all(PLACES.map(({ place }) => letGo(place))))

  /** A backup that stands still, and the agent that makes it. */
  async function heldBackup(place: Place, state = 'running'): Promise<{ name: string; agent: AgentProcess }> {
    await hold(place)
    const name = await cluster.backup()
    let node = ''
    await until(`the backup to stand still at ${place}`, async () => {
      const backup = await findBackup(cluster.leader, name)
      if (backup?.status === 'error') throw new Error(`${backup.error}\n${outputs(cluster)}`)
      node = backup?.n[0]?.ack ?? ''
      return node !== '' && backup?.status === state && existsSync(`${cluster.storage}.held`)
    })
    return { name, agent: agentOf(node) }
  }

  function agentOf(host: string): AgentProcess {
    const agent = cluster.agents.find(({ member, running }) => running && member.host === host)
    assert.ok(agent, `no agent runs beside ${host}`)
    return agent
  }

  async function backupWorks(): Promise<string> {
    const name = await cluster.backup()
    const backup = await backupEnded(cluster, name)
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    return name
  }

  /** The failed backup says why and left nothing; then the next one works. */
  async function failedAndClean(name: string, status: 'error' | 'canceled', reason: RegExp): Promise<void> {
    const backup = await backupEnded(cluster, name)
    assert.equal(backup.status, status, outputs(cluster))
    assert.match(backup.error ?? '', reason)
    await unlocked(cluster)
    await until(
      'its objects to be gone',
      async () => !(await objectsOn(cluster.storage)).some((object) => object.startsWith(name)),
    )
  }

  for (const { place, state, what } of PLACES) {
    it(`an agent killed while it writes ${what}`, async () => {
      const { name, agent } = await heldBackup(place, state)
      await agent.stop('SIGKILL')
      await passSeconds(cluster, 35)
      await failedAndClean(name, 'error', /no heartbeat|stale/)
      await letGo(place)
      await cluster.startAgent(agent.member)
      await backupWorks()
    })

    it(`a backup cancelled while it writes ${what}`, async () => {
      const { name } = await heldBackup(place, state)
      await sendCommand(cluster.leader, { cmd: 'cancelBackup' })
      await failedAndClean(name, 'canceled', /canceled/)
    })
  }

  it('an agent told to stop in mid-backup marks it, cleans and leaves', async () => {
    const { name, agent } = await heldBackup('types')
    assert.equal(await agent.stop('SIGTERM'), 0, agent.output())
    await failedAndClean(name, 'error', /the agent on .* was stopped/)
    const left = await listAgents(cluster.leader)
    assert.ok(!left.some(({ n }) => n === agent.member.host))
    await cluster.startAgent(agent.member)
  })

  it('a second signal ends an agent at once', async () => {
    const { name, agent } = await heldBackup('types')
    agent.signal('SIGTERM')
    await until('it to be stopping', async () => /SIGTERM: stopping/.test(agent.output()))
    assert.equal(await agent.stop('SIGTERM'), 1)
    await passSeconds(cluster, 35)
    await failedAndClean(name, 'error', /heartbeat|stale/)
    await cluster.startAgent(agent.member)
  })

  it('the primary steps down while the backup runs', async () => {
    const { name } = await heldBackup('types')
    await cluster.set.stepDown(15)
    await letGo('types')
    const backup = await backupEnded(cluster, name)
    // A secondary goes on reading; a backup on the primary may fail, but says so.
    if (backup.status !== 'done') assert.match(backup.error ?? '', /.+/)
    await unlocked(cluster)
    await cluster.set.ready()
    await backupWorks()
  })

  it('the control collections are dropped in mid-backup', async () => {
    const { name } = await heldBackup('types')
    for (const collection of ['pbmBackups', 'pbmLock', 'pbmCmd', 'pbmOpLog']) {
      await cluster.admin.db('admin').collection(collection).drop()
    }
    await until('the loss to be noticed', async () => (await findBackup(cluster.leader, name))?.status === 'error')
    await letGo('types')
    await failedAndClean(name, 'error', /gone|lost|dropped/)
    await backupWorks()
  })

  it('an agent killed in mid-restore, and the next restore is exact', async () => {
    const before = await snapshotState(cluster.admin)
    const backup = await backupWorks()
    const primary = (await cluster.set.primary()).host
    await hold('types')
    const name = await cluster.restore(backup)
    await until('the restore to read', async () => {
      return (await findRestore(cluster.leader, name)) !== undefined && existsSync(`${cluster.storage}.held`)
    })
    const agent = agentOf(primary)
    await agent.stop('SIGKILL')
    await letGo('types')
    await passSeconds(cluster, 35)
    const restore = await restoreEnded(cluster, name)
    assert.equal(restore.status, 'error')
    assert.match(restore.error ?? '', /heartbeat|stale/)
    await unlocked(cluster)
    await cluster.startAgent(agent.member)
    const again = await restoreEnded(cluster, await cluster.restore(backup))
    assert.deepEqual([again.status, again.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(before, await snapshotState(cluster.admin)), [])
  })

  it('two agents at one mongod: one says so, and a backup is made once', async () => {
    const [member] = cluster.set.members
    assert.ok(member)
    const second = await cluster.startAgent(member, { notReady: true })
    await until('the warning', async () => cluster.agents.some(({ output }) => /another agent reports/.test(output())))
    await backupWorks()
    assert.equal(await second.stop(), 0)
  })
})
