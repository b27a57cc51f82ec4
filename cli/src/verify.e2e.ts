import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSampleData, seededRandom } from '@pbmkit/conformance/testbed'
import {
  Ciphers,
  chunkMethod,
  findBackup,
  findVerification,
  listBackups,
  listBesideLocks,
  listChunks,
  listSlicerLocks,
  openStore,
  type PitrChunkDocument,
  PluginHost,
  requireConfig,
  sealedStore,
  type VerificationReport,
  type VerifyScope,
  verifyStorage,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { type Agent, type Cluster, startCluster, until } from './cluster.support.js'
import type { RunningSection } from './status/running.js'

/** Backups of every kind of layout and the oplog after them, damaged in every way. One story, in order. */
describe('pbm verify', () => {
  let cluster: Cluster
  let agent: Agent
  let plain = ''
  let chunks: PitrChunkDocument[] = []

  before(async () => {
    cluster = await startCluster({ physical: true })
    await loadSampleData(await cluster.set.client())
    agent = await cluster.startAgent(undefined, { PBM_STATE_FOLDER: join(cluster.folder, 'state') })
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input: config('backups') }))
    plain = await backup('--compression', 'zstd')
    await slice()
  })
  after(() => cluster?.stop())

  const file = (object: string) => join(cluster.folder, 'backups', object)
  const config = (folder: string) =>
    `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/${folder}}\npitr: {oplogSpanMin: 0.02}\n`

  function succeeded(ended: { code: number | null; stdout: string; stderr: string }) {
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended
  }

  async function backup(...options: string[]): Promise<string> {
    const { value } = succeeded(await cluster.json(['backup', '--wait', ...options])) as unknown as {
      value: { name: string }
    }
    return value.name
  }

  /** Stores some chunks, and stops. */
  async function slice(): Promise<void> {
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=true']))
    const work = (await cluster.set.client()).db('sliced').collection('rows')
    await until('three chunks', async () => {
      await work.insertOne({ at: new Date() })
      return (await listChunks(cluster.leader)).length >= 3
    })
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=false']))
    await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
    chunks = await listChunks(cluster.leader)
  }

  async function verify(args: readonly string[], code = 0): Promise<VerificationReport> {
    const ended = await cluster.json(['verify', ...args])
    assert.equal(ended.code, code, ended.stdout + ended.stderr)
    return ended.value as VerificationReport
  }

  /** The object as it is damaged by `change`, for as long as it takes. */
  async function whileDamaged<T>(object: string, change: (path: string) => Promise<unknown>, work: () => Promise<T>) {
    const [path, safe] = [file(object), join(cluster.folder, 'safe')]
    await copyFile(path, safe)
    await change(path)
    try {
      return await work()
    } finally {
      await rename(safe, path)
    }
  }

  const flip = async (path: string) => {
    const bytes = await readFile(path)
    const at = bytes.length >> 1
    bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
    await writeFile(path, bytes)
  }

  it('reads all through and finds it right, by an agent and without a database', async () => {
    const report = await verify(['--all'])
    assert.equal(report.result, 'good', JSON.stringify(report))
    const [found] = report.backups
    assert.deepEqual([found?.name, found?.restorable, found?.notes], [plain, 'all', []])
    assert.ok((found?.objectsRead ?? 0) > 5 && (found?.bytesRead ?? 0) > 1000, JSON.stringify(found))
    assert.deepEqual([report.chunks?.objects, report.chunks?.objectsRead], [chunks.length, chunks.length])
    assert.equal(report.chunks?.ranges.length, 1)
    const yaml = join(cluster.folder, 'local.yaml')
    await writeFile(yaml, config('backups'))
    const env = { PBM_MONGODB_URI: '' }
    const local = await cluster.json(['verify', '--all', '--local', '-c', yaml], { env })
    assert.equal(local.code, 0, local.stdout + local.stderr)
    assert.deepEqual(local.value, report)
    const shown = succeeded(await cluster.pbm(['verify', '--all', '--local', '-c', yaml], { env }))
    assert.match(shown.stdout, new RegExp(`Backup ${plain}: all is right`))
    assert.match(shown.stdout, /Stored oplog: all is right/)
    await writeFile(yaml, config('not-mounted'))
    const empty = await cluster.json(['verify', '--all', '--local', '-c', yaml], { env })
    assert.deepEqual([empty.code, (empty.value as { code: string }).code], [1, 'NOTHING_TO_VERIFY'])
  })

  it('has the checksums of chunks from the storage alone', async () => {
    const listed = (await listChunks(cluster.leader)).map(({ fname, crc, storedCrc }) => ({ fname, crc, storedCrc }))
    assert.ok(listed.every(({ crc, storedCrc }) => crc !== undefined && storedCrc !== undefined))
    await cluster.leader.db('admin').collection('pbmPITRChunks').deleteMany({})
    succeeded(await cluster.pbm(['config', '--force-resync', '--wait']))
    const found = (await listChunks(cluster.leader)).map(({ fname, crc, storedCrc }) => ({ fname, crc, storedCrc }))
    assert.deepEqual(found, listed)
  })

  it('keeps the date and the result in the record, over a resync too', async () => {
    const { verification } = (await findBackup(cluster.leader, plain)) ?? {}
    assert.deepEqual([verification?.result, verification?.readData], ['good', 100])
    assert.match(succeeded(await cluster.pbm(['list'])).stdout, /VERIFIED[\s\S]*just now/)
    assert.match(succeeded(await cluster.pbm(['status'])).stdout, /VERIFIED[\s\S]*just now/)
    assert.match(
      succeeded(await cluster.pbm(['describe-backup', plain])).stdout,
      /verification:\n +time: .*\n +result: good/,
    )
  })

  it('tells each damage of a backup, with what can still be restored', async () => {
    const folder = join(plain, cluster.set.name)
    const [orders = ''] = (await readdir(file(folder))).filter((name) => /^shop\.[^/]+\.zst$/.test(name))
    const ns = orders.replace(/\.zst$/, '')
    const collection = join(folder, orders)
    const damaged = async (object: string, change: (path: string) => Promise<unknown>) => {
      const report = await whileDamaged(object, change, () => verify([plain], 1))
      const [found] = report.backups
      assert.equal(found?.result, 'damaged', JSON.stringify(report))
      assert.ok(
        found.damages.some((one) => one.object === object),
        JSON.stringify(report),
      )
      return found
    }
    for (const change of [flip, (path: string) => truncate(path, 20), (path: string) => rm(path)]) {
      const { restorable, lost, damages } = await damaged(collection, change)
      assert.deepEqual([restorable, lost, damages.length], ['part', [ns], 1])
    }
    const [oplog = ''] = await readdir(file(join(folder, 'oplog')))
    for (const object of [join(folder, 'metadata.json'), join(folder, 'oplog', oplog), `${plain}.pbm.json`]) {
      const { restorable } = await damaged(object, flip)
      assert.equal(restorable, 'none', object)
    }
    const { stdout } = await whileDamaged(collection, flip, () => cluster.pbm(['verify', plain]))
    assert.match(stdout, /damaged \(\d+ objects.*\n.* \(noticed after \d+ bytes of it\); it has /)
    assert.ok(stdout.includes(`What can be restored: all but ${ns}, by pbm restore --ns`), stdout)
  })

  it('warns of a damaged backup before a restore', async () => {
    assert.match(succeeded(await cluster.pbm(['list'])).stdout, /damaged \(just now\)/)
    const { stderr } = await cluster.pbm(['restore', plain])
    assert.match(stderr, /Warning: backup .* is damaged, as pbm verify found/)
    await verify([plain])
    assert.doesNotMatch((await cluster.pbm(['restore', plain])).stderr, /is damaged/)
  })

  it('tells a chunk that is damaged or missing, and which times are left', async () => {
    const middle = chunks[1]
    assert.ok(middle !== undefined)
    const all = (await verify(['--pitr'])).chunks?.ranges ?? []
    for (const change of [flip, (path: string) => truncate(path, 20), (path: string) => rm(path)]) {
      const report: VerificationReport = await whileDamaged(middle.fname, change, () => verify(['--pitr'], 1))
      const { chunks: found } = report
      assert.deepEqual(
        found?.damages.map(({ object }) => object),
        [middle.fname],
        JSON.stringify(found),
      )
      assert.notDeepEqual(found?.ranges, all)
    }
    // Nobody but the storage knows of it.
    await cluster.leader.db('admin').collection('pbmPITRChunks').deleteOne({ fname: middle.fname })
    const removed = (path: string) => rm(path)
    const { chunks: found } = await whileDamaged(middle.fname, removed, () => verify(['--pitr'], 1))
    assert.equal(found?.damages[0]?.code, 'BACKUP_OBJECT_MISSING')
    assert.equal(found?.gaps.length, 1)
    succeeded(await cluster.pbm(['config', '--force-resync', '--wait']))
  })

  it('verifies what a time takes, a part of it, and what is new', async () => {
    const last = chunks.at(-1)?.end_ts
    assert.ok(last !== undefined)
    const { backups, chunks: taken } = await verify(['--time', `${last.t},${last.i}`])
    assert.deepEqual([backups.map(({ name }) => name), taken?.objects], [[plain], chunks.length])
    const { backups: sampled } = await verify([plain, '--read-data', '0%'])
    assert.deepEqual([sampled[0]?.objectsRead, sampled[0]?.result], [2, 'good'])
    const { backups: older, chunks: newer } = await verify(['--all', '--since', `${last.t},0`])
    assert.deepEqual([older.length, (newer?.objects ?? 0) < chunks.length], [0, true])
    const { value } = await cluster.json(['verify', '--time', '2001-01-01'])
    assert.match(JSON.stringify(value), /RESTORE_TIME|lies before the first time/)
  })

  it('verifies archives and sealed backups, and says where the key is not at hand', async () => {
    const keyFile = join(cluster.folder, 'keys')
    await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
    const sealing = `encryption: {type: aes-gcm, aes-gcm: {keyFile: ${keyFile}}}\n`
    succeeded(
      await cluster.pbm(['config', '--file', '-', '--wait'], {
        input: `${config('backups')}backup: {layout: archive}\n`,
      }),
    )
    const archive = await backup()
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input: `${config('backups')}${sealing}` }))
    const sealed = await backup()
    const physical = await backup('--type', 'physical')
    const { result, backups } = await verify(['--all'])
    assert.deepEqual(
      [result, backups.map(({ name }) => name)],
      ['good', [plain, archive, sealed, physical]],
      JSON.stringify(backups),
    )
    const admin = await cluster.set.client()
    const part = ['--ns-from', 'shop.orders', '--ns-to', 'beside.orders']
    const restored = succeeded(await cluster.pbm(['restore', physical, ...part, '-y', '--wait']))
    assert.match(restored.stdout, /Done: .*beside\.orders/)
    const counts = await Promise.all(['shop', 'beside'].map((db) => admin.db(db).collection('orders').countDocuments()))
    assert.equal(counts[0], counts[1])
    assert.ok((counts[0] ?? 0) > 0)
    const whole = await cluster.pbm(['restore', physical, '--dry-run'])
    assert.equal(whole.code, 2)
    assert.match(whole.stderr, /without --ns, a physical backup is restored with all that is in it/)
    await rename(keyFile, `${keyFile}.safe`)
    try {
      const report = await verify([sealed], 1)
      assert.equal(report.result, 'unread', JSON.stringify(report))
    } finally {
      await rename(`${keyFile}.safe`, keyFile)
    }
  })

  it('finds every bit that is flipped', async () => {
    const plugins = new PluginHost({ resolveFrom: import.meta.url, localAccess: { folders: [tmpdir()], commands: [] } })
    const { encryption, storage } = await requireConfig(cluster.leader)
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const ciphers = new Ciphers(plugins, encryption, context)
    const store = sealedStore(await openStore(plugins, storage, context), ciphers, chunkMethod)
    const look = (scope: VerifyScope) =>
      verifyStorage(scope, {
        ...{ store, host: plugins, ciphers: new Ciphers(plugins, encryption, context), signal: context.signal },
        ...{ readData: 100, sample: () => true, progress: { phase: () => undefined, add: () => undefined } },
      })
    const random = seededRandom(Number(process.env.PBMKIT_BIT_FLIPS_SEED ?? 1))
    const objects: string[] = []
    for await (const { name } of store.list())
      if (!name.startsWith('.') && !name.includes('/pbmkit.sums/')) objects.push(name)
    objects.sort()
    for (let n = 0; n < Math.ceil(Number(process.env.PBMKIT_BIT_FLIPS_COUNT ?? 400) / 10); n++) {
      const object = objects[random(objects.length)] ?? ''
      const [backup = ''] = object.replace('.pbm.json', '').split(/[/_]/)
      let told = ''
      const flipRandom = async (path: string) => {
        const bytes = await readFile(path)
        const [byte, bit] = [random(bytes.length), random(8)]
        told = `bit ${bit} of byte ${byte} of ${object}`
        bytes.writeUInt8(bytes.readUInt8(byte) ^ (1 << bit), byte)
        await writeFile(path, bytes)
      }
      const scope = object.startsWith('pbmPitr/') ? { chunks: true as const } : { backup }
      const { result } = await whileDamaged(object, flipRandom, () => look(scope))
      assert.notEqual(result, 'good', `${told} was not found`)
    }
    await store.close()
  })

  it('runs beside a backup, and only once', async () => {
    succeeded(await cluster.pbm(['config', '--set', 'backup.throttle.download=500']))
    const verifying = cluster.json(['verify', plain])
    await until('its first word', async () => {
      const [lock] = await listBesideLocks(cluster.leader)
      return (await findVerification(cluster.leader, lock?.opid ?? ''))?.progress !== undefined
    })
    // What it has opened stays slow.
    succeeded(await cluster.pbm(['config', '--set', 'backup.throttle.download=0']))
    await backup()
    const { value, code } = await cluster.json(['verify', plain])
    assert.deepEqual([(value as { code?: string }).code, code], ['OPERATION_RUNNING', 4])
    const locks = cluster.leader.db('admin').collection('pbmLock')
    const silentSince = { hb: new Timestamp({ t: 1, i: 1 }), epoch: new Timestamp({ t: 1, i: 1 }) }
    await locks.insertOne({ type: 'cleanup', replset: 'rs0', node: 'lost:1', opid: '0'.repeat(24), ...silentSince })
    assert.match((await cluster.pbm(['status', '-s', 'running'])).stdout, /verify on .*cleanup on rs0\/lost:1/s)
    const { value: shown } = await cluster.json(['status', '-s', 'running'])
    const { type, beside = [] } = (shown as { running: RunningSection }).running
    assert.deepEqual([type, beside.map((one) => [one.type, one.stale])], ['verify', [['cleanup', true]]])
    await locks.deleteMany({ node: 'lost:1' })
    // As if its agent had died long ago.
    await agent.stop('SIGKILL')
    const silent = { $set: { hb: new Timestamp({ t: 1_000_000_000, i: 1 }) } }
    await cluster.leader.db('admin').collection('pbmLockOp').updateOne({ type: 'verify' }, silent)
    const lost = await verifying
    assert.deepEqual([(lost.value as { code?: string }).code, lost.code], ['STUCK', 1])
    agent = await cluster.startAgent()
    await verify([plain])
    assert.deepEqual(await listBesideLocks(cluster.leader), [])
  })

  it('does not take a storage that is gone for a damaged one', async () => {
    await rename(file(''), join(cluster.folder, 'elsewhere'))
    try {
      const { value, code } = await cluster.json(['verify', '--all'])
      assert.equal(code, 1)
      assert.match(String((value as { code?: string }).code), /OPERATION_FAILED/)
    } finally {
      await rm(file(''), { recursive: true, force: true })
      await rename(join(cluster.folder, 'elsewhere'), file(''))
    }
    assert.ok((await listBackups(cluster.leader)).every(({ verification }) => verification?.result !== 'damaged'))
  })
})
