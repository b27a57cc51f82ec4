import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { access, copyFile, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, type DatabaseState, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { listBackups, listChunks, listSlicerLocks } from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

/** Of a sealed object: the header of one that names a wrapping key, and each block with its tag (aes-gcm README, Format). */
const HEADER_BYTES = 110
const SEALED_BLOCK_BYTES = 256 * 1024 + 16

/** What is done to an object: its bytes as they were become these. */
const DAMAGES: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  'a bit flipped in its header': (bytes) => flipped(bytes, 60),
  'a bit flipped at its end': (bytes) => flipped(bytes, bytes.length - 1),
  'its end cut off': (bytes) => bytes.subarray(0, bytes.length - 5),
  'all but its header cut off': (bytes) => bytes.subarray(0, HEADER_BYTES),
  'nothing left': () => Buffer.alloc(0),
  'clear text in its place': () => Buffer.from('{"version": 2}'),
}

/** Whatever somebody with the storage in his hands does: refused by the object's name, with the data as it was. */
describe('pbm and damaged encrypted backups', () => {
  let cluster: Cluster
  let admin: MongoClient
  let backup = ''
  let state: DatabaseState
  let time: Timestamp
  const key = randomBytes(32).toString('base64')

  before(async () => {
    cluster = await startCluster()
    admin = await cluster.set.client()
    await cluster.startAgent(undefined, { PBM_TEST_KEYS: key, PBM_ALLOW_KEY_COMMAND: process.execPath })
    const db = admin.db('payroll')
    await db.collection<{ _id: number }>('small').insertMany([{ _id: 1 }, { _id: 2 }])
    // Three blocks, whatever the compression makes of it.
    const large = Array.from({ length: 3 }, (_, _id) => ({ _id, text: randomBytes(300_000).toString('base64') }))
    await db.collection<{ _id: number; text: string }>('large').insertMany(large)
    const input = `storage:
  type: filesystem
  filesystem: {path: ${cluster.folder}/backups}
pitr: {oplogSpanMin: 0.02}
encryption:
  type: aes-gcm
  aes-gcm: {keyEnv: PBM_TEST_KEYS}
`
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(code, 0, stderr)
    await pbm('backup', '--wait')
    backup = (await listBackups(cluster.leader, { status: 'done' }))[0]?.name ?? ''
    await pbm('config', '--set', 'pitr.enabled=true')
    // Chunks with something in them, each as large as the next.
    await until('three chunks', async () => {
      const marks = admin.db('payroll').collection<{ at: Date }>('marks')
      const { operationTime } = await admin.db('admin').command({ appendOplogNote: 1, data: { mark: 1 } })
      await marks.insertOne({ at: new Date() })
      time = operationTime as Timestamp
      return (await listChunks(cluster.leader)).length >= 3
    })
    await until('the oplog to be stored', async () =>
      (await listChunks(cluster.leader)).some(({ end_ts }) => end_ts.greaterThanOrEqual(time)),
    )
    await pbm('config', '--set', 'pitr.enabled=false')
    await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
    state = await snapshotState(admin)
  })
  after(() => cluster?.stop())

  const file = (object: string) => join(cluster.folder, 'backups', object)

  async function pbm(...args: string[]) {
    const ended = await cluster.pbm(args)
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function objects(folder: string): Promise<string[]> {
    const entries = await readdir(file(folder), { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(file('').length + 1))
      .sort()
  }

  async function refused(args: readonly string[], told: RegExp, what: string): Promise<void> {
    const ended = await cluster.pbm([...args, '--yes', '--wait'])
    assert.notEqual(ended.code, 0, `${what}: ${ended.stdout}`)
    assert.match(ended.stderr, told, what)
    assert.ok(!ended.stderr.includes(key))
    const now = await snapshotState(admin)
    assert.deepEqual(compareStates(state, now, { ignoreUsers: [`admin.${PBM_USER.user}`] }), [], what)
  }

  /** Restores `args` with each of `damages` done to `object`, which is as it was afterwards. */
  async function refusedWith(args: readonly string[], object: string, damages: typeof DAMAGES) {
    const bytes = await readFile(file(object))
    try {
      for (const [what, damage] of Object.entries(damages)) {
        await writeFile(file(object), damage(bytes))
        await refused(args, new RegExp(object.replaceAll('.', '\\.')), `${object}: ${what}`)
      }
    } finally {
      await writeFile(file(object), bytes)
    }
  }

  const restoreToTime = () => ['restore', '--time', `${time.t},${time.i}`, '--base-snapshot', backup]

  it('refuses a damaged list of collections', () =>
    refusedWith(['restore', backup], `${backup}/${cluster.set.name}/metadata.json`, DAMAGES))

  it('refuses damaged data, and blocks in another order', async () => {
    const data = (await objects(backup)).filter((name) => name.includes('/pbmkit.namespaces/'))
    const sizes = await Promise.all(data.map(async (name) => ({ name, bytes: (await readFile(file(name))).length })))
    const largest = sizes.sort((a, b) => b.bytes - a.bytes)[0]
    assert.ok(largest !== undefined && largest.bytes > HEADER_BYTES + 2 * SEALED_BLOCK_BYTES)
    const block = (bytes: Buffer, at: number) =>
      bytes.subarray(HEADER_BYTES + at * SEALED_BLOCK_BYTES, HEADER_BYTES + (at + 1) * SEALED_BLOCK_BYTES)
    const head = (bytes: Buffer) => bytes.subarray(0, HEADER_BYTES)
    await refusedWith(['restore', backup], largest.name, {
      ...DAMAGES,
      'two blocks swapped': (bytes) =>
        Buffer.concat([
          ...[head(bytes), block(bytes, 1), block(bytes, 0)],
          bytes.subarray(HEADER_BYTES + 2 * SEALED_BLOCK_BYTES),
        ]),
      'a block left out': (bytes) => Buffer.concat([head(bytes), bytes.subarray(HEADER_BYTES + SEALED_BLOCK_BYTES)]),
      'a block twice': (bytes) => Buffer.concat([head(bytes), block(bytes, 0), bytes.subarray(HEADER_BYTES)]),
      'the last blocks left out': (bytes) => bytes.subarray(0, HEADER_BYTES + SEALED_BLOCK_BYTES),
    })
  })

  it('refuses a damaged oplog of the backup', async () => {
    const [oplog = ''] = (await objects(backup)).filter((name) => name.includes('/oplog/'))
    await refusedWith(['restore', backup], oplog, DAMAGES)
  })

  it('refuses a key object that is damaged, another one, or gone', async () => {
    const [other = ''] = (await objects('pbmPitr')).filter((name) => name.includes('/pbmkit.keys/'))
    const others: [string, RegExp][] = [
      [`${backup}/${cluster.set.name}/`, /does not open with key [0-9a-f]{32}: the key or the header is altered/],
      // What the record is signed with.
      [`${backup}/`, /\.pbm\.json is altered, and no longer what was signed/],
    ]
    for (const [folder, told] of others) {
      const [own = ''] = await objects(`${folder}pbmkit.keys`)
      await refusedWith(['restore', backup], own, { ...DAMAGES, 'a bit flipped in its header': (b) => flipped(b, 50) })
      await rename(file(own), file('aside'))
      await refused(['restore', backup], /the key object .* is missing on the storage/, 'gone')
      await copyFile(file(other), file(own))
      await refused(['restore', backup], told, 'other')
      await rename(file('aside'), file(own))
    }
  })

  it('refuses damaged chunks of the oplog, and those of another time', async () => {
    const chunks = (await listChunks(cluster.leader)).map(({ fname }) => fname).sort()
    const [first = '', second = ''] = chunks
    await refusedWith(restoreToTime(), second, DAMAGES)
    const bytes = await readFile(file(first))
    await refusedWith(restoreToTime(), second, { 'the chunk before it in its place': () => bytes })
  })

  it('restores what was put back as it was', async () => {
    await pbm(...restoreToTime(), '--yes', '--wait')
    await pbm('restore', backup, '--yes', '--wait')
  })

  const sealedBy = (options: string) => `storage:
  type: filesystem
  filesystem: {path: ${cluster.folder}/backups}
encryption:
  type: aes-gcm
  aes-gcm: ${options}
`

  it('runs no program and reads no file for who can write the configuration, unless its own settings allow it', async () => {
    const ran = `${cluster.folder}/ran`
    for (const [options, told] of [
      [`{keyCommand: [/usr/bin/touch, ${ran}]}`, /keyCommand runs \/usr\/bin\/touch, which is not allowed here/],
      ['{keyFile: /etc/hostname}', /keyFile leads to \/etc\/hostname, and files may be read only from/],
    ] as const) {
      const set = await cluster.pbm(['config', '--file', '-'], { input: sealedBy(options) })
      assert.equal(set.code, 0, set.stderr)
      await until('the agent to tell', async () => told.test((await cluster.pbm(['status'])).stdout))
      const ended = await cluster.pbm(['backup', '--wait'])
      assert.notEqual(ended.code, 0, ended.stdout)
      assert.match(ended.stderr, told)
    }
    await assert.rejects(access(ran), { code: 'ENOENT' })
  })

  it('says why a command gives no key, before a backup begins', async () => {
    const input = sealedBy(`{keyCommand: ['${process.execPath}', -e, process.exit(3)]}`)
    const set = await cluster.pbm(['config', '--file', '-'], { input })
    assert.equal(set.code, 0, set.stderr)
    const told = /command .* ended with exit code 3/
    await until('the agent to tell', async () => told.test((await cluster.pbm(['status'])).stdout))
    const ended = await cluster.pbm(['backup', '--wait'])
    assert.notEqual(ended.code, 0, ended.stdout)
    assert.match(ended.stderr, told)
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  const altered = Buffer.from(bytes)
  altered.writeUInt8(altered.readUInt8(at) ^ 4, at)
  return altered
}
