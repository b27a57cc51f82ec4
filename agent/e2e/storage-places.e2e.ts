import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'
import { listAgents, listChunks, sendCommand } from '@pbmkit/core'
import { backupEnded, type Cluster, outputs, startCluster, unlocked, until } from './cluster.support.js'
import { assertChain, nobodySlices, slicingAgent, storedUntilNow } from './slicing.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

const CONFIG = 'storage:\n  type: slow\n  slow:\n    path: /proc/self/cwd/backups\n'
const PITR = `${CONFIG}pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n`

describe('one path that is another place on each host', () => {
  let cluster: Cluster
  /** Working directory of each agent, which stands for its host. */
  const hosts: string[] = []

  before(async () => {
    cluster = await startCluster({ agents: 0, pluginDir: await slowStoragePlugin() })
    for (const member of cluster.set.members) {
      const cwd = await temporaryFolder('pbmkit-host-')
      hosts.push(cwd)
      await mkdir(join(cwd, 'backups'))
      await cluster.startAgent(member, { cwd })
    }
    await cluster.configure(CONFIG)
    await cluster.admin.db('work').collection('types').insertOne({ text: 'text' })
  })
  after(() => cluster.stop())

  const folderOf = (host: string) => join(host, 'backups')
  const known = () => hosts.filter((host) => existsSync(join(folderOf(host), '.pbmkit.storage')))
  /** What all of them see, once it is mounted. */
  let share: string
  const identityObject = () => join(share, '.pbmkit.storage')
  const untilTold = (text: RegExp) =>
    until('every agent to tell what is wrong', async () =>
      (await listAgents(cluster.leader)).every(({ stors }) => !stors.ok && text.test(stors.e)),
    ).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(cluster)}`)
    })
  /** What is seen where a share is not mounted. */
  const unmounted = (host: string) => `${folderOf(host)}.unmounted`
  const agentOf = async (index: number) => {
    const member = cluster.set.members[index]
    return (await listAgents(cluster.leader)).find(({ n }) => n === member?.host)
  }

  it('is told by member, and no backup begins', async () => {
    await sendCommand(cluster.leader, { cmd: 'resync' })
    await until('the storage to be read', async () => known().length === 1)
    await unlocked(cluster)
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.equal(backup.status, 'error', outputs(cluster))
    const { error = '' } = backup
    assert.match(error, /not the same place for all members: (\S+), (\S+) see one that nothing .*; (\S+) sees storage/)
    for (const { host } of cluster.set.members) assert.ok(error.includes(host), error)
    assert.equal(known().length, 1)
  })

  it('is not deleted from by a member that sees another', async () => {
    await sendCommand(cluster.leader, {
      cmd: 'delete',
      delete: { backup: '2031-01-01T00:00:00Z', olderthan: 0, type: '', profile: '' },
    })
    const refused = { e: 'delete', s: 1, msg: /not the same place/ }
    await until(
      'a refusal',
      async () => (await cluster.admin.db('admin').collection('pbmLog').findOne(refused)) !== null,
    )
    await unlocked(cluster)
  })

  it('is refused by the member that would read the list of backups from another place', async () => {
    const [first] = known()
    await sendCommand(cluster.leader, { cmd: 'resync' })
    const refused = { e: 'resync', s: 1, msg: /not the same place/ }
    await until(
      'a refusal',
      async () => (await cluster.admin.db('admin').collection('pbmLog').findOne(refused)) !== null,
    )
    await unlocked(cluster)
    assert.deepEqual(known(), [first])
  })

  it('is one place again at once when it is mounted everywhere', async () => {
    const [first] = known()
    assert(first !== undefined)
    share = join(await temporaryFolder('pbmkit-share-'), 'backups')
    await cp(folderOf(first), share, { recursive: true })
    for (const host of hosts) {
      await rm(folderOf(host), { recursive: true })
      await symlink(share, folderOf(host))
    }
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
  })

  it('is not written by a member that can only read it, which says so', async () => {
    const [at, chosen] = [2, hosts[2]]
    assert(chosen !== undefined)
    const node = cluster.set.members[at]?.host ?? ''
    const priority = `backup:\n  priority:\n    "${node}": 5\n`
    await cluster.configure(`${CONFIG}${priority}`)
    await writeFile(`${folderOf(chosen)}.read-only`, '')
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    assert.notEqual(backup.replsets[0]?.node, node)
    assert.match((await agentOf(at))?.stors.e ?? '', /can't be written/)
    await unlocked(cluster)
    await rm(`${folderOf(chosen)}.read-only`)
    await cluster.agentsWell()
    const next = await backupEnded(cluster, await cluster.backup())
    assert.equal(next.replsets[0]?.node, node)
    await unlocked(cluster)
  })

  it('keeps no backup waiting on a member where it is full or hangs: another one makes it', async () => {
    const chosen = folderOf(hosts[2] ?? '')
    for (const fault of ['STORAGE_NO_SPACE', 'hold-everything']) {
      await writeFile(`${chosen}.${fault}`, '')
      const backup = await backupEnded(cluster, await cluster.backup())
      assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
      assert.notEqual(backup.replsets[0]?.node, cluster.set.members[2]?.host)
      await rm(`${chosen}.${fault}`)
      await unlocked(cluster)
    }
    await cluster.agentsWell()
  })

  it('is not one where each member has a copy of it', async () => {
    const copies = hosts.slice(1)
    for (const host of copies) {
      await rm(folderOf(host))
      await cp(share, folderOf(host), { recursive: true })
    }
    const { status, n, error = '' } = await backupEnded(cluster, await cluster.backup())
    assert.equal(status, 'error')
    const at = cluster.set.members.findIndex(({ host }) => host === n[0]?.ack)
    for (const [index, { host }] of cluster.set.members.entries())
      assert.equal(error.includes(host), index !== at, error)
    assert.match(error, /what this backup has written is not there for /)
    const seen = async () => (await listAgents(cluster.leader)).map(({ mark }) => mark?.seen)
    assert.deepEqual((await seen()).toSorted(), [false, false, true])
    await unlocked(cluster)
    for (const host of hosts) {
      const left = (await readdir(folderOf(host))).filter((name) => name.includes('mark'))
      assert.deepEqual(left, [])
    }
    for (const host of copies) {
      await rm(folderOf(host), { recursive: true })
      await symlink(share, folderOf(host))
    }
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(await seen(), [true, true, true])
    await unlocked(cluster)
  })

  it('stores no oplog where it is not mounted on the member that does: another one goes on', async () => {
    await cluster.configure(PITR)
    const { member } = await slicingAgent(cluster)
    await storedUntilNow(cluster)
    const host = hosts[cluster.set.members.indexOf(member)]
    assert(host !== undefined)
    await mkdir(unmounted(host))
    // For a command all look at once.
    const { status, error = '' } = await backupEnded(cluster, await cluster.backup())
    assert.equal(status, 'error')
    assert.match(
      error,
      /which this cluster has not used|on rs0\/\S+ the storage is not the one that this cluster has used/,
    )
    await slicingAgent(cluster, member.host)
    await storedUntilNow(cluster)
    assertChain(await listChunks(cluster.leader))
    assert.deepEqual(await readdir(unmounted(host)), [])
    await rm(unmounted(host), { recursive: true })
    await cluster.agentsWell()
  })

  it('stores no oplog where it can only be read: another one goes on', async () => {
    const { member } = await slicingAgent(cluster)
    const host = hosts[cluster.set.members.indexOf(member)]
    assert(host !== undefined)
    await writeFile(`${folderOf(host)}.read-only`, '')
    await slicingAgent(cluster, member.host)
    await storedUntilNow(cluster)
    assertChain(await listChunks(cluster.leader))
    await rm(`${folderOf(host)}.read-only`)
    await cluster.agentsWell()
  })

  it('is not taken for a new one where the share is mounted nowhere: nothing is written there', async () => {
    await slicingAgent(cluster)
    await storedUntilNow(cluster)
    for (const host of hosts) await mkdir(unmounted(host))
    await until('slicing to stop', async () => /the oplog can't be stored: the storage is not/.test(outputs(cluster)))
    const stored = (await listChunks(cluster.leader)).length
    const { status, error = '' } = await backupEnded(cluster, await cluster.backup())
    assert.equal(status, 'error')
    assert.match(error, /the storage is not the one that this cluster has used/)
    await untilTold(/not the one that this cluster has used: it has no identity, .*--force-resync/)
    assert.equal((await listChunks(cluster.leader)).length, stored)
    for (const host of hosts) assert.deepEqual(await readdir(unmounted(host)), [])
    for (const host of hosts) await rm(unmounted(host), { recursive: true })
    await cluster.agentsWell()
    await storedUntilNow(cluster)
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    await cluster.configure(CONFIG)
    await nobodySlices(cluster)
  })

  it('is known by its backups where somebody has deleted what it calls itself', async () => {
    const identity = await readFile(identityObject(), 'utf8')
    await rm(identityObject())
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    assert.equal(await readFile(identityObject(), 'utf8'), identity)
    await unlocked(cluster)
  })

  it('is another one once somebody says so', async () => {
    const identity = await readFile(identityObject(), 'utf8')
    // At once: one that is emptied bit by bit would get its identity back meanwhile.
    await rename(share, `${share}.before`)
    await mkdir(share)
    assert.match(
      (await backupEnded(cluster, await cluster.backup())).error ?? '',
      /not the one that this cluster has used/,
    )
    await untilTold(/not the one that this cluster has used/)
    await sendCommand(cluster.leader, { cmd: 'resync' })
    await cluster.agentsWell()
    await unlocked(cluster)
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    assert.notEqual(await readFile(identityObject(), 'utf8'), identity)
  })
})
