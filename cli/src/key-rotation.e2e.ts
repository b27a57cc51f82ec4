import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, type DatabaseState, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { clusterTime, findRotation, listAgents, listLocks, openKeyObject, PluginHost } from '@pbmkit/core'
import { type MongoClient, Timestamp } from 'mongodb'
import { type Agent, type Cluster, startCluster, until } from './cluster.support.js'
import { pbmProcess } from './run.support.js'

/** So many that a rotation at {@link THROTTLE} takes seconds. */
const KEY_OBJECTS = 400
/** Bytes per second, about 140 key objects. */
const THROTTLE = 20_000

/** Two members, whose agents have their keys each from an environment of its own. One story, in order. */
describe('pbm key rotate', () => {
  const older = randomBytes(32).toString('base64')
  const newer = randomBytes(32).toString('base64')
  let cluster: Cluster
  let admin: MongoClient
  let agents: Agent[] = []
  let backup = ''
  let state: DatabaseState

  before(async () => {
    cluster = await startCluster({ members: 2 })
    admin = await cluster.set.client()
    await admin
      .db('shop')
      .collection<{ _id: number }>('orders')
      .insertMany([{ _id: 1 }, { _id: 2 }])
    state = await snapshotState(admin)
  })
  after(() => cluster?.stop())

  /** In the order of the set's members. */
  async function startAgents(...keys: readonly string[]): Promise<void> {
    const user = PBM_USER.user
    agents = await Promise.all(
      cluster.set.members.map((member, index) =>
        cluster.startAgent(member.uri({ user }), { PBM_TEST_KEYS: keys[index] ?? keys[0] }),
      ),
    )
    await until('both agents to be well', async () => {
      const told = await listAgents(cluster.leader)
      return told.length === agents.length && told.every(({ stors }) => stors.ok)
    })
  }

  async function restartAgents(...keys: readonly string[]): Promise<void> {
    await Promise.all(agents.map((agent) => agent.stop()))
    await startAgents(...keys)
  }

  const folder = () => join(cluster.folder, 'backups', backup, cluster.set.name, 'pbmkit.keys')
  /** Those of the data first, then that of the record. */
  const keyObjects = async () => {
    const places = [folder(), join(cluster.folder, 'backups', backup, 'pbmkit.keys')]
    const names = await Promise.all(
      places.map(async (place) => (await readdir(place)).map((name) => ({ name, path: join(place, name) }))),
    )
    return names.flatMap((own) => own.filter(({ name }) => /^[0-9a-f]{32}$/.test(name)).map(({ path }) => path))
  }
  const contents = async () => Promise.all((await keyObjects()).map((name) => readFile(name, 'hex')))

  async function pbm(...args: string[]) {
    const ended = await cluster.pbm(args)
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function restores(): Promise<void> {
    await admin.db('shop').dropDatabase()
    await pbm('restore', backup, '--yes', '--wait')
    const differences = compareStates(state, await snapshotState(admin), {
      ignoreUsers: [`admin.${PBM_USER.user}`],
    })
    assert.deepEqual(differences, [])
  }

  it('finds the keys that agents seal with in pbmAgents', async () => {
    await startAgentsWithoutConfig()
    const input = `storage:
  type: filesystem
  filesystem: {path: ${cluster.folder}/backups}
backup: {throttle: {upload: ${THROTTLE}}}
encryption:
  type: aes-gcm
  aes-gcm: {keyEnv: PBM_TEST_KEYS}
`
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(code, 0, stderr)
    await until('the keys', async () => (await listAgents(cluster.leader)).every(({ keys }) => keys !== undefined))
    const told = (await listAgents(cluster.leader)).map(({ keys }) => keys)
    const id = await idOf(older)
    assert.deepEqual(
      told.map((keys) => [keys?.method, keys?.ids]),
      [
        ['aes-gcm', [id]],
        ['aes-gcm', [id]],
      ],
    )
    await pbm('backup', '--wait')
    const made = (await readdir(join(cluster.folder, 'backups'))).find((name) => name.endsWith('.pbm.json'))
    backup = made?.slice(0, -'.pbm.json'.length) ?? ''
  })

  it('refuses where an agent has not the new key in front, by the name of its node', async () => {
    await restartAgents(`${newer}\n${older}`, older)
    const before = await contents()
    const [first = '', second = ''] = cluster.set.members.map(({ host }) => host)
    const ended = await cluster.pbm(['key', 'rotate'])
    assert.notEqual(ended.code, 0, ended.stdout)
    // Whichever agent rotates, the other one is the one that differs.
    const named = [first, second].filter((host) =>
      ended.stderr.includes(`the agent on ${cluster.set.name}/${host} has`),
    )
    assert.equal(named.length, 1, ended.stderr)
    assert.match(ended.stderr, /not every agent has key [0-9a-f]{16} in front: .* has [0-9a-f]{16}/)
    assert.deepEqual(await contents(), before)
  })

  it('leaves every key object open to the older key or to the newer one when its agent is killed, and then goes on', async () => {
    await restartAgents(`${newer}\n${older}`)
    const [one = '', ...others] = await keyObjects()
    for (let made = 1 + others.length; made < KEY_OBJECTS; made++)
      await copyFile(one, join(folder(), randomBytes(16).toString('hex')))
    const rotating = pbmProcess(['key', 'rotate'], { env: { PBM_MONGODB_URI: cluster.uri } })
    const locks = cluster.leader.db('admin').collection('pbmLock')
    await until('a part to be rewrapped', async () => {
      const opid = String((await locks.findOne({ type: 'rotateKeys' }))?.opid)
      const rotation = await findRotation(cluster.leader, opid, cluster.set.name)
      return rotation !== undefined && rotation.rewrapped > 0 && rotation.rewrapped < rotation.keys
    })
    for (const agent of agents) agent.signal('SIGKILL')
    // As if half a minute had passed.
    const now = await clusterTime(cluster.leader)
    await locks.updateMany({}, { $set: { hb: new Timestamp({ t: now.t - 31, i: 1 }) } })
    const left = await rotating
    assert.equal(left.code, 1, left.stdout + left.stderr)
    assert.match(left.stderr, /key rotation was not finished: the agent on rs0\/\S+, which was at it, is gone.*again/s)
    const byOlder = await openedBy(older)
    const byNewer = await openedBy(newer)
    assert.ok(byOlder > 0 && byNewer > 0, `${byOlder} open with the older key, ${byNewer} with the newer one`)
    assert.equal(byOlder + byNewer, KEY_OBJECTS)
    await startAgents(`${newer}\n${older}`)
    await restores()
    const { value, stderr } = await cluster.json(['key', 'rotate'])
    const { keys, rewrapped, current, unreadable } = value as Record<string, number>
    assert.deepEqual([keys, rewrapped, current, unreadable], [KEY_OBJECTS, byOlder, byNewer, 0])
    assert.equal(await openedBy(newer), KEY_OBJECTS)
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
    for (const line of lines) {
      const { progress } = JSON.parse(line) as { progress: Record<string, unknown> }
      assert.deepEqual([progress.operation, progress.phase], ['key rotation', 'keys'])
      assert.equal(progress.totalDocuments, KEY_OBJECTS)
    }
    await restartAgents(newer)
    await restores()
    // The record is done before the lock is given back.
    await until('the locks to be given back', async () => (await listLocks(cluster.leader)).length === 0)
  })

  it('says beside which members nobody could be asked', async () => {
    const [one, two] = cluster.set.members
    const index = one?.host === (await cluster.set.primary()).host ? 1 : 0
    await agents[index]?.stop()
    const host = [one, two][index]?.host
    const { stderr, stdout } = await pbm('key', 'rotate')
    assert.match(stderr, new RegExp(`no live agent on ${cluster.set.name}/${host}: it could not be asked`))
    assert.match(stdout, /before the older ones go, see to the others too/)
    assert.deepEqual(
      (await listAgents(cluster.leader)).map(({ n }) => n),
      [[two, one][index]?.host],
    )
  })

  async function startAgentsWithoutConfig(): Promise<void> {
    const user = PBM_USER.user
    agents = await Promise.all(
      cluster.set.members.map((member) => cluster.startAgent(member.uri({ user }), { PBM_TEST_KEYS: older })),
    )
  }

  async function cipherOf(key: string) {
    process.env.PBM_TEST_KEY = key
    try {
      const plugin = await new PluginHost({ resolveFrom: import.meta.url }).encryption('aes-gcm')
      const { signal } = new AbortController()
      return await plugin.open({ keyEnv: 'PBM_TEST_KEY' }, { signal, warn: () => undefined })
    } finally {
      delete process.env.PBM_TEST_KEY
    }
  }

  async function idOf(key: string): Promise<string | undefined> {
    return (await cipherOf(key)).keyIds[0]
  }

  /** How many key objects that key alone opens. */
  async function openedBy(key: string): Promise<number> {
    const cipher = await cipherOf(key)
    let opened = 0
    for (const name of await keyObjects()) {
      const sealed = await readFile(name)
      const secret = await openKeyObject(sealed, name, cipher).catch(() => undefined)
      if (secret !== undefined) opened += 1
    }
    return opened
  }
})
