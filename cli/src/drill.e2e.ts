import assert from 'node:assert/strict'
import { readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { loadSampleData } from '@pbmkit/conformance/testbed'
import { type DrillReport, findBackup, listBesideLocks, listChunks, listSlicerLocks } from '@pbmkit/core'
import { type Agent, type Cluster, startCluster, until } from './cluster.support.js'

interface Told {
  readonly result: string
  readonly restoreSeconds: number
  readonly replsets: readonly DrillReport[]
}

/** One story, in order. */
describe('pbm drill', () => {
  let cluster: Cluster
  let agent: Agent
  let logical = ''
  let physical = ''
  let state = ''
  let documentsBefore = 0
  const checks = (...lines: readonly string[]) =>
    `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\n` +
    `pitr: {oplogSpanMin: 0.02}\ndrill:\n  checks:\n${lines.map((line) => `    - ${line}\n`).join('')}`

  before(async () => {
    cluster = await startCluster({ physical: true })
    state = join(cluster.folder, 'state')
    await loadSampleData(await cluster.set.client())
    const orders = (await cluster.set.client()).db('drill').collection('orders')
    await orders.insertMany(Array.from({ length: 50 }, (_, n) => ({ n, at: new Date() })))
    await orders.createIndex({ n: 1 })
    agent = await startAgent()
    const sliced = (text: string) => text.replace('pitr: {', 'pitr: {enabled: true, ')
    const good = checks('{ns: drill.orders, minCount: 50, newest: {field: at, notOlderThan: 1h}}')
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input: sliced(good) }))
    logical = await backup()
    // From then on the oplog leads from either of them.
    await until('a chunk', async () => (await listChunks(cluster.leader)).length > 0)
    physical = await backup('-t', 'physical')
  })
  after(() => cluster?.stop())

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

  async function drill(args: readonly string[], code = 0): Promise<Told> {
    const ended = await cluster.json(['drill', ...args])
    assert.equal(ended.code, code, ended.stdout + ended.stderr)
    return ended.value as Told
  }

  const startAgent = () => cluster.startAgent(undefined, { PBM_STATE_FOLDER: state })

  const left = () => readdir(join(state, 'scratch'))

  it('restores a logical and a physical backup, looks at all of it, and leaves nothing', async () => {
    for (const name of [logical, physical]) {
      const told = await drill([name])
      const [report] = told.replsets
      assert.equal(told.result, 'good', JSON.stringify(report))
      assert.deepEqual([report?.backup, report?.rs], [name, cluster.set.name])
      assert.ok(told.restoreSeconds > 0 && (report?.totalSeconds ?? 0) >= told.restoreSeconds, JSON.stringify(report))
      const { collections = 0, documents = 0, indexes = 0 } = report ?? {}
      documentsBefore = documents
      assert.ok(collections > 5 && documents > 100 && indexes > collections, JSON.stringify(report))
      const [check] = report?.checks ?? []
      assert.deepEqual([check?.ns, check?.count, check?.fault], ['drill.orders', 50, undefined])
      assert.deepEqual(await left(), [])
    }
  })

  it('drills what a selective backup has, and the newest where none is named', async () => {
    const selective = await backup('--ns', 'drill.*')
    const [report] = (await drill([])).replsets
    assert.deepEqual(
      [report?.backup, report?.result, report?.documents],
      [selective, 'good', 50],
      JSON.stringify(report),
    )
  })

  it('keeps the time that a restore takes, and shows it', async () => {
    for (const name of [logical, physical]) {
      const [drilled] = (await findBackup(cluster.leader, name))?.drills ?? []
      assert.deepEqual([drilled?.rs, drilled?.result], [cluster.set.name, 'good'])
      const described = succeeded(await cluster.pbm(['describe-backup', name]))
      assert.match(described.stdout, /drills:\n[\s\S]*restore_seconds: [\d.]+/)
    }
    succeeded(await cluster.pbm(['config', '--force-resync', '--wait']))
    for (const command of ['list', 'status'])
      assert.match(succeeded(await cluster.pbm([command])).stdout, /DRILL[\s\S]*\d.*s \(just now\)/)
  })

  it('drills what a restore to a time gives, from either kind of base', async () => {
    const orders = (await cluster.set.client()).db('drill').collection('orders')
    const from = (await listChunks(cluster.leader)).length
    await until('chunks after a write', async () => {
      await orders.insertOne({ at: new Date() })
      return (await listChunks(cluster.leader)).length >= from + 2
    })
    succeeded(await cluster.pbm(['config', '--set', 'pitr.enabled=false']))
    await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
    const end = (await listChunks(cluster.leader))
      .map(({ end_ts }) => end_ts)
      .toSorted((a, b) => a.compare(b))
      .at(-1)
    const counts: number[] = []
    for (const base of [logical, physical]) {
      const told = await drill(['--time', `${end?.t},${end?.i}`, '--base-snapshot', base])
      assert.equal(told.result, 'good', JSON.stringify(told))
      counts.push(told.replsets[0]?.documents ?? 0)
    }
    const [first = 0, second] = counts
    assert.equal(first, second)
    assert.ok(first > documentsBefore, String(counts))
  })

  /** What is read from the storage takes minutes. */
  async function whileSlow(work: () => Promise<void>): Promise<void> {
    succeeded(await cluster.pbm(['config', '--set', 'backup.throttle.download=2000']))
    await work()
    succeeded(await cluster.pbm(['config', '--set', 'backup.throttle.download=0']))
  }

  async function begun(...args: string[]): Promise<string> {
    const { value } = succeeded(await cluster.json([...args, '--no-wait'])) as unknown as { value: { opid: string } }
    const { opid } = value
    await until('the lock', async () => (await listBesideLocks(cluster.leader, { opid })).length > 0)
    return opid
  }

  const servers = async () => {
    const folders = await left().catch(() => [])
    const pids = folders.map((name) => readFile(join(state, 'scratch', name, 'data', 'mongod.lock'), 'utf8'))
    return (await Promise.allSettled(pids)).flatMap((found) =>
      found.status === 'fulfilled' ? [Number(found.value)] : [],
    )
  }

  it('is canceled like a verification, and so counts for nothing', async () => {
    const before = (await findBackup(cluster.leader, logical))?.drills
    await whileSlow(async () => {
      await begun('drill', logical)
      await until('the server', async () => (await servers()).some((pid) => pid > 0))
      const { value } = await cluster.json(['status'])
      assert.equal((value as { running: { type: string } }).running.type, 'drill')
      succeeded(await cluster.pbm(['cancel', 'drill']))
      assert.deepEqual(await left(), [])
      await begun('verify', logical)
      succeeded(await cluster.pbm(['cancel', 'verify']))
      assert.match(succeeded(await cluster.pbm(['cancel', 'drill'])).stdout, /No drill is running/)
    })
    assert.deepEqual((await findBackup(cluster.leader, logical))?.drills, before)
  })

  it('leaves neither a server nor files behind where the agent is killed', async () => {
    await whileSlow(async () => {
      await begun('drill', logical)
      await until('the server', async () => (await servers()).some((pid) => pid > 0))
      const [pid = 0] = await servers()
      await agent.stop('SIGKILL')
      assert.match(await readlink(`/proc/${pid}/exe`), /mongod/)
      agent = await startAgent()
      await assert.rejects(readlink(`/proc/${pid}/exe`))
      assert.deepEqual(await left(), [])
    })
    // As if it had been silent for half a minute.
    await cluster.leader.db('admin').collection('pbmLockOp').deleteOne({ type: 'drill' })
    const told = await drill([logical])
    assert.equal(told.result, 'good')
  })

  it('fails by a check that does not hold and by a damaged object, and says so', async () => {
    const wrong = checks('{ns: drill.orders, minCount: 5000}', '{ns: drill.nothing}')
    succeeded(await cluster.pbm(['config', '--file', '-', '--wait'], { input: wrong }))
    const told = await drill([logical], 1)
    assert.match(JSON.stringify(told.replsets[0]?.faults), /50 documents fit, and 5000.*drill.nothing/)
    const shown = await cluster.pbm(['drill', logical])
    assert.equal(shown.code, 1)
    assert.match(shown.stdout, /failed[\s\S]*Check of drill.orders: 50 documents fit/)
    await rm(join(cluster.folder, 'backups', physical, cluster.set.name, 'WiredTiger'), {
      force: true,
      recursive: true,
    })
    const [file = ''] = (await readdir(join(cluster.folder, 'backups', physical, cluster.set.name))).filter((name) =>
      name.startsWith('collection-'),
    )
    await rm(join(cluster.folder, 'backups', physical, cluster.set.name, file))
    const damaged = await drill([physical], 1)
    assert.match(damaged.replsets[0]?.faults[0] ?? '', /missing|not there/i)
    assert.match(succeeded(await cluster.pbm(['list'])).stdout, /failed \(just now\)/)
    assert.deepEqual(await left(), [])
  })
})
