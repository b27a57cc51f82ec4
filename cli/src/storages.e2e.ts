import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import {
  type Azurite,
  compareStates,
  findAzurite,
  findSshd,
  loadSampleData,
  orSkip,
  type SftpServer,
  snapshotState,
  startAzurite,
  startSftp,
} from '@pbmkit/conformance/testbed'
import { type Cluster, startCluster, until } from './cluster.support.js'

/** From the configuration to a restore, on storages that are servers of their own. */
describe('pbm on', () => {
  let cluster: Cluster
  let sftp: SftpServer | undefined
  let azurite: Azurite | undefined

  before(async () => {
    cluster = await startCluster()
    await loadSampleData(await cluster.set.client(), { scale: 0.05 })
    await cluster.startAgent()
  })
  after(async () => {
    await sftp?.stop()
    await azurite?.stop()
    await cluster.stop()
  })

  async function backedUpAndRestored(
    type: string,
    options: object,
    secret?: string,
    check?: (backup: string) => Promise<void>,
  ): Promise<void> {
    const input = JSON.stringify({ storage: { type, [type]: options }, backup: { compression: 's2' } })
    const configured = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(configured.code, 0, configured.stderr)
    if (secret !== undefined) assert.ok(!(await cluster.pbm(['config'])).stdout.includes(secret))
    await until('the agent', async () => (await cluster.pbm(['status', '-s', 'cluster'])).stdout.includes('OK'))
    const backup = await cluster.json(['backup', '--wait'])
    assert.equal(backup.code, 0, backup.stderr + backup.stdout)
    const { name } = backup.value as { name: string }
    await check?.(name)
    // What the storage holds, not what the database remembers.
    const synced = await cluster.pbm(['config', '--force-resync', '--wait'])
    assert.equal(synced.code, 0, synced.stderr)
    assert.ok((await cluster.pbm(['list'])).stdout.includes(name))
    const admin = await cluster.set.client()
    const before = await snapshotState(admin)
    await admin.db('shop').dropDatabase()
    const restored = await cluster.pbm(['restore', name, '--wait', '--yes'])
    assert.equal(restored.code, 0, restored.stderr)
    assert.deepEqual(compareStates(before, await snapshotState(admin)), [])
    const deleted = await cluster.pbm(['delete-backup', name, '--yes'])
    assert.equal(deleted.code, 0, deleted.stderr)
  }

  it('a server of SSH', async function () {
    await orSkip(this, () => findSshd())
    sftp = await startSftp()
    const { host, port, username, folder, sealedKeyFile, passphrase, fingerprint } = sftp
    const login = { privateKeyFile: sealedKeyFile, passphrase, hostKeyFingerprint: fingerprint }
    const options = { host, port, username, path: `${folder}/backups`, ...login }
    await backedUpAndRestored('sftp', options, passphrase, async (backup) => {
      const { store } = JSON.parse(await readFile(`${folder}/backups/${backup}.pbm.json`, 'utf8'))
      // By the schema: neither the path of a key nor a public fingerprint is a secret, whatever they are called.
      assert.deepEqual(store, { type: 'sftp', sftp: { ...options, passphrase: '***' } })
    })
    const set = (text: string) => cluster.pbm(['config', '--set', `storage.sftp.passphrase=${text}`, '--wait'])
    const { code, stderr } = await set('mistaken')
    assert.equal(code, 1)
    assert.match(stderr, /is saved, but not every agent can use it: rs0\/127\.0\.0\.1:\d+: storage: .*passphrase/)
    assert.ok(!stderr.includes('mistaken'), stderr)
    const mended = await set(passphrase)
    assert.equal(mended.code, 0, mended.stderr)
  })

  it('Azure', async function () {
    this.timeout(25 * 60_000)
    await orSkip(this, () => findAzurite({ onProgress: console.error }))
    azurite = await startAzurite()
    const { account, key, endpoint } = azurite
    await azurite.createContainer('backups')
    const credentials = { key }
    await backedUpAndRestored('azure', { account, container: 'backups', endpointUrl: endpoint, credentials }, key)
  })

  it('what keeps nothing: a backup ends, and a restore of it drops nothing', async () => {
    const configured = await cluster.pbm(['config', '--file', '-', '--wait'], { input: 'storage: {type: blackhole}' })
    assert.equal(configured.code, 0, configured.stderr)
    await until('the agent', async () => (await cluster.pbm(['status', '-s', 'cluster'])).stdout.includes('OK'))
    const backup = await cluster.json(['backup', '--wait'])
    assert.equal(backup.code, 0, backup.stderr + backup.stdout)
    const { name } = backup.value as { name: string }
    assert.ok((await cluster.pbm(['list'])).stdout.includes(name))
    const { backups } = (await cluster.json(['status', '-s', 'backups'])).value as { backups: { type: string } }
    assert.equal(backups.type, 'blackhole')
    const admin = await cluster.set.client()
    const before = await snapshotState(admin)
    const restored = await cluster.pbm(['restore', name, '--wait', '--yes'])
    assert.equal(restored.code, 1)
    assert.match(restored.stderr, /Nothing of the data was changed/)
    assert.deepEqual(compareStates(before, await snapshotState(admin)), [])
    const deleted = await cluster.pbm(['delete-backup', name, '--yes'])
    assert.equal(deleted.code, 0, deleted.stderr)
  })
})
