import assert from 'node:assert/strict'
import { compareStates, type DatabaseState, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore, type RestoreCommand, sendCommand } from '@pbmkit/core'
import { ObjectId, Timestamp } from 'mongodb'
import { outputs, passSeconds, restoreEnded, unlocked, until } from './cluster.support.js'
import { type HeldCluster, startLoadedCluster } from './held-storage.support.js'

type Work = { _id: number; text?: string }

/** Whatever happens to who restores a part, the rest stays as it is, and the part comes back the next time. */
describe('restores of a part whose only agent is killed', () => {
  let cluster: HeldCluster
  let backup: string
  let loaded: DatabaseState
  const NS = 'work.types'
  const types = () => cluster.admin.db('work').collection<Work>('types')

  before(async () => {
    ;({ cluster, loaded, backup } = await startLoadedCluster())
  })
  after(() => cluster.stop())
  afterEach(() => cluster.heal())

  async function send(command: Partial<RestoreCommand>): Promise<string> {
    const name = `${new Date().toISOString()}-${new ObjectId().toHexString()}`
    const unset = { fallbackEnabled: null, allowPartlyDone: null, external: false, extConf: null, exit: false }
    const restore = { name, backupName: backup, ...unset, extTS: new Timestamp({ t: 0, i: 0 }), ...command }
    await sendCommand(cluster.leader, { cmd: 'restorePart', restore })
    return name
  }

  async function reached(name: string, state: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    await until(`the restore to be held in ${state}`, async () => {
      const found = await findRestore(cluster.leader, name)
      if (found?.status === 'error') throw new Error(`${found.error}\n${outputs(cluster)}`)
      return found?.status === state && (await holds())
    })
  }

  async function killAndRestart(): Promise<void> {
    await cluster.killAgents()
    await cluster.heal()
    const [member] = cluster.set.members
    assert.ok(member)
    await passSeconds(cluster, 35)
    await cluster.startAgent(member)
  }

  async function failedAndClean(name: string): Promise<void> {
    assert.equal((await restoreEnded(cluster, name)).status, 'error')
    await unlocked(cluster)
    await until('nothing to be staged any more', async () => {
      const { databases } = await cluster.admin.db('admin').command({ listDatabases: 1, nameOnly: true })
      return !(databases as { name: string }[]).some(({ name: db }) => db.startsWith('pbmkit_staging'))
    })
    await assertOthersUntouched()
  }

  async function assertOthersUntouched(): Promise<void> {
    const others = ({ dbs }: DatabaseState) => {
      const { types: _, ...work } = dbs.work ?? {}
      return { dbs: { ...dbs, work }, users: [], roles: [] }
    }
    assert.deepEqual(compareStates(others(loaded), others(await snapshotState(cluster.admin))), [])
  }

  async function works(command: Partial<RestoreCommand>): Promise<void> {
    const { status, error = '' } = await restoreEnded(cluster, await send(command))
    assert.deepEqual([status, error], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    await assertOthersUntouched()
  }

  async function assertWhole(): Promise<void> {
    const found = compareStates(loaded, await snapshotState(cluster.admin))
    assert.deepEqual(
      found.filter((difference) => !difference.startsWith(`${NS}: uuid`)),
      [],
    )
  }

  for (const [place, state] of [
    ['list', 'starting'],
    ['types', 'running'],
  ] as const) {
    it(`in state ${state}: the others are as they were, and the next one works`, async () => {
      await cluster.hold(place)
      const name = await send({ nss: [NS] })
      await reached(name, state, cluster.isHeld)
      await killAndRestart()
      await failedAndClean(name)
      if (state === 'starting') await assertWhole()
      await works({ nss: [NS] })
      await assertWhole()
    })
  }

  async function delete20(): Promise<void> {
    await types().deleteMany({ _id: { $lt: 20 } })
    await types().updateOne({ _id: 30 }, { $set: { text: 'newer' } })
  }

  async function assertUndeleted(): Promise<void> {
    assert.equal((await types().findOne({ _id: 30 }))?.text, 'newer')
    await types().deleteOne({ _id: 30 })
    await works({ nss: [NS], keepExisting: true })
    await assertWhole()
  }

  it('while it puts together what is missing: nothing of it is left, and the next one works', async () => {
    await delete20()
    await cluster.hold('types')
    const name = await send({ nss: [NS], keepExisting: true })
    await reached(name, 'running', cluster.isHeld)
    await killAndRestart()
    await failedAndClean(name)
    assert.equal(await types().countDocuments(), 280)
    await works({ nss: [NS], keepExisting: true })
    await assertUndeleted()
  })

  const failPoint = (more: object) => cluster.admin.db('admin').command({ configureFailPoint: 'failCommand', ...more })
  const heldInsert = {
    failCommands: ['insert'],
    namespace: NS,
    blockConnection: true,
    blockTimeMS: 5_000,
    appName: 'pbm-agent',
  }
  const isInserting = async () => {
    const inserts = [{ $currentOp: { allUsers: true } }, { $match: { 'command.insert': 'types' } }]
    return (await cluster.admin.db('admin').aggregate(inserts).toArray()).length > 0
  }

  it('while it puts back what is missing: what is there stays, and the next one works', async () => {
    await delete20()
    await failPoint({ mode: 'alwaysOn', data: heldInsert })
    const name = await send({ nss: [NS], keepExisting: true })
    await reached(name, 'dumpDone', isInserting)
    await killAndRestart()
    await failPoint({ mode: 'off' })
    await failedAndClean(name)
    await until('the last insert', async () => !(await isInserting()))
    await works({ nss: [NS], keepExisting: true })
    await assertUndeleted()
  })

  it('while it puts a database beside the live one: what it made goes by itself, and nothing else', async () => {
    const beside = cluster.admin.db('beside')
    const listed = async () => (await beside.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name)
    const pairs = [{ from: 'work.*', to: 'beside.*' }]
    await cluster.hold('types')
    const name = await send({ pairs })
    await reached(name, 'running', cluster.isHeld)
    assert.ok((await listed()).includes('types'))
    await beside.collection<Work>('own').insertOne({ _id: 1 })
    await beside.collection('types').rename('kept')
    await beside.collection<Work>('types').insertOne({ _id: 1 })
    await killAndRestart()
    await until('what it made to be gone', async () => {
      const left = (await listed()).filter((one) => !one.startsWith('system.'))
      return left.sort().join() === 'kept,own,types'
    })
    await beside.dropDatabase()
    await failedAndClean(name)
    const { status, error = '' } = await restoreEnded(cluster, await send({ pairs }))
    assert.deepEqual([status, error], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    assert.equal(await beside.collection('types').countDocuments(), await types().countDocuments())
    assert.ok((await findRestore(cluster.leader, name))?.replsets.every(({ made = [] }) => made.length === 0))
    await beside.dropDatabase()
    await assertOthersUntouched()
  })

  it('not, but its primary steps down: the others are as they were, and the next one works', async () => {
    await delete20()
    await cluster.hold('types')
    const name = await send({ nss: [NS], keepExisting: true })
    await reached(name, 'running', cluster.isHeld)
    await cluster.admin
      .db('admin')
      .command({ replSetStepDown: 1, force: true })
      .catch(() => undefined)
    await cluster.set.ready()
    await cluster.heal()
    await failedAndClean(name)
    await cluster.agentsWell()
    await works({ nss: [NS], keepExisting: true })
    await assertUndeleted()
  })
})
