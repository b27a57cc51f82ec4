import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, type DatabaseState, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { listBackups, listChunks, listSlicerLocks, type PitrChunkDocument, withChecksum } from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

interface Place {
  readonly plugins: readonly { readonly kind: string; readonly name: string; readonly configured: boolean }[]
}

const KEY = randomBytes(32).toString('base64')
const IDENTITY = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`
const SENTINEL = 'very-private-content'

/** A cluster whose backups are sealed, and what becomes of them. One story, in order. */
describe('pbm and encryption', () => {
  let cluster: Cluster
  let admin: MongoClient
  let keyFile = ''
  let keyId = ''
  let backup = ''
  let state: DatabaseState
  let later: { time: Timestamp; state: DatabaseState }

  before(async () => {
    cluster = await startCluster()
    admin = await cluster.set.client()
    await cluster.startAgent()
    keyFile = join(cluster.folder, 'keys')
    await writeFile(keyFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
    const documents = Array.from({ length: 500 }, (_, _id) => ({ _id, text: `${SENTINEL} ${_id}` }))
    await admin.db('payroll').collection<{ _id: number; text: string }>('salaries').insertMany(documents)
    await admin
      .db('payroll')
      .collection<{ _id: number }>('bonuses')
      .insertMany([{ _id: 1 }])
    await admin.db('payroll').createCollection('nothing')
    await admin.db('payroll').collection('salaries').createIndex({ text: 1 }, { name: 'by text' })
  })
  after(() => cluster?.stop())

  const objects = async () =>
    (await readdir(join(cluster.folder, 'backups'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(cluster.folder, 'backups').length + 1))
  const file = (object: string) => join(cluster.folder, 'backups', object)
  const config = (more: string) =>
    `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\npitr: {oplogSpanMin: 0.05}\n${more}`

  async function pbm(...args: string[]) {
    const ended = await cluster.pbm(args)
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function refused(args: readonly string[], told: RegExp): Promise<string> {
    const ended = await cluster.pbm(args)
    assert.notEqual(ended.code, 0, ended.stdout)
    assert.match(ended.stdout + ended.stderr, told)
    return ended.stdout + ended.stderr
  }

  async function same(expected: DatabaseState): Promise<void> {
    assert.deepEqual(
      compareStates(expected, await snapshotState(admin), { ignoreUsers: [`admin.${PBM_USER.user}`] }),
      [],
    )
  }

  it('refuses a configuration whose encryption is wrong', async () => {
    const input = config('encryption:\n  type: aes-gcm\n  aes-gcm: {keyfile: /x}\nbackup: {layout: archive}\n')
    const { code, stderr } = await cluster.pbm(['config', '--file', '-'], { input })
    assert.notEqual(code, 0)
    assert.match(stderr, /encryption\.aes-gcm\.keyfile: unknown key; did you mean keyFile\?/)
    assert.match(stderr, /backup\.layout: archive can not be encrypted/)
    const misplaced: [string, RegExp][] = [
      [`{type: aes-gcm, aes-gcm: {keyFile: '${KEY}'}}`, /aes-gcm\.keyFile: must be: file with the keys/],
      [
        `{type: aes-gcm, aes-gcm: {keyFile: /x, keyEnv: X}}`,
        /aes-gcm: must have only 1 of keyFile, keyEnv, keyCommand/,
      ],
      [`{type: age, age: {recipients: [${IDENTITY}]}}`, /age\.recipients\.0: must be: a recipient/],
      [
        `{type: age, age: {recipients: [age1x], identityFile: ${IDENTITY}}}`,
        /age\.identityFile: must be: file with identities/,
      ],
    ]
    for (const [encryption, told] of misplaced) {
      const refused = await cluster.pbm(['config', '--file', '-'], { input: config(`encryption: ${encryption}\n`) })
      assert.notEqual(refused.code, 0)
      assert.match(refused.stderr, told)
      assert.ok(!refused.stderr.includes(KEY) && !refused.stderr.includes(IDENTITY), refused.stderr)
    }
    const unknown = await cluster.pbm(['config', '--file', '-'], { input: config('encryption: {type: rot13}\n') })
    assert.match(unknown.stderr, /encryption\.type: .*"rot13".*npm install pbmkit-encryption-rot13/s)
  })

  it('refuses a backup without the key, before it begins', async () => {
    const input = config(`encryption:\n  type: aes-gcm\n  aes-gcm: {keyFile: ${keyFile}.lost}\n`)
    const { code, stderr } = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(code, 1)
    assert.match(stderr, /is saved, but not every agent can use it: .*keys\.lost: there is no such file/)
    await refused(['backup', '--wait'], /keys\.lost: there is no such file/)
    assert.deepEqual(
      (await objects()).filter((name) => name !== '.pbm.init' && name !== '.pbmkit.storage'),
      [],
    )
    await pbm('config', '--set', `encryption.aes-gcm.keyFile=${keyFile}`)
  })

  it('shows the method as configured in the list of plugins, of this program and of the agent', async () => {
    const { value } = await cluster.json(['plugin', 'list'])
    const { cli, agents } = value as { cli: Place; agents: Place[] }
    assert.equal(agents.length, 1)
    for (const { plugins } of [cli, ...agents]) {
      const methods = plugins.filter(({ kind, configured }) => kind === 'encryption' && configured)
      assert.deepEqual(
        methods.map(({ name }) => name),
        ['aes-gcm'],
      )
    }
  })

  it('makes a sealed backup, of which the storage learns no name and no content', async () => {
    await until('the agent to be well', async () => /\[OK|OK/.test((await cluster.pbm(['status'])).stdout))
    await pbm('backup', '--wait')
    const made = (await listBackups(cluster.leader, { status: 'done' }))[0]
    assert.ok(made !== undefined)
    backup = made.name
    state = await snapshotState(admin)
    assert.equal(made.replsets[0]?.encryption?.type, 'aes-gcm')
    keyId = made.replsets[0]?.encryption?.keyIds[0] ?? ''
    assert.match(keyId, /^[0-9a-f]{16}$/)
    const names = await objects()
    assert.ok(names.some((name) => /\/pbmkit\.keys\/[0-9a-f]{32}$/.test(name)))
    for (const name of names) {
      assert.doesNotMatch(name, /payroll|salaries|bonuses/)
      const content = await readFile(file(name))
      for (const word of [SENTINEL, 'payroll', 'salaries', 'bonuses', 'system.users']) {
        assert.ok(!content.includes(word), `${name} tells of ${word}`)
      }
    }
  })

  it('shows with what it is sealed, and its collections to who has the key', async () => {
    const { value } = await cluster.json(['describe-backup', backup, '--with-collections'])
    const [part] = (value as { replsets: { encryption: object; collections: string[] }[] }).replsets
    assert.deepEqual(part?.encryption, { type: 'aes-gcm', key_ids: [keyId] })
    assert.ok(part?.collections.includes('payroll.salaries'))
  })

  it('seals a part, restores it, and puts back what is missing', async () => {
    const salaries = () => admin.db('payroll').collection<{ _id: number }>('salaries')
    const made = await cluster.json(['backup', '--ns', 'payroll.salaries', '--wait'])
    const { name } = made.value as { name: string }
    for (const object of await objects()) assert.doesNotMatch(object, /payroll|salaries/)
    await salaries().deleteMany({ _id: { $lt: 100 } })
    const dry = await cluster.json(['restore', name, '--ns', 'payroll.salaries', '--keep-existing', '--dry-run'])
    const { namespaces } = dry.value as { namespaces: { ns: string; documents: number }[] }
    assert.deepEqual(
      namespaces.map(({ ns, documents }) => [ns, documents]),
      [['payroll.salaries', 500]],
    )
    const query = ['--keep-existing', '--query', '{"_id": {"$lt": 50}}']
    await pbm('restore', name, '--ns', 'payroll.salaries', ...query, '--yes', '--wait')
    assert.equal(await salaries().countDocuments(), 450)
    await pbm('restore', name, '--ns', 'payroll.salaries', '--keep-existing', '--yes', '--wait')
    await same(state)
    const { value: restores } = await cluster.json(['list', '--restore'])
    const last = (restores as { name: string; part: string }[]).at(-1)
    assert.equal(last?.part, 'payroll.salaries; only what was missing')
    const { value: described } = await cluster.json(['describe-restore', last?.name ?? ''])
    const { selection, replsets } = described as { selection: object; replsets: { merged: object[] }[] }
    assert.deepEqual(selection, { usersAndRoles: false, keepExisting: true })
    const merged = { ns: 'payroll.salaries', inserted: 50, existing: 450, conflicts: 0, left_out: [] }
    assert.deepEqual(replsets[0]?.merged, [merged])
    await pbm('delete-backup', name, '--yes')
  })

  it('stores sealed chunks of the oplog, and restores to a time between them', async () => {
    await pbm('config', '--set', 'pitr.enabled=true')
    await until('slicing', async () => (await listSlicerLocks(cluster.leader)).length > 0)
    await admin.db('payroll').collection<{ _id: number; late: string }>('bonuses').insertOne({ _id: 2, late: SENTINEL })
    const { operationTime } = await admin.db('admin').command({ appendOplogNote: 1, data: { mark: 1 } })
    later = { time: operationTime as Timestamp, state: await snapshotState(admin) }
    await until('the oplog to be stored', async () =>
      (await listChunks(cluster.leader)).some(({ end_ts }) => end_ts.greaterThanOrEqual(later.time)),
    )
    await pbm('config', '--set', 'pitr.enabled=false')
    await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
    for (const { fname, encryption } of await listChunks(cluster.leader)) {
      assert.equal(encryption, 'aes-gcm')
      assert.match(fname, /\.oplog-aes-gcm\.s2$/)
      assert.ok(!(await readFile(file(fname))).includes(SENTINEL))
    }
    // PBM asks the storage for each before it drops anything, and has to find none.
    const names = new Set(await objects())
    for (const { fname } of await cluster.leader.db('admin').collection('pbmPITRChunks').find().toArray())
      assert.ok(!names.has(fname as string), `PBM would take ${fname} for a chunk that it can read`)
    await admin.db('payroll').dropDatabase()
    await pbm('restore', '--time', `${later.time.t},${later.time.i}`, '--yes', '--wait')
    await same(later.state)
  })

  it('lists everything on a storage never used before, without the key', async () => {
    const chunks = (await listChunks(cluster.leader)).map(shown)
    await rename(keyFile, `${keyFile}.safe`)
    for (const name of ['pbmBackups', 'pbmPITRChunks']) await cluster.leader.db('admin').collection(name).deleteMany({})
    await pbm('config', '--force-resync', '--wait')
    const listed = await listBackups(cluster.leader)
    assert.deepEqual(
      listed.map(({ name, status }) => [name, status]),
      [[backup, 'done']],
    )
    assert.deepEqual((await listChunks(cluster.leader)).map(shown), chunks)
    assert.match((await pbm('list')).stdout, new RegExp(backup))
    assert.match((await pbm('describe-backup', backup)).stdout, new RegExp(`aes-gcm[^]*${keyId}`))
    await refused(['describe-backup', backup, '--with-collections'], /metadata\.json can't be opened: .*no such file/)
  })

  it('lists a backup whose key object is gone as damaged, until it is back', async () => {
    const lost = file(`${backup}/${cluster.set.name}/pbmkit.keys`)
    const listed = async () => (await listBackups(cluster.leader)).find(({ name }) => name === backup)
    await rename(`${keyFile}.safe`, keyFile)
    await rename(lost, join(cluster.folder, 'lost'))
    await pbm('config', '--force-resync', '--wait')
    assert.deepEqual((await listed())?.status, 'error')
    assert.match(
      (await listed())?.error ?? '',
      /the key object .*\/pbmkit\.keys\/[0-9a-f]{32} is missing on the storage/,
    )
    await rename(join(cluster.folder, 'lost'), lost)
    await pbm('config', '--force-resync', '--wait')
    assert.equal((await listed())?.status, 'done')
    await rename(keyFile, `${keyFile}.safe`)
  })

  it('refuses a restore without the key, before anything is dropped', async () => {
    const before = await snapshotState(admin)
    await refused(['restore', backup, '--yes', '--wait'], /can't be opened: .*no such file/)
    await writeFile(keyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
    await refused(['restore', backup, '--yes', '--wait'], new RegExp(`can't be opened: .*${keyId}`))
    await same(before)
    await rename(`${keyFile}.safe`, keyFile)
  })

  it('refuses an altered, a cut and a swapped object by its name, before anything is dropped', async () => {
    const before = await snapshotState(admin)
    const data = (await objects()).filter((name) => name.includes('/pbmkit.namespaces/')).sort()
    const [one = '', other = ''] = data
    const bytes = await readFile(file(one))
    const altered = Buffer.from(bytes)
    altered.writeUInt8(altered.readUInt8(bytes.length - 20) ^ 4, bytes.length - 20)
    await writeFile(file(one), altered)
    await refused(['restore', backup, '--yes', '--wait'], new RegExp(`${one} is altered.*key ${keyId}`))
    await writeFile(file(one), bytes)
    await truncate(file(one), bytes.length - 3)
    await refused(['restore', backup, '--yes', '--wait'], new RegExp(`${one} is (altered|cut off)`))
    await writeFile(file(one), await readFile(file(other)))
    await refused(['restore', backup, '--yes', '--wait'], new RegExp(one))
    await writeFile(file(one), bytes)
    await same(before)
  })

  it('restores a sealed backup when nothing is sealed any more', async () => {
    const { code, stderr } = await cluster.pbm(['config', '--file', '-'], { input: config('') })
    assert.equal(code, 0)
    assert.match(stderr, /nothing is encrypted from now on; until now, aes-gcm was set/)
    assert.match(stderr, /can't be opened while the configuration has no encryption\.aes-gcm/)
    await refused(['restore', backup, '--yes', '--wait'], /the configuration has no encryption\.aes-gcm/)
    await pbm('config', '--set', `encryption.type=none,encryption.aes-gcm.keyFile=${keyFile}`)
    await admin.db('payroll').dropDatabase()
    await pbm('restore', backup, '--yes', '--wait')
    await same(state)
    await pbm('backup', '--wait')
    const newest = (await listBackups(cluster.leader, { status: 'done' })).find(({ name }) => name !== backup)
    assert.equal(newest?.replsets[0]?.encryption, undefined)
    assert.ok((await objects()).some((name) => /payroll\.salaries/.test(name)))
    await pbm('config', '--set', 'encryption.type=aes-gcm')
  })

  it('shows what is not sealed, and restores it only where somebody says so', async () => {
    const { value } = await cluster.json(['list'])
    const { snapshots } = value as { snapshots: { name: string; sealed: boolean; signed: boolean }[] }
    const plain = snapshots.find(({ name }) => name !== backup)?.name ?? ''
    assert.deepEqual(
      snapshots.map(({ name, sealed, signed }) => [name, sealed, signed]),
      [
        [backup, true, true],
        [plain, false, false],
      ],
    )
    assert.match((await pbm('list')).stdout, /SEALED.* aes-gcm .* no /s)
    assert.match((await pbm('describe-backup', plain)).stdout, /sealed: false/)
    await refused(
      ['restore', plain, '--yes', '--wait'],
      /is not sealed .*encryption\.type is aes-gcm.*--allow-unsealed/s,
    )
    // Whoever can write the list of backups, too, gets no further: the agent reads the record.
    const listed = cluster.leader.db('admin').collection('pbmBackups')
    const encryption = { type: 'aes-gcm', keyIds: [keyId] }
    await listed.updateOne({ name: plain }, { $set: { 'replsets.0.encryption': encryption, signature: 'x' } })
    await refused(['restore', plain, '--yes', '--wait'], /the record of backup .* is not signed/)
    await listed.updateOne({ name: plain }, { $unset: { 'replsets.0.encryption': 1, signature: 1 } })
    await admin.db('payroll').dropDatabase()
    await pbm('restore', plain, '--allow-unsealed', '--yes', '--wait')
    await same(state)
  })

  it('takes no record that was altered, and no backup under the name of another', async () => {
    const record = await readFile(file(`${backup}.pbm.json`), 'utf8')
    const write = (text: string, name = backup) => writeFile(file(`${name}.pbm.json`), withChecksum(text))
    await write(record.replace('"compression": "s2"', '"compression": "gzip"'))
    await refused(['restore', backup, '--yes', '--wait'], /\.pbm\.json is altered, and no longer what was signed/)
    await write(record.replace(/,\s*"signature": "[^"]*"/, ''))
    await refused(['restore', backup, '--yes', '--wait'], /the record of backup .* is not signed/)
    await write(record)
    const other = '2031-02-03T04:05:06Z'
    await cp(file(backup), file(other), { recursive: true })
    await write(record.replaceAll(backup, other), other)
    await pbm('config', '--force-resync', '--wait')
    const listed = (await listBackups(cluster.leader)).map(({ name }) => name)
    assert.ok(listed.includes(backup) && !listed.includes(other), listed.join())
    for (const name of [other, `${other}.pbm.json`]) await rm(file(name), { recursive: true })
  })

  it('rotates to a new key, after which the older one opens nothing and is not needed', async () => {
    const older = (await readFile(keyFile, 'utf8')).trim()
    const newer = randomBytes(32).toString('base64')
    const keyObjects = async () => (await objects()).filter((name) => name.includes('/pbmkit.keys/'))
    const contents = async (names: string[]) => Promise.all(names.map((name) => readFile(file(name), 'hex')))
    const names = await keyObjects()
    const data = (await objects()).filter((name) => !names.includes(name) && !name.endsWith('.pbm.json'))
    const [before, dataBefore] = [await contents(names), await contents(data)]
    // The new key alone: what the older one protects is told, and left alone.
    await writeFile(keyFile, newer, { mode: 0o600 })
    await refused(['key', 'rotate'], /key objects open with none of the keys at hand/)
    assert.deepEqual(await contents(names), before)
    await writeFile(keyFile, `${newer}\n${older}\n`, { mode: 0o600 })
    const dry = (await cluster.json(['key', 'rotate', '--dry-run'])).value as Record<string, unknown>
    assert.deepEqual([dry.dry_run, dry.keys, dry.rewrapped], [true, names.length, names.length])
    assert.deepEqual(await contents(names), before)
    assert.match((await pbm('key', 'rotate')).stdout, /rewrapped for key [0-9a-f]{16}.*\n.*they can go/)
    assert.deepEqual(await contents(data), dataBefore)
    for (const [index, content] of (await contents(names)).entries()) assert.notEqual(content, before[index])
    await writeFile(keyFile, newer, { mode: 0o600 })
    const again = (await cluster.json(['key', 'rotate'])).value as Record<string, unknown>
    assert.deepEqual([again.rewrapped, again.current, again.unreadable], [0, names.length, 0])
    await admin.db('payroll').dropDatabase()
    await pbm('restore', '--time', `${later.time.t},${later.time.i}`, '--base-snapshot', backup, '--yes', '--wait')
    await same(later.state)
    const stored = JSON.parse(await readFile(file(`${backup}.pbm.json`), 'utf8'))
    assert.deepEqual(stored.replsets[0].encryption.keyIds, [again.key_id])
    assert.notEqual(again.key_id, keyId)
    const { value } = await cluster.json(['describe-backup', backup])
    assert.match(JSON.stringify(value), new RegExp(String(again.key_id)))
  })

  it('leaves nothing of deleted chunks behind, their keys included', async () => {
    const ofChunks = async () => (await objects()).filter((name) => name.startsWith('pbmPitr/'))
    assert.ok((await ofChunks()).some((name) => name.includes('/pbmkit.keys/')))
    await pbm('delete-pitr', '--all', '--yes', '--wait')
    assert.deepEqual(await listChunks(cluster.leader), [])
    assert.deepEqual(await ofChunks(), [])
  })

  function shown({ fname, compression, encryption, start_ts, end_ts }: PitrChunkDocument) {
    return { fname, compression, encryption, start: start_ts.toString(), end: end_ts.toString() }
  }
})
