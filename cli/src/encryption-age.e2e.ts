import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeThrough, toolOnPath } from '@pbmkit/conformance'
import { compareStates, type DatabaseState, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { isKeyObject, listBackups } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

const age = toolOnPath('age')
const keygen = toolOnPath('age-keygen')
const why =
  age === undefined || keygen === undefined ? ' (skipped: no age and age-keygen on PATH; Debian has them as age)' : ''

/** Public keys: an agent that makes backups has no secret. One story, in order. */
describe(`pbm and age${why}`, () => {
  let cluster: Cluster
  let admin: MongoClient
  let identityFile = ''
  let backup = ''
  let state: DatabaseState

  before(async function () {
    if (age === undefined || keygen === undefined) return this.skip()
    cluster = await startCluster()
    admin = await cluster.set.client()
    const identity = (await pipeThrough(keygen, [], Buffer.alloc(0))).toString()
    identityFile = join(cluster.folder, 'identity.txt')
    await writeFile(identityFile, identity, { mode: 0o600 })
    const recipient = /age1[0-9a-z]+/.exec(identity)?.[0] ?? ''
    const documents = Array.from({ length: 300 }, (_, _id) => ({ _id, text: `private ${_id}` }))
    await admin.db('payroll').collection<{ _id: number; text: string }>('salaries').insertMany(documents)
    await cluster.startAgent()
    const storage = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\n`
    const input = `${storage}encryption:\n  type: age\n  age: {recipients: [${recipient}]}\nbackup: {compression: none}\n`
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(code, 0, stderr)
    await until('the agent to be well', async () => (await cluster.pbm(['status'])).code === 0)
  })
  after(() => cluster?.stop())

  it('makes a backup without any identity at hand', async () => {
    const { code, stdout, stderr } = await cluster.pbm(['backup', '--wait'])
    assert.equal(code, 0, stdout + stderr)
    backup = (await listBackups(cluster.leader, { status: 'done' }))[0]?.name ?? ''
    state = await snapshotState(admin)
  })

  it('stores objects every one of which the age tool opens', async () => {
    const folder = join(cluster.folder, 'backups', backup)
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    assert.ok(files.length >= 4, `${files.length}`)
    const opened = new Map<string, Buffer>()
    for (const { parentPath, name } of files) {
      assert.ok(!isKeyObject(`${parentPath}/${name}`))
      const sealed = await readFile(join(parentPath, name))
      assert.ok(!sealed.includes('private') && !sealed.includes('payroll'))
      opened.set(name, await pipeThrough(age ?? '', ['-d', '-i', identityFile], sealed))
    }
    assert.match(opened.get('metadata.json')?.toString() ?? '', /"payroll"/)
    assert.ok([...opened.values()].some((bytes) => bytes.includes('private 299')))
  })

  it('refuses a restore without an identity, and restores exactly with it', async () => {
    await admin.db('payroll').collection('more').insertOne({ a: 1 })
    const refused = await cluster.pbm(['restore', backup, '--yes', '--wait'])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stdout + refused.stderr, /metadata\.json can't be opened: .*no identity is configured/)
    assert.equal(await admin.db('payroll').collection('more').countDocuments(), 1)
    const set = await cluster.pbm(['config', '--set', `encryption.age.identityFile=${identityFile}`])
    assert.equal(set.code, 0, set.stderr)
    await admin.db('payroll').dropDatabase()
    const restored = await cluster.pbm(['restore', backup, '--yes', '--wait'])
    assert.equal(restored.code, 0, restored.stdout + restored.stderr)
    const ignored = { ignoreUsers: [`admin.${PBM_USER.user}`] }
    assert.deepEqual(compareStates(state, await snapshotState(admin), ignored), [])
  })

  it('says that there is nothing to rotate', async () => {
    const { code, stdout, stderr } = await cluster.pbm(['key', 'rotate'])
    assert.notEqual(code, 0)
    assert.match(stdout + stderr, /age has no keys that can be rotated/)
  })
})
