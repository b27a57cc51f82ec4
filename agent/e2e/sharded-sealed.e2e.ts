import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ShardedState, snapshotShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, findBackup, findRotation, sendCommand } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import { filesystemConfig, objectsOn, restoreEnded, sendRestore, unlocked, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { compareChosen, ofDatabase, routedState } from './sharded-selective.support.js'
import { assertSameState, slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts, sumOfAccounts, TOTAL } from './sharded-transfers.support.js'

/** Config servers and two shards, all of whose objects are sealed. One story, in order. */
describe('a sharded cluster whose backups are encrypted', () => {
  const older = randomBytes(32).toString('base64')
  const newer = randomBytes(32).toString('base64')
  let bench: ShardedBench
  let keyFile = ''
  let backup = ''
  let atBackup: ShardedState
  let later: { readonly time: Timestamp; readonly state: ShardedState }

  before(async () => {
    bench = await startShardedBench({ shards: [{ name: 's1' }, { name: 'second', id: 's2' }] })
    keyFile = join(bench.storage, '..', 'keys')
    await writeFile(keyFile, older, { mode: 0o600 })
    await bench.configure(
      filesystemConfig(
        bench.storage,
        `pitr: {enabled: true, oplogSpanMin: 0.05}\nencryption:\n  type: aes-gcm\n  aes-gcm: {keyFile: ${keyFile}}\n`,
      ),
    )
    await loadAccounts(bench.cluster)
  })
  after(async () => {
    await bench?.stop()
  })

  async function restores(state: ShardedState, time?: Timestamp): Promise<void> {
    await restore(bench, backup, time === undefined ? {} : { oplogTS: time })
    assertSameState(state, await snapshotShardedState(bench.cluster))
    assert.equal(await sumOfAccounts(bench.cluster), TOTAL)
  }

  it('stores backups and chunks of every replica set, none of which tells a name or a content', async () => {
    const { cluster, leader } = bench
    atBackup = await snapshotShardedState(cluster)
    const made = await backUp(bench)
    backup = made.name
    assert.equal(made.replsets.length, 3)
    for (const { encryption } of made.replsets) assert.equal(encryption?.type, 'aes-gcm')
    await slicedEverywhere(bench)
    // The config servers may not have heard yet of a time that a shard was written at directly.
    let time = await clusterTime(leader)
    for (const { id, set } of cluster.shards) {
      const shard = await set.client()
      await shard
        .db('side')
        .collection<{ _id: string }>('late')
        .insertOne({ _id: `late on ${id}` })
      const written = await clusterTime(shard)
      if (written.greaterThan(time)) time = written
    }
    later = { time, state: await snapshotShardedState(cluster) }
    await storedUpTo(bench, later.time)
    // What is being written has another name by the time it is read.
    const names = (await objectsOn(bench.storage)).filter((name) => !name.endsWith('.tmp'))
    for (const rs of ['cfg', 's1', 'second']) {
      assert.ok(
        names.some((name) => name.startsWith(`${backup}/${rs}/pbmkit.keys/`)),
        `no key of ${rs}`,
      )
      assert.ok(names.some((name) => name.startsWith(`pbmPitr/${rs}/`) && name.includes('/pbmkit.keys/')))
    }
    for (const name of names) {
      assert.doesNotMatch(name, /accounts|moving|notes/)
      const content = await readFile(join(bench.storage, name))
      // Names of databases, of collections, and of what the routing tables hold.
      for (const word of ['accounts', 'moving', 'late on', 'chunks', 'orphanCount']) {
        assert.ok(!content.includes(word), `${name} tells of ${word}`)
      }
    }
  })

  it('is restored exactly to a time between, and to the backup', async () => {
    const { cluster } = bench
    for (const { set } of cluster.shards) {
      await (await set.client())
        .db('bank')
        .collection('accounts')
        .updateMany({}, { $inc: { balance: 1 } })
    }
    await (await cluster.shard('s2').set.client()).db('side').dropDatabase()
    await restores(later.state, later.time)
    await restores(atBackup)
  })

  it('gives back what a selective backup has, of which nobody can read the names any more but on the storage', async () => {
    const { cluster, leader } = bench
    const nss = ['bank.accounts', 'side.late']
    const { name } = await backUp(bench, { nss })
    const then = await routedState(cluster)
    await leader.db('admin').collection('pbmBackups').deleteOne({ name })
    await sendCommand(leader, { cmd: 'resync' })
    await until('the backup to be known again', async () => (await findBackup(leader, name)) !== undefined)
    await unlocked(bench)
    assert.deepEqual((await findBackup(leader, name))?.nss?.includes('bank.accounts'), false)
    await ofDatabase(cluster, 'bank', { _shardsvrDropCollection: 'accounts' })
    const before = await routedState(cluster)
    await restore(bench, name)
    assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
  })

  it('gets a new key on all replica sets at once, without which nothing opens any more', async () => {
    const { leader } = bench
    await writeFile(keyFile, `${newer}\n${older}\n`, { mode: 0o600 })
    const opid = (await sendCommand(leader, { cmd: 'rotateKeys', rotateKeys: { dryRun: false } })).toHexString()
    await until('the rotation', async () => (await findRotation(leader, opid, 'cfg'))?.done === true)
    await unlocked(bench)
    const rotation = await findRotation(leader, opid, 'cfg')
    assert.ok(rotation !== undefined && rotation.rewrapped >= 6 && rotation.unreadable === 0, JSON.stringify(rotation))
    await writeFile(keyFile, older, { mode: 0o600 })
    const refused = await restoreEnded(bench, await sendRestore(leader, backup))
    assert.equal(refused.status, 'error')
    assert.match(refused.error ?? '', /can't be opened: .*sealed with key [0-9a-f]{16}, which is not at hand/)
    await unlocked(bench)
    await writeFile(keyFile, newer, { mode: 0o600 })
    await restores(atBackup)
  })
})
