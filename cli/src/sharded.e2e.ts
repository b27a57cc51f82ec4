import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  compareShardedStates,
  findMongod,
  type ShardedCluster,
  type ShardOptions,
  snapshotShardedState,
  spawnSupervised,
  startShardedCluster,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { type DrillReport, databaseRole, type VerificationReport } from '@pbmkit/core'
import { until } from './cluster.support.js'
import { pbm, type RunOptions } from './run.support.js'

const AGENT = fileURLToPath(new URL('../../agent/dist/src/bin.js', import.meta.url))

interface Status {
  cluster: { rs: string; nodes: { host: string; role: string; agent: string }[] }[]
}
interface Plan {
  namespaces: { ns: string; documents: number; intoExisting?: true }[]
  dropped: { ns: string; documents: number }[]
  totals: Record<'restored' | 'dropped', { documents: number }>
}
const counts = (of: Plan['dropped']) => of.map(({ ns, documents }) => [ns, documents])

interface Listed {
  snapshots: { name: string }[]
}

describe('pbm on sharded clusters', () => {
  const running: { cluster: ShardedCluster; agents: ChildProcess[] }[] = []
  let folder = ''
  let state = ''

  before(async () => {
    folder = join(await temporaryFolder('pbmkit-cli-sharded-'), 'backups')
    await mkdir(folder)
    state = join(folder, '..', 'state')
  })
  after(async () => {
    for (const { cluster, agents } of running) {
      for (const agent of agents) agent.kill('SIGKILL')
      await cluster.stop()
    }
  })

  const start = async (configName: string, shards: ShardOptions[]) => {
    const cluster = await startShardedCluster({ auth: true, configName, shards })
    const user = await cluster.createUser(databaseRole('agent', { sharded: true }))
    const status = await pbm(['status', '-s', 'cluster', '-o', 'json'], {
      env: { PBM_MONGODB_URI: cluster.config.uri({ user }) },
    })
    const roles = (JSON.parse(status.stdout) as Status).cluster.flatMap(({ nodes }) => nodes.map(({ role }) => role))
    assert.deepEqual(roles, ['P', 'P', 'P'])
    const env = { PATH: process.env.PATH, PBM_STATE_FOLDER: state, PBM_SCRATCH_MONGOD: await findMongod() }
    const agents = cluster.replsets.flatMap(({ members }) =>
      members.map((member) =>
        spawnSupervised(process.execPath, [AGENT], {
          env: { ...env, PBM_MONGODB_URI: member.uri({ user }) },
          stdio: 'ignore',
        }),
      ),
    )
    running.push({ cluster, agents })
    const run = async (args: readonly string[], options: RunOptions & { replset?: string } = {}) => {
      const set = cluster.replsets.find(({ name }) => name === (options.replset ?? configName)) ?? cluster.config
      const ended = await pbm(args, { ...options, env: { PBM_MONGODB_URI: set.uri({ user }), ...options.env } })
      assert.equal(ended.code, 0, `pbm ${args.join(' ')}\n${ended.stdout}\n${ended.stderr}`)
      return ended
    }
    const json = async <T>(args: readonly string[], options: { replset?: string; env?: NodeJS.ProcessEnv } = {}) =>
      JSON.parse((await run([...args, '-o', 'json'], options)).stdout) as T
    await until('every agent', async () => {
      const { cluster: sets } = await json<Status>(['status', '-s', 'cluster'])
      return (
        sets.length === 3 && sets.every(({ nodes }) => nodes.every(({ role, agent }) => agent !== '' && role === 'P'))
      )
    })
    const input = `storage:\n  type: filesystem\n  filesystem:\n    path: ${folder}\n`
    await run(['config', '--file', '-', '--wait'], { input })
    return { cluster, run, json, env: { PBM_MONGODB_URI: cluster.config.uri({ user }) } }
  }

  it('is told of any shard, shows each replica set, and restores to a cluster of other names', async () => {
    const one = await start('cfg', [{ name: 's1' }, { name: 'second', id: 's2' }])
    await one.cluster.createDatabase('shop', 's1')
    await one.cluster.shardCollection('shop.orders', { key: { _id: 1 } })
    const first = await one.cluster.shard('s1').set.client()
    await first
      .db('shop')
      .collection<{ _id: number }>('orders')
      .insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }])
    await one.cluster.moveRange('shop.orders', 's2', { min: { _id: 2 }, waitForDelete: true })
    const { name } = await one.json<{ name: string }>(['backup', '--wait'], { replset: 'second' })
    const described = await one.json<{ replsets: { name: string; configsvr?: boolean }[] }>(['describe-backup', name])
    assert.deepEqual(described.replsets.map((set) => [set.name, set.configsvr === true]).sort(), [
      ['cfg', true],
      ['s1', false],
      ['second', false],
    ])
    // By an agent of the config servers, for all.
    const verified = await one.json<VerificationReport>(['verify', name], { replset: 's1' })
    const [whole] = verified.backups
    assert.deepEqual([verified.result, whole?.objects === whole?.objectsRead], ['good', true], JSON.stringify(whole))
    // Each by itself.
    const drilled = await one.json<{ result: string; replsets: DrillReport[] }>(['drill', name], { replset: 's1' })
    const found = drilled.replsets.map(({ rs, documents, result }) => [rs, documents, result])
    assert.deepEqual(
      [drilled.result, found],
      [
        'good',
        [
          ['cfg', 0, 'good'],
          ['s1', 1, 'good'],
          ['second', 2, 'good'],
        ],
      ],
    )
    assert.deepEqual(await readdir(join(state, 'scratch')), [])
    const before = await snapshotShardedState(one.cluster)
    for (const part of [[], ['--ns', 'shop.orders']]) {
      const plan = await one.json<Plan>(['restore', name, ...part, '--dry-run'])
      assert.deepEqual(counts(plan.namespaces), [['shop.orders', 3]])
      assert.deepEqual(counts(plan.dropped), [['shop.orders', 3]])
      assert.deepEqual([plan.totals.restored.documents, plan.totals.dropped.documents], [3, 3])
    }
    const kept = await one.json<Plan>(['restore', name, '--ns', 'shop.*', '--keep-existing', '--dry-run'])
    assert.deepEqual([counts(kept.dropped), kept.namespaces[0]?.intoExisting], [[], true])
    const { stdout } = await one.run(['restore', name, '--dry-run'])
    assert.match(stdout, /Dropped first \(1 namespaces, 3 documents/)
    const refused = await pbm(['restore', name, '--ns', 'shop.order', '--dry-run'], { env: one.env })
    assert.match(refused.stderr, /has shop\.order; there is shop\.orders/)
    assert.deepEqual(compareShardedStates(before, await snapshotShardedState(one.cluster)), [])

    const two = await start('config2', [{ name: 'x1', id: 'left' }, { name: 'x2' }])
    await two.run(['config', '--force-resync', '--wait'])
    const remapping = 'config2=cfg,x1=second,x2=s1'
    assert.deepEqual((await two.json<Listed>(['list'])).snapshots, [])
    const env = { PBM_REPLSET_REMAPPING: remapping }
    assert.deepEqual(
      (await two.json<Listed>(['list'], { env })).snapshots.map((snapshot) => snapshot.name),
      [name],
    )
    const ended = await two.run(['restore', name, '--yes', '--wait', '--replset-remapping', remapping], {
      replset: 'x2',
    })
    assert.match(ended.stderr, /the balancer was on, and the restore switches it off/)
    const shardIds = { s1: 'x2', s2: 'left' }
    // The administrator is that of the backup now, who has to log in.
    for (const set of two.cluster.replsets) {
      const client = await set.client()
      await client.close()
      await client.connect()
    }
    const after = await snapshotShardedState(two.cluster)
    const { users: _, ...data } = before
    assert.deepEqual(compareShardedStates(data, after, { shardIds }), [])
    await two.cluster.moveRange('shop.orders', 'left', { max: { _id: 2 }, waitForDelete: true })
    const moved = await two.cluster.shard('left').set.client()
    assert.equal(await moved.db('shop').collection('orders').countDocuments(), 3)
  })
})
